"""One variant of a model, evaluated: what it is worth, and what it costs on every chip and with every place."""

from __future__ import annotations

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
from pipeline.data import Sequence
from pipeline.search.config import SearchConfig
from pipeline.search.costing import chip_cost, chip_label, host_energy
from pipeline.search.places import Place, Split, split
from pipeline.search.subject import Subject, open_subject
from pipeline.track import Scorer, Siamese, iou, track
from quantize.coarser import MOST_BITS, with_thresholds, with_weight_bits
from sim.energy import Energy


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


def places(config: SearchConfig) -> list[Place]:
    """All of a search."""
    return [Place(*choice) for choice in product(config.encoder, config.head)]


def evaluate(variant: Variant, config: SearchConfig, checkpoint: Path, data: Path) -> list[dict[str, Any]]:
    """A row of JSON values for each place and chip: the candidates that the variant makes.

    data: folder of sequences as ``Sequence.save`` wrote them. A candidate that cannot be built has a ``reason`` and no
    figures.
    """
    # Sums in another number of threads are other sums, and several workers share the machine.
    torch.set_num_threads(1)
    sequences = [Sequence.load(path) for path in sorted(data.glob("*.npz"))]
    try:
        subject = open_subject(checkpoint)
        network = _varied(subject, variant)
        worth = _worth(subject, network, config, sequences)
        shown = [list(subject.recorded(network, one, _frames(one, config.frames))) for one in sequences]
    except MonospikeError as error:
        return [
            _row(variant, place, chip) | {"reason": str(error)} for place in places(config) for chip in config.chips
        ]
    rows = []
    for place in places(config):
        try:
            cut = [[split(step, place) for step in steps] for steps in shown]
            host = host_energy(config.host, cut, subject.on_host)
        except MonospikeError as error:
            rows += [_row(variant, place, chip) | {"reason": str(error)} for chip in config.chips]
            continue
        rows += [_on_chip(variant, place, chip, config, cut, host, worth) for chip in config.chips]
    return [row | {"time_steps": subject.time_steps} for row in rows]


def _on_chip(
    variant: Variant,
    place: Place,
    chip: str,
    config: SearchConfig,
    shown: ManyOf[ManyOf[Split]],
    host: Energy,
    worth: dict[str, float | None],
) -> dict[str, Any]:
    row = _row(variant, place, chip)
    try:
        cost = chip_cost(chip, config.most_chips, shown)
    except MonospikeError as error:
        return row | {"reason": str(error)}
    total = None if cost.energy is None else Energy(*np.add(cost.energy, host).tolist())
    return row | {
        **worth,
        "energy": None if total is None else total.typical,
        "latency": None if cost.latency is None else cost.latency.typical,
        "cores": cost.cores,
        "chips": cost.chips,
        "energy_range": _values(total),
        "host_energy_range": _values(host),
        "static_energy_range": _values(cost.static),
        "latency_range": _values(cost.latency),
    }


def _row(variant: Variant, place: Place, chip: str) -> dict[str, Any]:
    return {
        "model": variant.model,
        "time_steps": None,
        "weight_bits": variant.weight_bits,
        "thresholds": variant.thresholds,
        "encoder": place.encoder,
        "head": place.head,
        "chip": chip_label(chip),
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


def _worth(
    subject: Subject, network: Network | None, config: SearchConfig, sequences: ManyOf[Sequence]
) -> dict[str, float | None]:
    """Mean IoU over the frames after the first, then over the sequences; and agreement with the real-valued form."""
    scorer = subject.scorer(network)
    worth: dict[str, float | None] = {"mean_iou": None, "agreement": None}
    if "mean_iou" in config.objectives:
        followed = (track(scorer, one.frames, one.boxes[0], subject.geometry, subject.settings) for one in sequences)
        worth["mean_iou"] = _mean_overlap(followed, (one.boxes for one in sequences))
    if "agreement" in config.objectives:
        reference = subject.reference()
        looks = ([_looks(subject, which, one, config.frames) for one in sequences] for which in (scorer, reference))
        worth["agreement"] = _mean_overlap(*looks)
    return worth


def _mean_overlap(boxes: Any, others: Any) -> float:
    return float(np.mean([iou(one, other)[1:].mean() for one, other in zip(boxes, others, strict=True)]))


def _looks(subject: Subject, scorer: Scorer, sequence: Sequence, frames: int) -> npt.NDArray[np.float64]:
    """The first box, and those that are found in some frames where the target was at its true box before."""
    tracker = Siamese(scorer, subject.geometry, subject.settings)
    tracker.start(sequence.frames[0], sequence.boxes[0])
    found = [tracker.look(sequence.frames[i], sequence.boxes[i - 1]) for i in _frames(sequence, frames)]
    return np.array([sequence.boxes[0], *found])


def _frames(sequence: Sequence, most: int) -> list[int]:
    """Numbers of at most ``most`` frames after the first, spread evenly."""
    last = len(sequence.frames) - 1
    return sorted({int(i) for i in np.linspace(1, last, min(most, last)).round()})


def _values(energy: Energy | None) -> list[float] | None:
    """Low, typical and high."""
    return None if energy is None else list(energy)
