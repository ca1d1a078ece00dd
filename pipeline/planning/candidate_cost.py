"""What a frame costs a candidate: energy on the chip and on the host, time, cores; each None where nothing is known.

A chip whose file says how operations on cores are priced is reckoned by its mapping (``sim.costs``), cores row by row;
one that has energies alone, by the counts of the layers (``sim.energy``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from netx import Network
from netx.errors import MonospikeError
from pipeline.core.operations import LayerWork
from pipeline.planning.host_split import Split
from pipeline.planning.plan import chip_name, cost_on
from sim.activity import COUNTS, Activity, LayerActivity
from sim.costs import Cost, Duration
from sim.energy import Energy, load_profile, price
from sim.hardware import load_chip
from sim.mapping import Mapping, map_network

NOTHING = Energy(0.0, 0.0, 0.0)
Estimates = TypeVar("Estimates", Energy, Duration)


@dataclass(frozen=True)
class ChipCost:
    """Of one frame. energy: dynamic, in joules. static: joules drawn meanwhile. latency: seconds to the answer."""

    cores: int | None
    chips: int
    energy: Energy | None
    static: Energy | None
    latency: Duration | None


def mapping_on(named: str, most_chips: int, network: Network) -> Mapping | None:
    """``network`` on as many chips as it takes; None where a chip's file knows no limits.

    Raises MonospikeError, naming every design rule that is broken, where it does not fit on ``most_chips``.
    """
    chip, label = load_chip(named), chip_name(named)
    if chip.limits is None:
        return None
    mapping = map_network(network, chip, label)
    if min(mapping.chips, most_chips) > 1:
        mapping = map_network(network, chip, label, min(mapping.chips, most_chips))
    if not mapping.fits:
        # The rule names the option of monospike map; of a search it is a key.
        broken = "; ".join(map(str, mapping.violations)).replace("--chips ", "most_chips: ")
        raise MonospikeError(f"does not fit: {broken}")
    return mapping


def chip_cost(named: str, mapping: Mapping | None, steps: Sequence[Split]) -> ChipCost:
    """What runs on the chip, mean over the frames of one sequence. steps: its time steps."""
    chip = load_chip(named)
    if mapping is None:
        energy = None if chip.profile is None else _sum([price(step.activity, chip.profile).total for step in steps])
        return ChipCost(None, 1, energy, None, None)
    if chip.mapped is None:
        return ChipCost(len(mapping.cores), mapping.chips, None, None, None)
    costs = [cost_on(chip, mapping, step.network, step.frames, step.recording) for step in steps]
    energy = _sum([cost.dynamic for cost in costs]) if costs[0].priced else None
    static = _sum([cost.static for cost in costs])
    return ChipCost(len(mapping.cores), mapping.chips, energy, static, _latency(costs))


def mean_cost(costs: Sequence[ChipCost], frames: Sequence[int]) -> ChipCost:
    """Mean over the frames of several sequences. frames: of each."""
    energy, static = (mean([getattr(cost, name) for cost in costs], frames) for name in ("energy", "static"))
    latency = mean([cost.latency for cost in costs], frames)
    return ChipCost(costs[0].cores, costs[0].chips, energy, static, latency)


def mean(parts: Sequence[Estimates | None], frames: Sequence[int]) -> Estimates | None:
    """Mean over the frames of several sequences; None where one is not known."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return type(known[0])(*np.average(known, axis=0, weights=frames).tolist())


def host_energy(profile: str, steps: Sequence[Split], real_valued: Sequence[LayerWork]) -> Energy:
    """What runs on the host, as a conventional network: every connection of every layer, whatever its input.

    real_valued: layers that are no part of the network of integers. Raises MonospikeError where the profile does not
    say what a conventional network costs.
    """
    frames = steps[0].host.frames
    layers = [layer for step in steps for layer in step.host.layers]
    layers += [_conventional(row, len(steps), frames) for row in real_valued]
    if not layers:
        return NOTHING
    cost = price(Activity(frames, tuple(layers)), load_profile(profile)).ann
    if cost is None:
        raise MonospikeError(f"host: {profile} does not say what a conventional network costs")
    return cost


def _latency(steps: Sequence[Cost]) -> Duration | None:
    """All time steps one after another, and then as many more as the network is deep, less one."""
    intervals = [step.interval for step in steps]
    if any(interval is None for interval in intervals):
        return None
    seconds = np.array(intervals, np.float64)
    return Duration(*(seconds.sum(axis=0) + (steps[0].depth - 1) * seconds.mean(axis=0)).tolist())


def _conventional(row: LayerWork, steps: int, frames: int) -> LayerActivity:
    """A real-valued layer's multiply-accumulates, as ``pipeline.core.operations`` has them: the encoder's at every
    time step anew, those of the head, which reads the mean over the steps, once."""
    counts = {name: np.zeros(frames, np.int64) for name in COUNTS}
    counts["dense_macs"] = np.full(frames, round(row.macs * (steps if row.backbone else 1)), np.int64)
    return LayerActivity(layer=row.layer, neurons=0, **counts)


def _sum(parts: Sequence[Energy | None]) -> Energy | None:
    known = [part for part in parts if part is not None]
    return Energy(*np.sum(known, axis=0).tolist()) if len(known) == len(parts) else None
