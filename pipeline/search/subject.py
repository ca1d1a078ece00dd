"""A trained model as a search varies it: its integers, what tracks with them, and what one of its frames does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netx import Network
from netx.errors import MonospikeError
from pipeline.config import TrackerConfig
from pipeline.convert import to_network
from pipeline.data import Sequence
from pipeline.deployed import OwnStudent, TrainedModel
from pipeline.models.checkpoint import load_model
from pipeline.models.scorer import ModelScorer, crops_of
from pipeline.models.spiking import SpikingSiamFCpp
from pipeline.study.work import LayerWork, Recorded, View, by_engine, by_model, chip_input, on_host
from pipeline.track import Geometry, Pixels, Scorer, search_pixels, template_pixels
from pipeline.trackers import is_model
from pipeline.trackers.model import CONTEXT
from pipeline.trackers.real_valued import RealValued
from pipeline.trackers.settings import settings_for
from pipeline.trackers.student import stored_config
from pipeline.train import load_checkpoint


@dataclass(frozen=True, eq=False)
class Subject:
    """A student and the tracking loop around it."""

    deployed: OwnStudent | TrainedModel

    @property
    def geometry(self) -> Geometry:
        """Of the crops that the tracking loop makes."""
        return self.deployed.geometry

    @property
    def settings(self) -> TrackerConfig:
        """Of the tracking loop."""
        return self.deployed.settings

    @property
    def time_steps(self) -> int:
        """How often a frame is shown."""
        return 1 if isinstance(self.deployed, OwnStudent) else self.deployed.model.time_steps

    @property
    def on_host(self) -> list[LayerWork]:
        """What the model does in real values wherever it runs: parts that were never trained as integers."""
        return [] if isinstance(self.deployed, OwnStudent) else on_host(self.deployed.model)

    def network(self) -> Network:
        """Its integers. Raises QuantizeError where it has none, as a student of several time steps."""
        return self.deployed.network()

    def reference(self) -> Scorer:
        """On its real-valued weights."""
        if isinstance(self.deployed, OwnStudent):
            return self.deployed.scorers(to_network(self.deployed.student))["float"]
        return RealValued(self.deployed.model, ModelScorer(self.deployed.model))

    def scorer(self, network: Network | None) -> Scorer:
        """With ``network`` as its integers; None for a student of several time steps, which tracks in torch."""
        if network is None:
            assert isinstance(self.deployed, TrainedModel), "the others have one time step"
            return ModelScorer(self.deployed.model)
        return self.deployed.scorers(network)["integer"]

    def recorded(self, network: Network | None, sequence: Sequence, frames: list[int]) -> Iterator[Recorded]:
        """What the search branch does with some frames of a sequence, time step by time step.

        Each frame is cropped around the true box of the one before. network: as for ``scorer``.
        """
        geometry, settings = self.geometry, self.settings
        template = template_pixels(sequence.frames[0], sequence.boxes[0], geometry, settings)
        search = np.concatenate(
            [search_pixels(sequence.frames[i], sequence.boxes[i - 1], geometry, settings) for i in frames]
        )
        if network is not None:
            yield self.looked(network, template, search)
            return
        assert isinstance(self.deployed, TrainedModel), "the others have one time step"
        yield from by_model(self.deployed.model, [View(crops_of(template), crops_of(search))])

    def looked(self, network: Network, template: Pixels, search: Pixels) -> Recorded:
        """What the search branch does with ``search`` once it is programmed for ``template``; pixels of the crops that
        the tracking loop makes, (frame, 3, side, side)."""
        return by_engine(network, self._entering(template), self._entering(search))

    def _entering(self, pixels: Pixels) -> np.ndarray:
        if isinstance(self.deployed, OwnStudent):
            return pixels.astype(np.int32)
        return chip_input(self.deployed.model, crops_of(pixels))


def open_subject(checkpoint: Path) -> Subject:
    """The student in a checkpoint. Raises FormatError when the file is none, MonospikeError when it doesn't spike."""
    if not is_model(str(checkpoint)):
        student = load_checkpoint(checkpoint, stored_config(checkpoint))
        return Subject(OwnStudent(student, settings_for(False, None)))
    model = load_model(checkpoint)
    if not isinstance(model, SpikingSiamFCpp):
        raise MonospikeError(f"{checkpoint}: holds no spiking network; take a student that learned from it")
    return Subject(TrainedModel(model, settings_for(True, None).model_copy(update={"context": CONTEXT})))
