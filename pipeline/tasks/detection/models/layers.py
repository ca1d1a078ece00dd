"""The blocks that a real-valued YOLOX is built of.

As in Megvii-BaseDetection/YOLOX 6ddff48, yolox/models/network_blocks.py: no biases beside those of norms, padding
that keeps sizes, SiLU everywhere.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPSILON, NORM_MOMENTUM = 1e-3, 0.03
"""Of all batch norms (yolox/exp/yolox_base.py)."""

POOLED = (5, 9, 13)
"""Windows of the pyramid pooling."""


class ConvNorm(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, NORM_EPSILON, NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.norm(self.conv(x)), inplace=True)


def convolution(inputs: int, outputs: int, kernel: int, stride: int, depthwise: bool) -> nn.Module:
    """One ``ConvNorm``, or where ``depthwise`` one a channel and one over channels."""
    if not depthwise:
        return ConvNorm(inputs, outputs, kernel, stride)
    return nn.Sequential(ConvNorm(inputs, inputs, kernel, stride, groups=inputs), ConvNorm(inputs, outputs, 1))


class Focus(nn.Module):
    """The stem: four pixels in a square become the channels of one, then a convolution of 3x3."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvNorm(4 * inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        # Upper left, lower left, upper right, lower right.
        corners = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.conv(torch.cat(corners, dim=1))


class Bottleneck(nn.Module):
    """Convolutions of 1x1 and 3x3, and around them a shortcut where wanted."""

    def __init__(self, channels: int, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        self.first, self.second = ConvNorm(channels, channels, 1), convolution(channels, channels, 3, 1, depthwise)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        return x + y if self.shortcut else y


class CspLayer(nn.Module):
    """Cross-stage partial layer: half of the channels go through ``repeats`` bottlenecks, the other half around."""

    def __init__(self, inputs: int, outputs: int, repeats: int, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.through, self.around = ConvNorm(inputs, half, 1), ConvNorm(inputs, half, 1)
        self.bottlenecks = nn.Sequential(*(Bottleneck(half, shortcut, depthwise) for _ in range(repeats)))
        self.join = ConvNorm(2 * half, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(torch.cat([self.bottlenecks(self.through(x)), self.around(x)], dim=1))


class PyramidPooling(nn.Module):
    """SPP: a map beside its maxima in windows of several sizes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = inputs // 2
        self.reduce, self.join = ConvNorm(inputs, half, 1), ConvNorm(half * (1 + len(POOLED)), outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        return self.join(torch.cat([x, *(F.max_pool2d(x, side, 1, side // 2) for side in POOLED)], dim=1))
