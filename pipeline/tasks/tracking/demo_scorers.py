"""The tracker's network in its two forms: the SLAYER student, and the Network of integers on the exact engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import Network
from pipeline.tasks.tracking.demo_student import Student
from pipeline.tasks.tracking.predictor import Pixels, ScoreMap
from quantize.slayer import WEIGHT_SCALE
from sim import fused


class StudentScorer:
    """The student in PyTorch; on its real-valued weights when used within ``student.float_weights()``."""

    def __init__(self, student: Student) -> None:
        self._student = student.eval()
        self._template: Tensor | None = None

    def program(self, template: Pixels) -> None:
        with torch.inference_mode():
            self._template = self._student.features(_images(template))

    def score(self, search: Pixels) -> ScoreMap:
        assert self._template is not None, "program() comes first"
        with torch.inference_mode():
            readout = self._student.head(self._template, self._student.features(_images(search)))
        return decode(self._student, {name: value.double().numpy() for name, value in readout.items()})


class NetworkScorer:
    """A Siamese Network of integers, programmed with the template's spikes; the read-out is decoded on the host."""

    def __init__(self, network: Network, student: Student) -> None:
        """student: lends the two constants that turn the box read-out into pixels."""
        self._network, self._student = network, student
        self._templates = fused.compile(network.template_network())
        self._search: fused.Runner | None = None

    def program(self, template: Pixels) -> None:
        spikes = self._templates.run({self._templates.network.inputs[0].name: template}).spikes
        self._search = fused.compile(self._network.programmed({name: value[0] for name, value in spikes.items()}))

    def score(self, search: Pixels) -> ScoreMap:
        assert self._search is not None, "program() comes first"
        readout = self._search.run({self._search.network.inputs[0].name: search}).membranes
        return decode(self._student, {name: value / WEIGHT_SCALE for name, value in readout.items()})


def decode(student: Student, readout: Mapping[str, npt.NDArray[np.float64]]) -> ScoreMap:
    """Score and side distances from the read-outs of one frame, in SLAYER units (1, channel, row, column)."""
    score = _sigmoid(readout["class"][0, 0]) * _sigmoid(readout["centre"][0, 0])
    raw = torch.from_numpy(np.asarray(readout["box"], dtype=np.float32))
    with torch.inference_mode():
        distances = student.distances(raw)[0].double().numpy()
    return ScoreMap(score, distances)


def _sigmoid(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-values))


def _images(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32))
