"""A trained student as a search varies it: its integers, what tracks with them, and what one of its frames does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx import Network
from pipeline.core.operations import LayerWork, Recorded
from pipeline.datasets.clip import Clip
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.deployable import TrainedModel, spiking_model
from pipeline.tasks.tracking.operations import View, by_engine, by_model, chip_input, on_host
from pipeline.tasks.tracking.predictor import Geometry, Pixels, Scorer, search_pixels, template_pixels
from pipeline.tasks.tracking.real_valued import RealValued
from pipeline.tasks.tracking.scorer import ModelScorer, crops_of


class Subject:
    """A student and the tracking loop around it. time_steps: how often a frame is shown."""

    def __init__(self, deployed: TrainedModel) -> None:
        self._deployed = deployed
        self._model, self.time_steps = deployed.model, deployed.model.time_steps

    @property
    def geometry(self) -> Geometry:
        """Of the crops that the tracking loop makes."""
        return self._deployed.geometry

    @property
    def settings(self) -> TrackerConfig:
        """Of the tracking loop."""
        return self._deployed.settings

    @property
    def on_host(self) -> list[LayerWork]:
        """What the model does in real values wherever it runs: parts that were never trained as integers."""
        return on_host(self._model)

    def network(self) -> Network:
        """Its integers. Raises QuantizeError where it has none, as a student of several time steps."""
        return self._deployed.network()

    def reference(self) -> Scorer:
        """On its real-valued weights."""
        return RealValued(self._model, ModelScorer(self._model))

    def scorer(self, network: Network | None) -> Scorer:
        """With ``network`` as its integers; None for a student of several time steps, which tracks in torch."""
        return ModelScorer(self._model) if network is None else self._deployed.scorers(network)["integer"]

    def recorded(self, network: Network | None, sequence: Clip, frames: list[int]) -> Iterator[Recorded]:
        """What the search branch does with some frames of a sequence, time step by time step.

        Each frame is cropped around the true box of the one before. network: as for ``scorer``.
        """
        template, search = self._crops(sequence, frames)
        if network is None:
            yield from by_model(self._model, [View(crops_of(template), crops_of(search))])
        else:
            yield self.search_frame(network, template, search)

    def search_frame(self, network: Network, template: Pixels, search: Pixels) -> Recorded:
        """What the search branch does with ``search`` once it is programmed for ``template``; pixels of the crops that
        the tracking loop makes, (frame, 3, side, side)."""
        return by_engine(network, self._entering(template), self._entering(search), self._model.roles)

    def _entering(self, pixels: Pixels) -> npt.NDArray[np.int32]:
        """What enters the chip of the tracking loop's crops."""
        return chip_input(self._model, crops_of(pixels))

    def _crops(self, sequence: Clip, frames: list[int]) -> tuple[Pixels, Pixels]:
        """The template, and the frames around the true box of the one before each."""
        geometry, settings = self.geometry, self.settings
        template = template_pixels(sequence.frames[0], sequence.boxes[0], geometry, settings)
        search = [search_pixels(sequence.frames[i], sequence.boxes[i - 1], geometry, settings) for i in frames]
        return template, np.concatenate(search)


def open_subject(checkpoint: Path) -> Subject:
    """The student in a checkpoint. Raises FormatError when the file is none, MonospikeError when it doesn't spike."""
    return Subject(TrainedModel(*spiking_model(checkpoint)))
