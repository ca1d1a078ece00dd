"""What a frame costs a candidate: energy on the chip and on the host, time, cores; each None where nothing is known.

A chip whose file says how operations on cores are priced is reckoned by its mapping (``sim.costs``), cores row by row;
one that has energies alone, by the counts of the layers (``sim.energy``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netx import Network
from netx.errors import MonospikeError
from pipeline.search.places import Split
from pipeline.study.work import LayerWork
from sim.activity import COUNTS, Activity, LayerActivity
from sim.costs import Cost, count_operations, price_mapped
from sim.energy import Energy, load_profile, price
from sim.hardware import Chip, load_chip
from sim.mapping import Mapping, map_network

NOTHING = Energy(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class ChipCost:
    """Of one frame. energy: dynamic, in joules. static: joules drawn meanwhile. latency: seconds to the answer."""

    cores: int | None
    chips: int
    energy: Energy | None
    static: Energy | None
    latency: Energy | None


def chip_label(name: str) -> str:
    """A chip's name, without the folder and ending of its file."""
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name


def chip_cost(chip_name: str, most_chips: int, shown: Sequence[Sequence[Split]]) -> ChipCost:
    """What runs on the chip, mean over the frames of all sequences.

    shown: for each sequence its time steps. Raises MonospikeError, naming every design rule that is broken, where the
    network does not fit on ``most_chips`` chips.
    """
    chip = load_chip(chip_name)
    if chip.limits is None:
        energy = None if chip.profile is None else _mean([_unmapped(chip_name, steps) for steps in shown], shown)
        return ChipCost(None, 1, energy, None, None)
    mapping = _mapped(shown[0][0].network, chip, chip_name, most_chips)
    if chip.mapped is None:
        return ChipCost(len(mapping.cores), mapping.chips, None, None, None)
    costs = [[_step_cost(step, mapping, chip) for step in steps] for steps in shown]
    energies = [_sum([step.dynamic for step in steps]) if steps[0].priced else None for steps in costs]
    statics = [_sum([step.static for step in steps]) for steps in costs]
    latencies = [_latency(steps) for steps in costs]
    return ChipCost(len(mapping.cores), mapping.chips, *(_mean(one, shown) for one in (energies, statics, latencies)))


def host_energy(profile: str, shown: Sequence[Sequence[Split]], real_valued: Sequence[LayerWork]) -> Energy:
    """What runs on the host, as a conventional network: every connection of every layer, whatever its input.

    real_valued: layers that are no part of the network of integers. Raises MonospikeError where the profile does not
    say what a conventional network costs.
    """
    known = load_profile(profile)
    energies = []
    for steps in shown:
        layers = [layer for step in steps for layer in step.host.layers]
        if real_valued:
            layers += [_conventional(row, len(steps), steps[0].host.frames) for row in real_valued]
        if not layers:
            energies.append(NOTHING)
            continue
        cost = price(Activity(steps[0].host.frames, tuple(layers)), known).ann
        if cost is None:
            raise MonospikeError(f"host: {profile} does not say what a conventional network costs")
        energies.append(cost)
    mean = _mean(energies, shown)
    assert mean is not None
    return mean


def _mapped(network: Network, chip: Chip, name: str, most: int) -> Mapping:
    mapping = map_network(network, chip, chip_label(name))
    if 1 < mapping.chips <= most:
        mapping = map_network(network, chip, chip_label(name), mapping.chips)
    if not mapping.fits:
        broken = "; ".join(f"{v.rule}: {v.where}: {v.mend}" for v in mapping.violations)
        raise MonospikeError(f"does not fit: {broken}")
    return mapping


def _step_cost(step: Split, mapping: Mapping, chip: Chip) -> Cost:
    assert chip.mesh is not None, "a chip with limits has a mesh"
    assert chip.packing is not None
    operations = count_operations(step.network, step.frames, step.recording, mapping, chip.mesh, chip.packing)
    depth = max(step.network.depth(name) for name in step.network.outputs)
    return price_mapped(operations, chip, depth)


def _latency(steps: Sequence[Cost]) -> Energy | None:
    """All time steps one after another, and then as many more as the network is deep, less one."""
    intervals = [step.interval for step in steps]
    if any(interval is None for interval in intervals):
        return None
    seconds = np.array(intervals, np.float64)
    return Energy(*(seconds.sum(axis=0) + (steps[0].depth - 1) * seconds.mean(axis=0)).tolist())


def _unmapped(name: str, steps: Sequence[Split]) -> Energy | None:
    return _sum([price(step.activity, load_profile(name)).total for step in steps])


def _conventional(row: LayerWork, steps: int, frames: int) -> LayerActivity:
    """A real-valued layer's multiply-accumulates, at every time step anew, as ``pipeline.study.work`` counts them."""
    counts = {name: np.zeros(frames, np.int64) for name in COUNTS}
    counts["dense_macs"] = np.full(frames, round(row.macs * steps), np.int64)
    return LayerActivity(layer=row.layer, neurons=0, **counts)


def _sum(parts: Sequence[Energy | None]) -> Energy | None:
    known = [part for part in parts if part is not None]
    return Energy(*np.sum(known, axis=0).tolist()) if len(known) == len(parts) else None


def _mean(parts: Sequence[Energy | None], shown: Sequence[Sequence[Split]]) -> Energy | None:
    """Mean over the frames; None where one is not known."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    weights = [steps[0].activity.frames for steps in shown]
    return Energy(*np.average(known, axis=0, weights=weights).tolist())
