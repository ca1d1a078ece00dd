"""A spiking student that ``monospike train`` has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from netx import Network
from netx.errors import MonospikeError
from pipeline.deploy.verification import Target
from pipeline.tasks.checkpoint import processed
from pipeline.tasks.tracking.checkpoint import load_with_processing
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.predictor import Geometry, Pixels, Scorer
from pipeline.tasks.tracking.real_valued import RealValued
from pipeline.tasks.tracking.scorer import IntegerScorer, ModelScorer, crops_of, geometry_of
from pipeline.tasks.tracking.slayer_recording import Answers, answer_searches, recording, slayer_twin
from sim.recording import Recording

_PIXEL_BITS = 8
"""Of the crops that the tracking loop makes; the chip takes the upper ones."""


def trained_model(checkpoint: Path, changes: TrackerConfig) -> TrainedModel:
    """The student in a checkpoint. changes: post-processing that is other than what was saved with it.

    Raises FormatError when the file is no model's, or was trained with other crops than ``changes`` asks for,
    MonospikeError when not all of it is on the chip at one time step.
    """
    model, stored = load_with_processing(checkpoint)
    if not isinstance(model, SpikingSiamFCpp):
        raise MonospikeError(f"{checkpoint}: holds no spiking network; deploy the student that learned from it")
    if model.config.head != "chip" or model.config.encoder != "chip":
        raise MonospikeError(f"{checkpoint}: has an encoder or a head on the host; deploy one that is all on the chip")
    settings = processed(stored, changes.model_dump(exclude_unset=True), str(checkpoint))
    assert isinstance(settings, TrackerConfig), "a copy"
    return TrainedModel(model, settings)


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """See ``Deployed``."""

    model: SpikingSiamFCpp
    settings: TrackerConfig

    @property
    def geometry(self) -> Geometry:
        return geometry_of(self.model.config)

    @property
    def chip_geometry(self) -> Geometry:
        config = self.model.config
        return Geometry(config.template, config.search, self.geometry.stride, config.pixel_bits)

    def network(self) -> Network:
        return to_network(self.model)

    def record(self, target: Target) -> Mapping[str, Recording]:
        twin = slayer_twin(self.model)
        templates, searches = (self._crops(target.frames[branch]) for branch in ("template", "search"))
        with torch.inference_mode():
            # All frames as templates, for the template branch; the first is the target that the others look for.
            programmed = twin.program(crops_of(templates))
            first = twin.program(crops_of(templates[:1]))
        return {
            "template": recording(
                "slayer", target.networks["template"], Answers(target.frames["template"].astype(np.int32), programmed)
            ),
            "search": recording("slayer", target.networks["search"], answer_searches(twin, first, searches)),
        }

    def scorers(self, network: Network) -> Mapping[str, Scorer]:
        by_float = RealValued(self.model, ModelScorer(self.model))
        return {"float": by_float, "integer": IntegerScorer(self.model, network)}

    def _crops(self, chip_pixels: Pixels) -> Pixels:
        """Crops of 8 bits of which ``chip_pixels`` are the upper bits."""
        return (chip_pixels.astype(np.int16) << (_PIXEL_BITS - self.model.config.pixel_bits)).astype(np.int8)
