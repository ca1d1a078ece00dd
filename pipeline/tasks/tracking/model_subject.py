"""A model of ``monospike train`` as the subject of a search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from netx import Network
from netx.errors import MonospikeError
from pipeline.core.operations import LayerWork
from pipeline.datasets.sequence import Sequence
from pipeline.tasks.tracking.checkpoint import load_with_processing
from pipeline.tasks.tracking.deployable import TrainedModel
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.operations import Recorded, View, by_model, chip_input, on_host
from pipeline.tasks.tracking.predictor import Pixels, Scorer
from pipeline.tasks.tracking.real_valued import RealValued
from pipeline.tasks.tracking.scorer import ModelScorer, crops_of
from pipeline.tasks.tracking.subject import Subject


def open_model(checkpoint: Path) -> Subject:
    """Raises FormatError when the file holds no model, MonospikeError when it doesn't spike."""
    model, stored = load_with_processing(checkpoint)
    if not isinstance(model, SpikingSiamFCpp):
        raise MonospikeError(f"{checkpoint}: holds no spiking network; take a student that learned from it")
    return ModelSubject(TrainedModel(model, stored))


class ModelSubject(Subject):
    """See ``Subject``."""

    def __init__(self, deployed: TrainedModel) -> None:
        super().__init__(deployed)
        self._model, self.time_steps = deployed.model, deployed.model.time_steps

    @property
    def on_host(self) -> list[LayerWork]:
        return on_host(self._model)

    def reference(self) -> Scorer:
        return RealValued(self._model, ModelScorer(self._model))

    def scorer(self, network: Network | None) -> Scorer:
        return ModelScorer(self._model) if network is None else super().scorer(network)

    def recorded(self, network: Network | None, sequence: Sequence, frames: list[int]) -> Iterator[Recorded]:
        if network is not None:
            yield from super().recorded(network, sequence, frames)
            return
        template, search = self._crops(sequence, frames)
        yield from by_model(self._model, [View(crops_of(template), crops_of(search))])

    def _entering(self, pixels: Pixels) -> np.ndarray:
        return chip_input(self._model, crops_of(pixels))
