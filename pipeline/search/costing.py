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


def mapping_on(chip_name: str, most_chips: int, network: Network) -> Mapping | None:
    """``network`` on as many chips as it takes; None where a chip's file knows no limits.

    Raises MonospikeError, naming every design rule that is broken, where it does not fit on ``most_chips``.
    """
    chip, label = load_chip(chip_name), chip_label(chip_name)
    if chip.limits is None:
        return None
    mapping = map_network(network, chip, label)
    if 1 < mapping.chips <= most_chips:
        mapping = map_network(network, chip, label, mapping.chips)
    if not mapping.fits:
        broken = "; ".join(f"{v.rule}: {v.where}: {v.mend}" for v in mapping.violations)
        raise MonospikeError(f"does not fit: {broken}")
    return mapping


def chip_cost(chip_name: str, mapping: Mapping | None, steps: Sequence[Split]) -> ChipCost:
    """What runs on the chip, mean over the frames of one sequence. steps: its time steps."""
    chip = load_chip(chip_name)
    if mapping is None:
        energy = None if chip.profile is None else _sum([price(step.activity, chip.profile).total for step in steps])
        return ChipCost(None, 1, energy, None, None)
    if chip.mapped is None:
        return ChipCost(len(mapping.cores), mapping.chips, None, None, None)
    costs = [_step_cost(step, mapping, chip) for step in steps]
    energy = _sum([cost.dynamic for cost in costs]) if costs[0].priced else None
    static = _sum([cost.static for cost in costs])
    return ChipCost(len(mapping.cores), mapping.chips, energy, static, _latency(costs))


def mean_cost(costs: Sequence[ChipCost], frames: Sequence[int]) -> ChipCost:
    """Mean over the frames of several sequences. frames: of each."""
    energies = [mean([getattr(cost, name) for cost in costs], frames) for name in ("energy", "static", "latency")]
    return ChipCost(costs[0].cores, costs[0].chips, *energies)


def mean(parts: Sequence[Energy | None], frames: Sequence[int]) -> Energy | None:
    """Mean over the frames of several sequences; None where one is not known."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return Energy(*np.average(known, axis=0, weights=frames).tolist())


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


def _conventional(row: LayerWork, steps: int, frames: int) -> LayerActivity:
    """A real-valued layer's multiply-accumulates, as ``pipeline.study.work`` counts them: the encoder's at every time
    step anew, those of the head, which reads the mean over the steps, once."""
    counts = {name: np.zeros(frames, np.int64) for name in COUNTS}
    counts["dense_macs"] = np.full(frames, round(row.macs * (steps if row.backbone else 1)), np.int64)
    return LayerActivity(layer=row.layer, neurons=0, **counts)


def _sum(parts: Sequence[Energy | None]) -> Energy | None:
    known = [part for part in parts if part is not None]
    return Energy(*np.sum(known, axis=0).tolist()) if len(known) == len(parts) else None
