"""Models of detection as safetensors files that say what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter

from pipeline.core.config import Section
from pipeline.core.task import Processing
from pipeline.tasks.checkpoint import read_checkpoint
from pipeline.tasks.detection.config import DetectorProcessing
from pipeline.tasks.detection.detector import Model
from pipeline.tasks.detection.models.config import ModelConfig, SpikingYoloxConfig, YoloxConfig
from pipeline.tasks.detection.models.spiking import SpikingYolox
from pipeline.tasks.detection.models.yolox import Yolox


class DetectorFamily:
    """YOLOX and its spiking students, as ``pipeline.tasks.checkpoint`` needs to know them."""

    name: ClassVar[str] = "detection"
    processing_type: ClassVar[type[Processing]] = DetectorProcessing
    not_compared: ClassVar[Mapping[str, Literal["checkpoint", "configuration"]]] = {"thresholds": "checkpoint"}

    def build_model(self, architecture: Any) -> Model:
        """A model with weights at random."""
        if isinstance(architecture, YoloxConfig):
            return Yolox(architecture)
        assert isinstance(architecture, SpikingYoloxConfig), "there is no other"
        return SpikingYolox(architecture)

    def parse_architecture(self, text: str) -> Section:
        """Raises pydantic's ValidationError."""
        kinds: TypeAdapter[Section] = TypeAdapter(ModelConfig)
        return kinds.validate_json(text)


def load_with_processing(path: Path) -> tuple[Model, DetectorProcessing]:
    """The model that ``path`` holds, in evaluation mode, and what is done around it.

    Raises FormatError when the file is missing, incomplete, not finite, no model of ours, or of an older format.
    """
    family = DetectorFamily()
    stored = read_checkpoint(path, family)
    model, processing = stored.model(family), stored.processing
    assert isinstance(model, (Yolox, SpikingYolox)), "the family builds no other"
    assert isinstance(processing, DetectorProcessing), "the family has no other"
    return model, processing
