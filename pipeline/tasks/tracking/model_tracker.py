"""A model of ``monospike train`` as a tracker: a SiamFC++ teacher, or a spiking student in either form."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from netx.errors import MonospikeError
from pipeline.tasks.tracking.checkpoint import Model, check_crops, load_with_processing
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.predictor import Scorer, Siamese
from pipeline.tasks.tracking.real_valued import RealValued
from pipeline.tasks.tracking.scorer import IntegerScorer, ModelScorer, geometry_of


def model_tracker(checkpoint: Path, engine: Literal["float", "integer"], settings: TrackerConfig) -> Siamese:
    """The model in a checkpoint, whose architecture stands in the file itself.

    engine: ``float`` runs real-valued weights, ``integer`` the student's network of integers on the exact engine.
    settings: crops and post-processing.

    Raises FormatError when the file is no model's, or was trained with other crops, MonospikeError when it has no
    integers, HeadroomError when the proof fails.
    """
    model, stored = load_with_processing(checkpoint)
    check_crops(stored, settings, checkpoint)
    return around(_scorer(model, checkpoint, engine), model, settings)


def around(scorer: Scorer, model: Model, settings: TrackerConfig) -> Siamese:
    """The tracking loop of ``model`` with ``scorer`` as its network; settings: as saved with the model."""
    return Siamese(scorer, geometry_of(model.config), settings)


def _scorer(model: Model, checkpoint: Path, engine: str) -> Scorer:
    if isinstance(model, SpikingSiamFCpp):
        return RealValued(model, ModelScorer(model)) if engine == "float" else IntegerScorer(model)
    if engine != "float":
        raise MonospikeError(f"{checkpoint}: holds no spiking network and has no integers; use --engine float")
    return ModelScorer(model)
