r"""How long a time step takes on the chip: as long as its slowest core, and then the barrier.

A core does two things, each one after another: it handles the messages that arrive (axon in, synapse, dendrite), and
updates its own neurons and sends their messages (soma, axon out)::

    receiving = sum over operations of (count * latency);  sending likewise
    low     = (max over cores of max(receiving, sending)) + barrier      the two overlap entirely
    typical = low, with the typical counts and constants
    high    = (max over cores of (receiving + sending)) + barrier        they do not overlap at all

This is the analytical model of SANA-FE (``src/schedule.cpp``, "simple"); waiting for a crowded network is not in it.
How far SANA-FE's detailed model is from it stands in docs/planning.md. All layers of a network work at once, each on
the frame that has come so far: a frame is answered after as many steps as the network is deep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from netx import MonospikeError
from sim.costs.estimates import ESTIMATES, counted, ranged
from sim.costs.operations import Operations
from sim.hardware import Chip, MappedCosts
from sim.hardware.mapped import RECEIVING, SENDING

_SECOND = 1e-9
"""Seconds in a nanosecond."""


class Duration(NamedTuple):
    """Three estimates in seconds."""

    low: float
    typical: float
    high: float


@dataclass(frozen=True)
class Times:
    """How long the time steps of the frames take.

    steps: seconds, float64, shape (frame, estimate). slowest: number of the core that a frame waits for, in the typical
    estimate, shape (frame,). doing: what that core does meanwhile, in the frame that takes longest.
    barrier: the part of every step that is the barrier.
    """

    steps: npt.NDArray[np.float64]
    slowest: npt.NDArray[np.int64]
    doing: Literal["receiving", "sending"]
    barrier: Duration

    @property
    def step(self) -> Duration:
        """Mean over the frames."""
        return Duration(*(float(value) for value in self.steps.mean(axis=0)))

    @property
    def longest(self) -> Duration:
        """Of the frame that takes longest."""
        return Duration(*(float(value) for value in self.steps.max(axis=0)))


def step_times(operations: Operations, chip: Chip, costs: MappedCosts) -> Times | None:
    """How long the steps take; None where no latency is published.

    Raises MonospikeError when a network has no cores at all.
    """
    if not costs.latencies():
        return None
    if not operations.mapping.cores:
        raise MonospikeError("no layer of the network has a core: there is nothing whose time could be reckoned")
    low, typical, high = (_busy(operations, chip, costs, estimate) for estimate in range(len(ESTIMATES)))
    barrier = _barrier(operations, chip, costs)
    accuracy = 0.0 if costs.accuracy is None else costs.accuracy.time
    steps = np.stack(
        [
            (low.max(axis=(0, 2)) + barrier.low) / (1 + accuracy),
            typical.max(axis=(0, 2)) + barrier.typical,
            (high.sum(axis=0).max(axis=1) + barrier.high) / (1 - accuracy),
        ],
        axis=1,
    )
    slowest = typical.max(axis=0).argmax(axis=1)
    longest = int(steps[:, 1].argmax())
    receiving, sending = typical[:, longest, slowest[longest]]
    return Times(steps, slowest, "receiving" if receiving >= sending else "sending", barrier)


def _busy(operations: Operations, chip: Chip, costs: MappedCosts, estimate: int) -> npt.NDArray[np.float64]:
    """Seconds that cores receive and send: shape (2, frame, core)."""
    busy = np.zeros((2, *operations.counts["neurons"].shape))
    for priced in costs.operations:
        if priced.latency is None or priced.unit not in (*RECEIVING, *SENDING):
            continue
        latency = chip.latencies[priced.latency]
        each = ranged(latency.low, latency.nanoseconds, latency.high)[estimate] * _SECOND
        if (name := counted(priced, estimate)) is not None:
            busy[int(priced.unit in SENDING)] += operations.counts[name] * each
    return busy


def _barrier(operations: Operations, chip: Chip, costs: MappedCosts) -> Duration:
    """By the tiles in use, interpolated between the entries of the chip's file."""
    if not costs.barrier or chip.mesh is None:
        return Duration(0.0, 0.0, 0.0)
    tiles = len({site // chip.mesh.cores_per_tile for site in operations.mapping.placement})
    known = [chip.latencies[entry.latency] for entry in costs.barrier]
    values = [ranged(latency.low, latency.nanoseconds, latency.high) for latency in known]
    places = [entry.tiles for entry in costs.barrier]
    return Duration(*(float(np.interp(tiles, places, column)) * _SECOND for column in zip(*values, strict=True)))
