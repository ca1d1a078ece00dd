"""A detector at work: pictures of any size to the objects in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from netx import Network
from netx.errors import MonospikeError
from pipeline.datasets.images import RGB
from pipeline.models.pixels import to_pixels
from pipeline.tasks.detection.config import DetectorProcessing
from pipeline.tasks.detection.decoding import answers_of
from pipeline.tasks.detection.letterbox import from_letterbox, letterbox
from pipeline.tasks.detection.models.spiking import INPUT, SpikingYolox
from pipeline.tasks.detection.models.yolox import Tensors, Yolox
from pipeline.tasks.detection.postprocessing import detections
from pipeline.tasks.detection.predictions import Detections
from quantize.slayer import WEIGHT_SCALE
from sim import engine

Model: TypeAlias = Yolox | SpikingYolox

Answer: TypeAlias = Callable[[npt.NDArray[np.uint8]], Tensors]
"""From square pictures, RGB uint8 (picture, side, side, 3), to what a network says of their cells."""


@dataclass(frozen=True, eq=False)
class ModelDetector:
    """See ``pipeline.core.task.Predictor`` and ``pipeline.tasks.detection.predictions.OpenDetector``.

    side: of the square that pictures are put into.
    """

    answer: Answer
    processing: DetectorProcessing
    side: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by index."""
        return self.processing.classes

    def start(self, frame: RGB, prompt: Any = None) -> None:
        """Nothing: no frame depends on another, and what is wanted are all objects."""

    def step(self, frame: RGB) -> Detections:
        """The objects in a picture."""
        return self.all([frame])[0]

    def all(self, pictures: Sequence[RGB]) -> list[Detections]:
        """The objects in each picture, in its own pixels."""
        boxed, ratios = squares(pictures, self.side)
        settings = self.processing
        found = detections(answers_of(self.answer(boxed)), settings.score, settings.overlap, settings.most)
        return [
            Detections(from_letterbox(one.boxes, ratio, (shown.shape[1], shown.shape[0])), one.scores, one.classes)
            for one, ratio, shown in zip(found, ratios, pictures, strict=True)
        ]


def squares(pictures: Sequence[RGB], side: int) -> tuple[npt.NDArray[np.uint8], list[float]]:
    """Pictures as a network sees them, RGB uint8 (picture, side, side, 3), and by what they were scaled."""
    boxed, ratios = zip(*(letterbox(picture, side, side) for picture in pictures), strict=True)
    return np.stack(boxed), list(ratios)


def in_torch(model: nn.Module, real_valued: bool, device: torch.device | None = None) -> Answer:
    """A model in torch as it stands, or a student on its real-valued weights."""

    def answer(pictures: npt.NDArray[np.uint8]) -> Tensors:
        spikes = isinstance(model, SpikingYolox)
        form: AbstractContextManager[None] = model.float_weights() if spikes and real_valued else nullcontext()
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(device or torch.device("cpu")).float()
        with torch.inference_mode(), form:
            answers: dict[str, Tensor] = model(images)
        return answers

    return answer


def in_integers(student: SpikingYolox, network: Network | None = None) -> Answer:
    """A student as its network of integers on the exact engine; the host decodes in real values.

    network: the student's, where it is at hand. Raises QuantizeError or HeadroomError as ``SpikingGraph.network`` does.
    """
    runner = engine.compile(student.network() if network is None else network)

    def answer(pictures: npt.NDArray[np.uint8]) -> Tensors:
        membranes = runner.run({INPUT: to_pixels(pictures, student.config.pixel_bits)}).membranes
        read = {name: membranes[name].astype(np.float32) / WEIGHT_SCALE for name in student.readouts}
        with torch.inference_mode():
            return student.scaled({name: torch.from_numpy(values) for name, values in read.items()})

    return answer


def detector(model: Model, processing: DetectorProcessing, form: str) -> ModelDetector:
    """A model as ``float`` or ``integer``. Raises MonospikeError where there is no such form of it."""
    if form not in ("float", "integer"):
        raise MonospikeError(f"there is no engine {form!r}; the engines are float, integer")
    if form == "float":
        answer = in_torch(model.eval(), real_valued=True)
    elif isinstance(model, SpikingYolox):
        answer = in_integers(model.eval())
    else:
        raise MonospikeError("a teacher has no integers; use --engine float, or a student that learned from it")
    return ModelDetector(answer, processing, model.config.side)
