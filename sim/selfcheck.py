"""The engine against Lava's stock processes, variable by variable: every activation, u, v, spike and message.

Lava is compared with ``sim.engine.trace``, which follows every variable. What ``sim.engine.run`` records, maybe in
faster ways, is then compared with that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import Accumulator, Network, NetworkError
from netx.arrays import IntArray
from sim import engine
from sim.engine import Trace
from sim.lava import Progress
from sim.lava.blocks import LayerStates
from sim.lava.states import states
from sim.random_networks import Drawn


@dataclass(frozen=True)
class Difference:
    """The first value that differs. variable: ``activation``, ``output``, or Lava's name. step: Lava's, from 0.

    neuron: (channel, row, column). Where variable is ``recorded``, it is what ``run`` records that differs from what
    ``trace`` sees, in place of Lava, at a step of the network's own time.
    """

    layer: str
    variable: str
    step: int
    neuron: tuple[int, int, int]
    engine: int
    lava: int

    def __str__(self) -> str:
        return (
            f"layer {self.layer!r}, neuron {self.neuron}, step {self.step}: {self.variable} is {self.engine} in the "
            f"engine, {self.lava} in Lava"
        )


@dataclass(frozen=True)
class Outcome:
    """What was compared. refused: networks that leave 32 bits, which the engine does not run.

    first: the place in the sequence of the first network that differs, and its first difference.
    """

    compared: int
    refused: int
    values: int
    first: tuple[int, Difference] | None


def check(
    drawn: Sequence[Drawn], *, simulated: bool = False, timeout: float = 300, progress: Progress | None = None
) -> Outcome:
    """Run every network in the engine, pipelined, and in Lava, and compare all that happens in them.

    simulated, timeout, progress: see ``sim.lava.states.states``, also for the errors.
    """
    cases: list[int] = []
    traces: list[Mapping[str, Trace]] = []
    found: list[tuple[int, Difference]] = []
    for index, one in enumerate(drawn):
        try:
            traces.append(engine.trace(one.network, one.frames, pipelined=True))
            if difference := recorded_difference(one):
                found.append((index, difference))
        except NetworkError:
            traces = traces[: len(cases)]
            continue
        cases.append(index)
    pairs = [(drawn[index].network, drawn[index].frames) for index in cases]
    lava = states(pairs, simulated=simulated, timeout=timeout, progress=progress)
    found += [
        (index, difference)
        for index, trace, theirs in zip(cases, traces, lava, strict=True)
        if (difference := first_difference(drawn[index].network, trace, theirs))
    ]
    values = sum(array.size for outcome in lava for layer in outcome.values() for array in layer.values())
    return Outcome(len(cases), len(drawn) - len(cases), values, min(found, key=lambda one: one[0], default=None))


def first_difference(
    network: Network, trace: Mapping[str, Trace], lava: Mapping[str, LayerStates]
) -> Difference | None:
    """The first layer, in the network's order, and in it the first step at which something differs."""
    for name, ours in trace.items():
        expected = {"activation": ours.activation, **ours.states, "output": ours.output}
        if isinstance(network.layer(name).neuron, Accumulator):
            expected["output"] = np.zeros_like(ours.output)  # a read-out sends nothing; it is its voltage
        theirs = lava[name]
        differing = [found for kind in expected if kind in theirs if (found := _first(expected[kind], theirs[kind]))]
        if differing:
            step, *neuron = min(differing)
            place = (step, *neuron)
            kind = next(kind for kind in expected if kind in theirs and expected[kind][place] != theirs[kind][place])
            where = (neuron[0], neuron[1], neuron[2])
            return Difference(name, kind, step, where, int(expected[kind][place]), int(theirs[kind][place]))
    return None


def recorded_difference(drawn: Drawn) -> Difference | None:
    """The first spike, message or read-out that ``engine.run`` records unlike ``engine.trace``."""
    recording, trace = engine.run(drawn.network, drawn.frames), engine.trace(drawn.network, drawn.frames)
    for name, seen in trace.items():
        sent = recording.spikes.get(name, recording.messages.get(name))
        recorded = recording.membranes[name] if sent is None else sent
        if place := _first(seen.output, recorded):
            where = (place[1], place[2], place[3])
            return Difference(name, "recorded", place[0], where, int(recorded[place]), int(seen.output[place]))
    return None


def _first(expected: IntArray, got: npt.NDArray) -> tuple[int, ...] | None:
    places = np.argwhere(expected != got)
    return tuple(int(i) for i in places[0]) if len(places) else None
