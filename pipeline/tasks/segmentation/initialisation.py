"""How models start: a teacher's encoders with ImageNet weights."""

from __future__ import annotations

from pathlib import Path

from pipeline.models.mobilenet import MobileNetV2, load_weights
from pipeline.tasks.segmentation.models.stm import Stm


def load_backbones(teacher: Stm, weights: Path) -> Stm:
    """Give both encoders of ``teacher`` the weights of a MobileNetV2 (``monospike backbone``). Raises FormatError where
    the file holds anything else."""
    for encoder in (teacher.encoder, teacher.memory_encoder.backbone):
        assert isinstance(encoder, MobileNetV2), "the configuration has been checked"
        load_weights(encoder, weights)
    return teacher
