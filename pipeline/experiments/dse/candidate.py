"""One variant of a model, evaluated: what it is worth, and what it costs on every chip and with every place."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as ManyOf
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from netx import Network, prove_headroom
from netx.errors import MonospikeError
from pipeline.core.boxes import iou
from pipeline.datasets.clip import Clip
from pipeline.experiments.dse.config import SearchConfig
from pipeline.planning.candidate_cost import ChipCost, chip_cost, host_energy, mapping_on, mean, mean_cost
from pipeline.planning.host_split import HostSplit, Split, split
from pipeline.planning.plan import chip_name
from pipeline.tasks.tracking.predictor import Scorer, Siamese, track
from pipeline.tasks.tracking.subject import Subject, open_subject
from quantize.coarser import MOST_BITS, with_thresholds, with_weight_bits
from sim.costs import Duration
from sim.energy import Energy
from sim.mapping import Mapping as ChipMapping


@dataclass(frozen=True)
class Variant:
    """What is evaluated at once, because it tracks the same wherever it runs. thresholds: factor of every threshold."""

    model: str
    weight_bits: int
    thresholds: float

    @property
    def name(self) -> str:
        """Tells it from the search's other variants."""
        return f"{self.model}, {self.weight_bits} bits, thresholds x {self.thresholds:g}"

    @property
    def as_trained(self) -> bool:
        """True where nothing is varied."""
        return self.weight_bits == MOST_BITS and self.thresholds == 1


def variants(config: SearchConfig) -> list[Variant]:
    """All of a search."""
    return [Variant(*choice) for choice in product(config.models, config.weight_bits, config.thresholds)]


def places(config: SearchConfig) -> list[HostSplit]:
    """All of a search."""
    return [HostSplit(*choice) for choice in product(config.encoder, config.head)]


@dataclass(frozen=True)
class _Seen:
    """What came of one sequence. frames: on which operations were counted. costs: of what can be built."""

    frames: int
    mean_iou: float | None
    agreement: float | None
    hosts: Mapping[HostSplit, Energy]
    costs: Mapping[tuple[HostSplit, str], ChipCost]


def evaluate(variant: Variant, config: SearchConfig, checkpoint: Path, data: Path) -> list[dict[str, Any]]:
    """A row of JSON values for each place and chip: the candidates that the variant makes.

    data: folder of sequences as ``Sequence.save`` wrote them. A candidate that cannot be built has a ``reason`` and no
    figures. Raises MonospikeError where this machine does not see the files.
    """
    for path in (checkpoint, data):
        # No reason of the candidate's, which would be kept: another worker, or a later search, may see them.
        if not path.exists():
            raise MonospikeError(f"{path}: is not there on {platform.node()}; every worker has to see it")
    # Sums in another number of threads are other sums, and several workers share the machine.
    torch.set_num_threads(1)
    rows = [_row(variant, place, chip) for place in places(config) for chip in config.chips]
    try:
        subject = open_subject(checkpoint)
        network = _varied(subject, variant)
    except MonospikeError as error:
        return [row | {"reason": str(error)} for row in rows]
    bench = _Bench(subject, network, config)
    seen = [bench.see(Clip.load(path)) for path in sorted(data.glob("*.npz"))]
    for row, key in zip(rows, product(places(config), config.chips), strict=True):
        row["time_steps"] = subject.time_steps
        row.update({"reason": bench.refused[key]} if key in bench.refused else _figures(key, seen))
    return rows


