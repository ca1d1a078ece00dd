"""Models of tracking as safetensors files that say what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from pydantic import TypeAdapter
from torch import nn

from pipeline.core.config import Section
from pipeline.core.task import Processing
from pipeline.tasks import checkpoint
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.config import ModelConfig, SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp

Model: TypeAlias = SiamFCpp | SpikingSiamFCpp
Architecture: TypeAlias = SiamFCppConfig | SpikingConfig

_ARCHITECTURE: TypeAdapter[Architecture] = TypeAdapter(ModelConfig)


class SiameseFamily:
    """SiamFC++ and its spiking students, as ``pipeline.tasks.checkpoint`` needs to know them."""

    name: ClassVar[str] = "tracking"
    processing_type: ClassVar[type[Processing]] = TrackerConfig
    # Thresholds are calibrated, and the file's; how often the image is shown is the training's.
    not_compared: ClassVar[Mapping[str, Literal["checkpoint", "configuration"]]] = {
        "thresholds": "checkpoint",
        "time_steps": "configuration",
    }

    def build_model(self, architecture: Section) -> Model:
        """A model with weights at random."""
        if isinstance(architecture, SiamFCppConfig):
            return SiamFCpp(architecture)
        assert isinstance(architecture, SpikingConfig), "the family has no third architecture"
        return SpikingSiamFCpp(architecture)

    def parse_architecture(self, text: str) -> Architecture:
        """Raises pydantic's ValidationError."""
        return _ARCHITECTURE.validate_json(text)


FAMILY = SiameseFamily()


def build(config: Architecture) -> Model:
    """A model with weights at random."""
    return FAMILY.build_model(config)


def save_model(
    model: Model, path: Path, notes: Mapping[str, str] | None = None, processing: TrackerConfig | None = None
) -> None:
    """Write weights, architecture and processing; the file appears whole or not at all."""
    checkpoint.save_checkpoint(model, FAMILY.name, processing or TrackerConfig(), path, notes)


def load_model(path: Path, time_steps: int | None = None) -> Model:
    """The model that ``path`` holds, in evaluation mode. time_steps: of a spiking one, in place of its own.

    Raises FormatError when the file is missing, incomplete, not finite, no model of ours, or of an older format.
    """
    return load_with_processing(path, time_steps)[0]


def load_with_processing(path: Path, time_steps: int | None = None) -> tuple[Model, TrackerConfig]:
    """``load_model``, and the crops and post-processing that were saved with the weights."""
    stored = checkpoint.read_checkpoint(path, FAMILY)
    spiking = isinstance(stored.architecture, SpikingConfig)
    changes = {"time_steps": time_steps} if time_steps is not None and spiking else {}
    return _model(stored.model(FAMILY, changes)), _tracker(stored.processing)


def load_processing(path: Path) -> TrackerConfig:
    """The crops and post-processing that were saved with the weights. Raises FormatError as ``load_model`` does."""
    return _tracker(checkpoint.read_checkpoint(path, FAMILY).processing)


def check_crops(stored: TrackerConfig, wanted: TrackerConfig, path: Path) -> None:
    """Raises FormatError naming key and values where ``wanted`` has other crops than the weights in ``path`` were
    trained with."""
    checkpoint.processed(stored, wanted.model_dump(include=set(wanted.trained_with)), str(path))


def start_from(path: Path, config: Architecture, processing: TrackerConfig | None = None) -> Model:
    """``load_model`` for a training of ``config``. Time steps are ``config``'s, calibrated thresholds the file's.

    Raises FormatError also when the file holds another architecture, or was trained with other crops.
    """
    return _model(checkpoint.start_from(path, config, processing or load_processing(path), FAMILY))


def _model(model: nn.Module) -> Model:
    assert isinstance(model, (SiamFCpp, SpikingSiamFCpp)), "the family builds no other"
    return model


def _tracker(processing: Processing) -> TrackerConfig:
    assert isinstance(processing, TrackerConfig), "the family has no other"
    return processing
