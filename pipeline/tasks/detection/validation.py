"""How well a model finds objects in pictures that it was not trained on, and how much it spikes while doing so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.core.seeds import derived_seed
from pipeline.datasets.detection import DetectionSet, LabelledPicture, open_detections, without_unreadable
from pipeline.datasets.errors import DataError
from pipeline.tasks.detection.config import DetectorProcessing, TrainingConfig
from pipeline.tasks.detection.detector import Answer, ModelDetector, in_torch, squares
from pipeline.tasks.detection.metrics.scores import scores
from pipeline.tasks.detection.models.spiking import SpikingYolox
from pipeline.tasks.detection.models.yolox import Tensors
from pipeline.tasks.detection.predictions import Detections

TOGETHER = 8
"""Pictures that a model sees at once."""


def split(config: TrainingConfig) -> tuple[DetectionSet, DetectionSet]:
    """The pictures to train on, each as often as it comes in an epoch, and those to validate on, of which all can be
    read.

    Raises DataError or FormatError where they are missing or bad, or none is left for one of the two.
    """
    training, settings = open_detections(config.data.sets, config.detector.classes), config.validation
    if settings.sets:
        held_out = open_detections(settings.sets, config.detector.classes)
    else:
        count = max(round(len(training) * settings.held_out), 1)
        if count == len(training):
            raise DataError(f"{config.data.sets[0].root}: has one picture; none is left to validate on")
        order = np.random.default_rng(derived_seed(config.seed, "held out", 0)).permutation(len(training))
        held_out = _only(training, sorted(order[:count]))
        training = _only(training, sorted(order[count:]))
    most = settings.pictures
    held_out = held_out if most is None else _only(held_out, range(min(most, len(held_out))))
    repeats = [index for index, one in enumerate(training.pictures) for _ in range(config.data.sets[one.of].repeats)]
    return _only(training, repeats), without_unreadable(held_out)


class DetectionValidator:
    """See ``pipeline.core.task.Validator``."""

    logged = ("map", "map50", "spike_rate")

    def __init__(self, pictures: DetectionSet, processing: DetectorProcessing, issues: Sequence[str] = ()) -> None:
        """issues: what was wrong with the pictures of the training, those held out among them."""
        self._pictures, self._processing, self._issues = pictures, processing, list(issues)

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        """The scores of ``metrics.scores.scores``; of a model that spikes also ``spike_rate``, its spikes over its
        neurons, and the same by layer in ``layers``. ``issues``: as they were given."""
        was_training = model.training
        watched = _Watched(in_torch(model.eval(), real_valued=False, device=device))
        found = self._found(watched, model)
        model.train(was_training)
        return {**scores(self._pictures, found), **watched.rates(), "issues": self._issues}

    def rounding(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        """``map``: on real-valued weights (float) and on integers; ``spikes_differ``: the share of neurons whose
        spikes are not the same in both, in the first pictures."""
        if not isinstance(model, SpikingYolox):
            return {}
        was_training = model.training
        model.eval()
        forms = {form: in_torch(model, form == "float", device) for form in ("float", "integer")}
        values = {form: scores(self._pictures, self._found(answer, model))["map"] for form, answer in forms.items()}
        differ, neurons = 0, 0
        shown, _ = squares([picture.read() for picture in self._pictures.pictures[:TOGETHER]], model.config.side)
        by_float, by_integer = (answer(shown) for answer in forms.values())
        for name in by_float:
            if name.startswith("spikes/"):
                differ += int((by_float[name] != by_integer[name]).sum())
                neurons += by_float[name].numel()
        model.train(was_training)
        return {"map": values, "spikes_differ": differ / neurons}

    def _found(self, answer: Answer, model: nn.Module) -> dict[int, Detections]:
        return found_in(self._pictures.pictures, ModelDetector(answer, self._processing, _side(model)))


def found_in(pictures: Sequence[LabelledPicture], detector: ModelDetector) -> dict[int, Detections]:
    """What ``detector`` finds in all pictures, by their ids."""
    found = {}
    for shown in _shown(pictures):
        for picture, answer in zip(shown, detector.all([one.read() for one in shown]), strict=True):
            found[picture.id] = answer
    return found


class _Watched:
    """A network whose spikes are counted."""

    def __init__(self, answer: Answer) -> None:
        self._answer, self._spikes, self._neurons = answer, dict[str, float](), dict[str, int]()

    def __call__(self, pictures: Any) -> Tensors:
        answers = self._answer(pictures)
        for key, value in answers.items():
            if key.startswith("spikes/"):
                name = key.removeprefix("spikes/")
                self._spikes[name] = self._spikes.get(name, 0.0) + float(value.sum())
                self._neurons[name] = self._neurons.get(name, 0) + value.numel()
        return answers

    def rates(self) -> dict[str, Any]:
        """Nothing of a network that doesn't spike."""
        if not self._neurons:
            return {}
        layers = {name: self._spikes[name] / count for name, count in self._neurons.items()}
        return {"spike_rate": sum(self._spikes.values()) / sum(self._neurons.values()), "layers": layers}


def _shown(pictures: Sequence[LabelledPicture]) -> Iterator[Sequence[LabelledPicture]]:
    return (pictures[first : first + TOGETHER] for first in range(0, len(pictures), TOGETHER))


def _only(pictures: DetectionSet, indices: Any) -> DetectionSet:
    return replace(pictures, pictures=tuple(pictures.pictures[index] for index in indices))


def _side(model: nn.Module) -> int:
    config: Any = model.config
    return int(config.side)
