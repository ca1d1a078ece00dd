"""How a spiking student starts: thresholds from the first pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.tasks.detection.models.spiking import SpikingYolox
from pipeline.training.calibration import calibrated_thresholds

CALIBRATED_BATCHES = 2
"""Batches that thresholds are set on. Ours."""


def calibrate(student: SpikingYolox, pictures: Sequence[Tensor], rate: float) -> SpikingYolox:
    """A student with the weights of ``student``, made of plain layers, and thresholds with which a share ``rate`` of
    each layer's neurons spikes on ``pictures`` (frame, 3, row, column). Thresholds that the configuration names stay;
    the new ones are part of the result's configuration."""
    state = {name: value.clone() for name, value in student.state_dict().items()}  # means are learned in training alone
    given, neurons = student.config.thresholds, dict(student.neurons.items())
    rates = {name: rate for name in neurons if name not in given}
    smallest = min(one.shape[-1] for one in pictures)
    shown = torch.cat([one[..., :smallest, :smallest] for one in pictures])
    found = calibrated_thresholds(neurons, rates, lambda: student(shown))
    calibrated = SpikingYolox(student.config.model_copy(update={"thresholds": {**given, **found}}))
    calibrated.load_state_dict(state)
    return calibrated
