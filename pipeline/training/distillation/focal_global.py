"""What attention a map of features draws, and how its positions relate: the parts of focal and global distillation.

Yang et al., "Focal and Global Knowledge Distillation for Detectors" (CVPR 2022), by its released code, yzd-v/FGD
(mmdet/distillation/losses/fgd.py), which foreground-separation distillation takes over. Maps are (frame, channel, row,
column), ``N C H W``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(NamedTuple):
    """Logarithms, whose exponentials have the mean 1 in each frame. positions: (frame, row, column). channels: (frame,
    channel)."""

    positions: Tensor
    channels: Tensor

    def weighted(self, maps: Tensor) -> Tensor:
        """``F sqrt(A_s) sqrt(A_c)``. (Of a logarithm the root has a slope that is finite where the softmax is 0.)"""
        return maps * (self.positions / 2).exp()[:, None] * (self.channels / 2).exp()[..., None, None]


def attention_of(maps: Tensor, temperature: float) -> Attention:
    """``A_s = H W softmax_hw(mean_c |F| / T)`` and ``A_c = C softmax_c(mean_hw |F| / T)``."""
    strength = maps.abs()
    by_position, by_channel = strength.mean(dim=1) / temperature, strength.mean(dim=(2, 3)) / temperature
    positions = F.log_softmax(by_position.flatten(1), dim=1).view_as(by_position)
    channels = F.log_softmax(by_channel, dim=1)
    return Attention(positions + math.log(by_position[0].numel()), channels + math.log(maps.shape[1]))


def attention_difference(student: Attention, teacher: Attention) -> Tensor:
    """``(sum |A_s - A_s'| + sum |A_c - A_c'|) / N``."""
    pairs = zip(student, teacher, strict=True)
    differences = [(ours.exp() - theirs.exp()).abs().sum() for ours, theirs in pairs]
    return (differences[0] + differences[1]) / len(student.channels)


def weighted_squares(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """``sum M (F - F')^2 / N`` of maps that attention has weighted. mask: (frame, row, column)."""
    return (mask[:, None] * (student - teacher).square()).sum() / len(mask)


class Relation(nn.Module):
    """``sum (R(F) - R'(F'))^2 / N``, ``R`` and ``R'`` a block of global context each (Cao et al., "GCNet", 2019):

    ``R(F) = F + W2 relu(norm(W1 context))``, ``context = sum_hw F softmax_hw(w F)``, a vector for each frame. ``w``,
    ``W1`` and ``W2`` are 1x1 convolutions to 1, half the channels and all of them. ``W2`` begins as zero.
    """

    def __init__(self, channels: int, pooled_by_teacher: bool) -> None:
        """pooled_by_teacher: the teacher's ``w`` finds the student's context, too, which then has none of its own."""
        super().__init__()
        self._pools_itself = not pooled_by_teacher
        self.pooling = nn.ModuleDict({"teacher": _pooling(channels)})
        if self._pools_itself:
            self.pooling["student"] = _pooling(channels)
        self.transform = nn.ModuleDict({"student": _transform(channels), "teacher": _transform(channels)})

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of maps of as many channels each; a scalar."""
        ours = self._added(student, "student", "student" if self._pools_itself else "teacher")
        theirs = self._added(teacher, "teacher", "teacher")
        return (student - teacher + (ours - theirs)).square().sum() / len(student)

    def _added(self, maps: Tensor, whose: str, pooled_by: str) -> Tensor:
        """``R(F) - F``: (frame, channel, 1, 1)."""
        weights = self.pooling[pooled_by](maps).flatten(2).softmax(dim=2)
        context = (maps.flatten(2) @ weights.transpose(1, 2))[..., None]
        added: Tensor = self.transform[whose](context)
        return added


def _pooling(channels: int) -> nn.Conv2d:
    convolution = nn.Conv2d(channels, 1, 1)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution


def _transform(channels: int) -> nn.Sequential:
    hidden = max(channels // 2, 1)
    last = nn.Conv2d(hidden, channels, 1)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.LayerNorm([hidden, 1, 1]), nn.ReLU(), last)