class _Bench:
    """One network, on one sequence after the other. refused: why some places and chips cannot be had."""

    def __init__(self, subject: Subject, network: Network | None, config: SearchConfig) -> None:
        self._subject, self._network, self._config = subject, network, config
        self._scorer = subject.scorer(network)
        self._reference = subject.reference() if "agreement" in config.objectives else None
        self._mappings: dict[tuple[HostSplit, str], ChipMapping | None] = {}
        self.refused: dict[tuple[HostSplit, str], str] = {}

    def see(self, sequence: Clip) -> _Seen:
        """Follow the target, look at some frames, and count on them what each place and chip costs."""
        subject, config = self._subject, self._config
        chosen = _frames(sequence, config.frames)
        mean_iou = agreement = None
        if "mean_iou" in config.objectives:
            boxes = track(self._scorer, sequence.frames, sequence.boxes[0], subject.geometry, subject.settings)
            mean_iou = float(iou(boxes, sequence.boxes)[1:].mean())
        if self._reference is not None:
            ours, real = (_searched(subject, scorer, sequence, chosen) for scorer in (self._scorer, self._reference))
            agreement = float(iou(ours, real).mean())
        recorded = list(subject.recorded(self._network, sequence, chosen))
        hosts: dict[HostSplit, Energy] = {}
        costs: dict[tuple[HostSplit, str], ChipCost] = {}
        for place in places(config):
            try:
                steps = [split(step, place) for step in recorded]
                hosts[place] = host_energy(config.host, steps, subject.on_host)
            except MonospikeError as error:
                self.refused.update({(place, chip): str(error) for chip in config.chips})
                continue
            costs.update({(place, chip): cost for chip, cost in self._costs(place, steps)})
        return _Seen(len(chosen), mean_iou, agreement, hosts, costs)

    def _costs(self, place: HostSplit, steps: ManyOf[Split]) -> Iterator[tuple[str, ChipCost]]:
        for chip in self._config.chips:
            key = place, chip
            try:
                if key not in self._mappings and key not in self.refused:
                    # A template changes which synapses of a correlation are zero, not how many there are.
                    self._mappings[key] = mapping_on(chip, self._config.most_chips, steps[0].network)
                if key in self._mappings:
                    yield chip, chip_cost(chip, self._mappings[key], steps)
            except MonospikeError as error:
                self.refused[key] = str(error)


def _figures(key: tuple[HostSplit, str], seen: ManyOf[_Seen]) -> dict[str, Any]:
    frames = [one.frames for one in seen]
    host, cost = mean([one.hosts[key[0]] for one in seen], frames), mean_cost([one.costs[key] for one in seen], frames)
    total = None if cost.energy is None or host is None else Energy(*np.add(cost.energy, host).tolist())
    return {
        "mean_iou": _average([one.mean_iou for one in seen]),
        "agreement": _average([one.agreement for one in seen]),
        "energy": None if total is None else total.typical,
        "latency": None if cost.latency is None else cost.latency.typical,
        "cores": cost.cores,
        "chips": cost.chips,
        "energy_range": _values(total),
        "host_energy_range": _values(host),
        "static_energy_range": _values(cost.static),
        "latency_range": _values(cost.latency),
    }


def _row(variant: Variant, place: HostSplit, chip: str) -> dict[str, Any]:
    return {
        "model": variant.model,
        "time_steps": None,
        "weight_bits": variant.weight_bits,
        "thresholds": variant.thresholds,
        "encoder": place.encoder,
        "head": place.head,
        "chip": chip_name(chip),
        "reason": None,
        "mean_iou": None,
        "agreement": None,
        "energy": None,
        "latency": None,
        "cores": None,
    }


def _varied(subject: Subject, variant: Variant) -> Network | None:
    """The network of integers, its head-room proven; None for a student of several time steps, which stays as it is."""
    if subject.time_steps > 1:
        if not variant.as_trained:
            raise MonospikeError(
                f"runs {subject.time_steps} time steps and has no network of integers to vary: prune it to one"
            )
        return None
    network = with_thresholds(with_weight_bits(subject.network(), variant.weight_bits), variant.thresholds)
    prove_headroom(network)
    return network


def _searched(subject: Subject, scorer: Scorer, sequence: Clip, frames: ManyOf[int]) -> npt.NDArray[np.float64]:
    """The boxes that are found in some frames, where the target was at its true box before."""
    tracker = Siamese(scorer, subject.geometry, subject.settings)
    tracker.start(sequence.frames[0], sequence.boxes[0])
    return np.array([tracker.search(sequence.frames[i], sequence.boxes[i - 1]) for i in frames])


def _average(values: ManyOf[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _frames(sequence: Clip, most: int) -> list[int]:
    """Numbers of at most ``most`` frames after the first, spread evenly."""
    last = len(sequence.frames) - 1
    return sorted({int(i) for i in np.linspace(1, last, min(most, last)).round()})


def _values(estimates: Energy | Duration | None) -> list[float] | None:
    """Low, typical and high."""
    return None if estimates is None else list(estimates)
