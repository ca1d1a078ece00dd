"""The teacher: YOLOX, to be read from top to bottom.

The architecture is that of Megvii-BaseDetection/YOLOX 6ddff48 (yolox/models/darknet.py, yolo_pafpn.py, yolo_head.py):
a CSPDarknet, a neck that carries its three maps down to the finest and up again (PAFPN), and one head a map.
Each cell of a map stands for one box.

Every model of a detector answers for each of its strides S, 8, 16 and 32, with (frame, channel, row, column) of the
picture's sides over S:

    features_S    what the neck hands to the head (spikes, of a student)
    class_S       logits of the classes
    object_S      logit of there being an object
    box_S         centre and size as ``pipeline.tasks.detection.decoding`` reads them
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.mobilenet import MobileNetV2
from pipeline.tasks.detection.models.config import STRIDES, Size, YoloxConfig
from pipeline.tasks.detection.models.layers import ConvNorm, CspLayer, Focus, PyramidPooling, convolution

Tensors: TypeAlias = dict[str, Tensor]

READOUTS = ("class", "object", "box")
"""What a head says of every cell."""

PRIOR = 0.01
"""Probability of every class, and of an object, before training."""

HEAD_CHANNELS = 256
"""Of every layer in the heads, at width 1."""


def readout_channels(readout: str, classes: int) -> int:
    """How many numbers one of ``READOUTS`` has for a cell."""
    return {"class": classes, "object": 1, "box": 4}[readout]


class CspDarknet(nn.Module):
    """The backbone. channels: of the maps at strides 8, 16 and 32."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        base, repeats, depthwise = size.channels(64), max(size.repeats(3), 1), size.depthwise
        self.channels = (4 * base, 8 * base, 16 * base)
        self.stem = Focus(3, base)
        self.stages = nn.ModuleList()
        for index, times in enumerate((1, 3, 3, 1)):
            inputs, last = base << index, index == 3
            outputs = 2 * inputs
            layers = [convolution(inputs, outputs, 3, 2, depthwise)]
            if last:
                layers.append(PyramidPooling(outputs, outputs))
            layers.append(CspLayer(outputs, outputs, times * repeats, shortcut=not last, depthwise=depthwise))
            self.stages.append(nn.Sequential(*layers))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The three maps, the finest first."""
        x, maps = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[1:]


class Neck(nn.Module):
    """PAFPN: from the coarsest map to the finest and back, each way with what it meets beside it.

    inputs: channels of the backbone's maps. channels: of the neck's.
    """

    def __init__(self, inputs: tuple[int, ...], size: Size) -> None:
        super().__init__()
        fine, middle, coarse = self.channels = tuple(size.channels(full) for full in (256, 512, 1024))
        repeats, depthwise = size.repeats(3), size.depthwise

        def csp(inputs: int, outputs: int) -> CspLayer:
            return CspLayer(inputs, outputs, repeats, shortcut=False, depthwise=depthwise)

        self.reduce_coarse, self.down_middle = ConvNorm(inputs[2], middle, 1), csp(middle + inputs[1], middle)
        self.reduce_middle, self.down_fine = ConvNorm(middle, fine, 1), csp(fine + inputs[0], fine)
        self.shrink_fine, self.up_middle = convolution(fine, fine, 3, 2, depthwise), csp(2 * fine, middle)
        self.shrink_middle, self.up_coarse = convolution(middle, middle, 3, 2, depthwise), csp(2 * middle, coarse)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Three maps to three of the same sides."""
        coarse = self.reduce_coarse(maps[2])
        middle = self.reduce_middle(self.down_middle(torch.cat([_doubled(coarse), maps[1]], dim=1)))
        fine = self.down_fine(torch.cat([_doubled(middle), maps[0]], dim=1))
        middle = self.up_middle(torch.cat([self.shrink_fine(fine), middle], dim=1))
        return [fine, middle, self.up_coarse(torch.cat([self.shrink_middle(middle), coarse], dim=1))]


class Head(nn.Module):
    """Decoupled: after a common stem one way to the class, and another one to object and box."""

    def __init__(self, inputs: int, classes: int, size: Size) -> None:
        super().__init__()
        channels = size.channels(HEAD_CHANNELS)
        self.stem = ConvNorm(inputs, channels, 1)
        self.towers = nn.ModuleDict()
        for branch in ("class", "box"):
            layers = [convolution(channels, channels, 3, 1, size.depthwise) for _ in range(2)]
            self.towers[branch] = nn.Sequential(*layers)
        self.readouts = nn.ModuleDict(
            {name: nn.Conv2d(channels, readout_channels(name, classes), 1) for name in READOUTS}
        )
        for name in ("class", "object"):
            bias = self.readouts[name].bias
            assert isinstance(bias, Tensor)
            nn.init.constant_(bias, -math.log((1 - PRIOR) / PRIOR))

    def forward(self, features: Tensor) -> Tensors:
        """By the names of ``READOUTS``."""
        x = self.stem(features)
        by_branch = {branch: tower(x) for branch, tower in self.towers.items()}
        return {name: layer(by_branch["class" if name == "class" else "box"]) for name, layer in self.readouts.items()}


class Yolox(nn.Module):
    """The whole network. Pictures are RGB, 0..255, (frame, 3, row, column) of multiples of 32 pixels."""

    def __init__(self, config: YoloxConfig) -> None:
        super().__init__()
        self.config = config
        mobilenet = config.backbone == "mobilenet_v2"
        self.backbone = MobileNetV2(frozen=config.frozen) if mobilenet else CspDarknet(config.size)
        self.neck = Neck(self.backbone.channels, config.size)
        self.heads = nn.ModuleDict(
            {
                str(stride): Head(channels, config.classes, config.size)
                for stride, channels in zip(STRIDES, self.neck.channels, strict=True)
            }
        )

    def forward(self, images: Tensor) -> Tensors:
        maps = self.neck(self.backbone(images.float().contiguous(memory_format=torch.channels_last)))
        tensors: Tensors = {}
        for stride, features in zip(STRIDES, maps, strict=True):
            tensors[f"features_{stride}"] = features
            said = self.heads[str(stride)](features)
            tensors |= {f"{name}_{stride}": value.float() for name, value in said.items()}
        return tensors


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="nearest")
