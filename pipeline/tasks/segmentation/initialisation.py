"""How models start: a teacher's encoders with ImageNet weights, a student with thresholds from the first batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.core.task import Batch
from pipeline.models.mobilenet import MobileNetV2, load_weights
from pipeline.tasks.segmentation.models.spiking import SpikingStm
from pipeline.tasks.segmentation.models.stm import Stm
from pipeline.training.calibration import calibrated_thresholds

CALIBRATED_BATCHES = 2
"""Batches that thresholds are set on. Ours."""


def load_backbones(teacher: Stm, weights: Path) -> Stm:
    """Give both encoders of ``teacher`` the weights of a MobileNetV2 (``monospike backbone``). Raises FormatError where
    the file holds anything else."""
    for encoder in (teacher.encoder, teacher.memory_encoder.backbone):
        assert isinstance(encoder, MobileNetV2), "the configuration has been checked"
        load_weights(encoder, weights)
    return teacher


def calibrate(student: SpikingStm, first: Sequence[Batch], rate: float) -> SpikingStm:
    """A student with the weights of ``student``, made of plain layers, and thresholds with which a share ``rate`` of
    each layer's neurons spikes on the clips of ``first``. Thresholds that the configuration names stay; the new ones
    are part of the result's configuration."""
    state = {name: value.clone() for name, value in student.state_dict().items()}  # means are learned in training alone
    given, neurons = student.config.thresholds, student.neurons
    rates = {name: rate for name in neurons if name not in given}
    frames, masks = (torch.cat([batch[name] for batch in first]) for name in ("frames", "masks"))
    found = calibrated_thresholds(neurons, rates, lambda: student(frames, masks))
    calibrated = SpikingStm(student.config.model_copy(update={"thresholds": {**given, **found}}))
    calibrated.load_state_dict(state)
    return calibrated
