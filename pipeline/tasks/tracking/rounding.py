"""What becomes different when a student's real values are rounded to the integers of the chip.

The float reference is the student on its real-valued weights and biases, with the thresholds of the integers. An even
weight is off by at most one weight unit, so is a bias, and ``SpikingSiamFCpp.project`` leaves nothing to clip: a
neuron that sees the same inputs in both can, at one time step, spike in one alone only where its membrane is as near
to the threshold as one unit for each input that is on (for the first layer, for each unit of its pixels) and two for
the bias and its rounding to 1/4096. Whatever else differs follows from inputs that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.core.boxes import iou
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.predictor import track
from pipeline.tasks.tracking.scorer import ModelScorer, geometry_of
from pipeline.tasks.tracking.validation import ValidationSequence, true_crops


@torch.inference_mode()
def rounding_difference(
    student: SpikingSiamFCpp,
    tracks: Sequence[ValidationSequence],
    settings: TrackerConfig,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """JSON values that compare integers with the float reference. The student's mode is left as it was.

    layers: for each layer that spikes, the share of neurons and time steps whose spike differs, ``whole`` where all
    layers before are rounded as well, ``alone`` where only this one is. spikes_differ: ``whole`` over all layers. Crops
    lie around the true boxes. box_iou: mean IoU of the boxes of both as trackers, over the frames after the first of
    each sequence, then over the sequences.
    """
    training = student.training
    student.eval()
    count = _Count()
    for template, searches in true_crops(tracks, geometry_of(student.config), settings, device):
        for search in searches:
            _compare(student, template, search, count)
    boxes = [_box_iou(student, shown, settings, device) for shown in tracks]
    student.train(training)
    return {"box_iou": float(np.mean(boxes)), "spikes_differ": count.share(), "layers": count.layers()}


class _Count:
    """Spikes that differ, by layer: (neurons and steps, whole, alone)."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def add(self, layer: str, integers: Tensor, whole: Tensor, alone: Tensor) -> None:
        count = self._counts.setdefault(layer, [0, 0, 0])
        count[0] += integers.numel()
        for index, other in ((1, whole), (2, alone)):
            count[index] += int((integers != other).sum())

    def share(self) -> float:
        return sum(count[1] for count in self._counts.values()) / sum(count[0] for count in self._counts.values())

    def layers(self) -> dict[str, dict[str, float]]:
        return {name: {"whole": c[1] / c[0], "alone": c[2] / c[0]} for name, c in self._counts.items()}


def _compare(student: SpikingSiamFCpp, template: Tensor, search: Tensor, count: _Count) -> None:
    with _Replay(student) as replay:
        integers = student(template, search)
    with student.float_weights():
        reference, alone = student(template, search), replay.spikes()
    roles = student.roles
    spiking = [name.removeprefix("spikes/") for name in integers if name.startswith("spikes/")]
    # Pooled spikes are those of the layer before.
    for layer, spikes in zip([name for name in spiking if not roles[name].pooling], alone, strict=True):
        count.add(layer, integers[f"spikes/{layer}"], reference[f"spikes/{layer}"], spikes)


class _Replay:
    """Remembers what enters each layer that spikes, in the order they run, to run each by itself again."""

    def __init__(self, student: SpikingSiamFCpp) -> None:
        self._time_steps = student.time_steps
        self._neurons: dict[str, nn.Module] = dict(student.neurons.items())
        self._synapses: dict[str, nn.Module] = dict(student.synapses.items())  # the correlation has none
        self._inputs: list[tuple[str, Tensor]] = []

    def __enter__(self) -> _Replay:
        self._hooks = [
            self._synapses.get(name, neuron).register_forward_pre_hook(
                lambda _, inputs, name=name: self._inputs.append((name, inputs[0]))
            )
            for name, neuron in self._neurons.items()
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def spikes(self) -> list[Tensor]:
        """The spikes of every layer on what it was given then."""
        return [self._spikes(name, values) for name, values in self._inputs]

    def _spikes(self, name: str, values: Tensor) -> Tensor:
        current: Tensor = self._synapses.get(name, nn.Identity())(values)
        spikes: Tensor = self._neurons[name](current.expand(self._time_steps, -1, -1, -1, -1))[0]
        return spikes


def _box_iou(
    student: SpikingSiamFCpp, shown: ValidationSequence, settings: TrackerConfig, device: torch.device | None
) -> float:
    geometry = geometry_of(student.config)
    integers = track(ModelScorer(student, device), shown.frames, shown.boxes[0], geometry, settings)
    with student.float_weights():
        reference = track(ModelScorer(student, device), shown.frames, shown.boxes[0], geometry, settings)
    return float(iou(integers[1:], reference[1:]).mean())
