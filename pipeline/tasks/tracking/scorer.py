"""A model as the tracking loop's network: in torch, or in integers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import Network
from pipeline.tasks.tracking.checkpoint import Model
from pipeline.tasks.tracking.models.config import STRIDE, SiameseConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.predictor import Geometry, Pixels, ScoreMap
from quantize.slayer import WEIGHT_SCALE
from sim import engine
from sim.recording import Recording


def geometry_of(config: SiameseConfig) -> Geometry:
    """The crops of a model: all 8 bits of a pixel, of which a chip's encoder takes what it has bits for."""
    return Geometry(config.template, config.search, STRIDE, 8)


class ModelScorer:
    """A model in torch, as it stands: a student on its integers, or on its real-valued weights within
    ``float_weights()``."""

    def __init__(self, model: Model, device: torch.device | None = None) -> None:
        self._model, self._device = model.eval(), device or torch.device("cpu")
        self._target: Mapping[str, Tensor] = {}

    def program(self, template: Pixels) -> None:
        with torch.inference_mode():
            self._target = self._model.program(self._crops(template))

    def score(self, search: Pixels) -> ScoreMap:
        with torch.inference_mode():
            return score_map(self._model.respond(self._target, self._crops(search)))

    def _crops(self, pixels: Pixels) -> Tensor:
        return crops_of(pixels).to(self._device)


class IntegerScorer:
    """A single-step student as its network of integers on the exact engine; the host does the rest in real values.

    network: both branches, the template not programmed.
    """

    def __init__(self, student: SpikingSiamFCpp, network: Network | None = None) -> None:
        """network: the student's, where it is at hand. Raises QuantizeError or HeadroomError as ``to_network`` does."""
        self._student, self.network = student.eval(), to_network(student) if network is None else network
        chip = student.config.head == "chip"
        templates = self.network.template_network() if chip else self.network.subnetwork(["template_conv5"])
        self._templates = engine.compile(templates)
        # Without a correlation on the chip the search side is the same for every target.
        self._search = None if chip else engine.compile(self.network.subnetwork(["search_conv5"]))
        self._target: Mapping[str, Tensor] = {}

    @property
    def exact(self) -> bool:
        """Whether the host has no part in it, so that all sums are of integers."""
        return self._student.config.encoder == self._student.config.head == "chip"

    def program(self, template: Pixels) -> None:
        recording = self._run(self._templates, template)
        if self._student.config.head == "chip":
            spikes = {name: value[0] for name, value in recording.spikes.items()}
            self._search = engine.compile(self.network.programmed(spikes))
            return
        with torch.inference_mode():
            self._target = self._student.matcher.program(self._features(recording, "template_conv5"))

    def score(self, search: Pixels) -> ScoreMap:
        assert self._search is not None, "program() comes first"
        recording = self._run(self._search, search)
        with torch.inference_mode():
            if self._student.config.head == "host":
                return score_map(self._student.matcher.respond(self._target, self._features(recording, "search_conv5")))
            answer = {name: _units(recording.membranes[name]) for name in self._search.network.outputs}
            return score_map({**answer, "distances": self._student.decoder(answer["box"])})

    def _run(self, runner: engine.Compiled, pixels: Pixels) -> Recording:
        return runner.run({runner.network.inputs[0].name: self._entering(pixels)})

    def _entering(self, pixels: Pixels) -> npt.NDArray[np.integer]:
        """What the chip is given, as ``SpikingSiamFCpp.chip_input`` says; pixels never leave integers."""
        if self._student.config.encoder == "chip":
            return pixels >> (8 - self._student.config.pixel_bits)
        with torch.inference_mode():
            return self._student.chip_input(crops_of(pixels)).numpy().astype(np.uint8)

    def _features(self, recording: Recording, layer: str) -> Tensor:
        if self._student.config.conv5 == "real":
            return self._student.feature_norm(_units(recording.membranes[layer]))
        return torch.from_numpy(recording.spikes[layer]).float()


def crops_of(pixels: Pixels) -> Tensor:
    """Crops, uint8, from the tracking loop's signed pixels of 8 bits."""
    return torch.from_numpy(pixels.view(np.uint8) ^ np.uint8(128))  # the highest bit tells the two forms apart


def score_map(answer: Mapping[str, Tensor]) -> ScoreMap:
    """The first frame of a model's answer."""
    score = torch.sigmoid(answer["class"][0, 0].double()) * torch.sigmoid(answer["centre"][0, 0].double())
    return ScoreMap(score.cpu().numpy(), answer["distances"][0].double().cpu().numpy())


def _units(membranes: npt.NDArray[np.int32]) -> Tensor:
    """Weight units as SLAYER units."""
    return torch.from_numpy(membranes.astype(np.float32) / WEIGHT_SCALE)
