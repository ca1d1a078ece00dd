"""A trained student as a search varies it: its integers, what tracks with them, and what one of its frames does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from netx import Network
from pipeline.core.operations import LayerWork
from pipeline.datasets.clip import Clip
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.deployed import Deployed
from pipeline.tasks.tracking.operations import Recorded, by_engine
from pipeline.tasks.tracking.predictor import Geometry, Pixels, Scorer, search_pixels, template_pixels
from pipeline.tasks.tracking.trackers import is_model


class Subject(ABC):
    """A student and the tracking loop around it."""

    time_steps: int = 1
    """How often a frame is shown."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed

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
        return []

    def network(self) -> Network:
        """Its integers. Raises QuantizeError where it has none, as a student of several time steps."""
        return self._deployed.network()

    @abstractmethod
    def reference(self) -> Scorer:
        """On its real-valued weights."""

    def scorer(self, network: Network | None) -> Scorer:
        """With ``network`` as its integers; None for a student of several time steps, which tracks in torch."""
        assert network is not None, "a single time step has integers"
        return self._deployed.scorers(network)["integer"]

    def recorded(self, network: Network | None, sequence: Clip, frames: list[int]) -> Iterator[Recorded]:
        """What the search branch does with some frames of a sequence, time step by time step.

        Each frame is cropped around the true box of the one before. network: as for ``scorer``.
        """
        assert network is not None, "a single time step has integers"
        yield self.looked(network, *self._crops(sequence, frames))

    def looked(self, network: Network, template: Pixels, search: Pixels) -> Recorded:
        """What the search branch does with ``search`` once it is programmed for ``template``; pixels of the crops that
        the tracking loop makes, (frame, 3, side, side)."""
        return by_engine(network, self._entering(template), self._entering(search))

    @abstractmethod
    def _entering(self, pixels: Pixels) -> np.ndarray:
        """What enters the chip, int32, of the tracking loop's crops."""

    def _crops(self, sequence: Clip, frames: list[int]) -> tuple[Pixels, Pixels]:
        """The template, and the frames around the true box of the one before each."""
        geometry, settings = self.geometry, self.settings
        template = template_pixels(sequence.frames[0], sequence.boxes[0], geometry, settings)
        search = [search_pixels(sequence.frames[i], sequence.boxes[i - 1], geometry, settings) for i in frames]
        return template, np.concatenate(search)


def open_subject(checkpoint: Path) -> Subject:
    """The student in a checkpoint. Raises FormatError when the file is none, MonospikeError when it doesn't spike."""
    # Each is imported when it is asked for: a run's own student is built of SLAYER's blocks, and brings Lava with it.
    if is_model(str(checkpoint)):
        from pipeline.tasks.tracking.model_subject import open_model

        return open_model(checkpoint)
    from pipeline.tasks.tracking.demo_subject import open_own

    return open_own(checkpoint)
