"""The teacher: SiamFC++ with the AlexNet backbone, to be read from top to bottom.

The architecture is that of megvii-research/video_analyst (backbone_impl/alexnet_bn.py, common_block.py,
siamese_track.py, track_head.py): no padding, no groups, a norm after each convolution, total stride 8. A template of
127x127 becomes 6x6 features, a search crop of 303x303 28x28; their depth-wise correlation 23x23, the score map 17x17.

Every model of a tracker has two parts: ``program`` turns a template crop into the tensors that stand for the target,
``respond`` answers search crops against them. Both return tensors by name, which is what losses are made of:

    template_features, search_features    the backbone's answer, (frame, channel, row, column)
    class_kernel, box_kernel              the template as it is correlated
    class, centre                         logits, (frame, 1, row, column)
    distances                             left, top, right, bottom distance in crop pixels, (frame, 4, row, column)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.tasks.tracking.models.config import STRIDE, SiameseConfig, SiamFCppConfig, Width

Tensors: TypeAlias = dict[str, Tensor]

KERNELS = ((11, 2), (5, 1), (3, 1), (3, 1), (3, 1))
"""Kernel and stride of the backbone's five convolutions."""

POOLED = (1, 2)
"""The convolutions that a max pooling of 3x3, stride 2, follows. The published one rounds sizes up (``ceil_mode``);
at the crop sides that a configuration allows there is nothing to round."""

BRANCHES = ("class", "box")

PRIOR = 0.01
"""Class probability of every position before training (track_head.py)."""

LARGEST_EXPONENT = 6.0
"""Bound of a distance's logarithm, 3200 pixels: keeps an untrained head finite. Ours."""


class ConvNorm(nn.Module):
    """Convolution without padding, batch norm where wanted, ReLU where wanted."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, norm: bool = True, relu: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.relu(x) if self.relu else x


class Backbone(nn.Module):
    """AlexNet without padding: five convolutions, the last without ReLU."""

    def __init__(self, width: Width) -> None:
        super().__init__()
        channels = (3, *width.backbone)
        for index, (kernel, stride) in enumerate(KERNELS, start=1):
            block = ConvNorm(channels[index - 1], channels[index], kernel, stride, relu=index < len(KERNELS))
            self.add_module(f"conv{index}", block)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for index in range(1, len(KERNELS) + 1):
            x = self.get_submodule(f"conv{index}")(x)
            if index in POOLED:
                x = F.max_pool2d(x, 3, 2)
        return x


class Correlation(nn.Module):
    """Depth-wise cross-correlation: each channel of a search map with the same channel of its template."""

    def forward(self, search: Tensor, kernel: Tensor) -> Tensor:
        frames, channels = search.shape[:2]
        kernels = kernel.expand(frames, -1, -1, -1).flatten(0, 1)[:, None]
        return F.conv2d(search.flatten(0, 1)[None], kernels, groups=frames * channels).unflatten(1, (frames, channels))[
            0
        ]


class Neck(nn.Module):
    """One convolution for each of class and box, and for each of template and search."""

    def __init__(self, inputs: int, outputs: int, deviation: float) -> None:
        super().__init__()
        self.kernels = nn.ModuleDict({branch: ConvNorm(inputs, outputs, 3) for branch in BRANCHES})
        self.maps = nn.ModuleDict({branch: ConvNorm(inputs, outputs, 3) for branch in BRANCHES})
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=deviation)

    def program(self, features: Tensor) -> Tensors:
        """The kernels of both branches from template features."""
        return {f"{branch}_kernel": conv(features) for branch, conv in self.kernels.items()}


class Head(nn.Module):
    """Two towers, and 1x1 read-outs of class and centre-ness from one, of the box from the other."""

    def __init__(self, inputs: int, channels: int, depth: int, deviation: float) -> None:
        super().__init__()
        self.towers = nn.ModuleDict()
        for branch in BRANCHES:
            sizes = [inputs, *[channels] * depth]
            blocks = [
                ConvNorm(sizes[i], sizes[i + 1], 3, norm=i + 1 == depth, relu=True)  # only the last has a norm
                for i in range(depth)
            ]
            self.towers[branch] = nn.Sequential(*blocks)
        self.readouts = nn.ModuleDict(
            {name: ConvNorm(channels, outputs, 1) for name, outputs in (("class", 1), ("centre", 1), ("box", 4))}
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=deviation)
        # The published code gives this to the convolution, where the norm that follows takes it away again.
        nn.init.constant_(self.readouts["class"].norm.bias, -math.log((1 - PRIOR) / PRIOR))

    def forward(self, class_map: Tensor, box_map: Tensor) -> Tensors:
        by_class, by_box = self.towers["class"](class_map), self.towers["box"](box_map)
        return {
            "class": self.readouts["class"](by_class),
            "centre": self.readouts["centre"](by_class),
            "box": self.readouts["box"](by_box),
        }


class BoxDecoder(nn.Module):
    """Distances from the raw box: ``exp(scale * raw + shift) * stride``, both learned (track_head.py)."""

    def __init__(self, config: SiameseConfig) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(())), nn.Parameter(torch.full((), config.box_shift))
        self.half_pixel = config.half_pixel

    def forward(self, box: Tensor) -> Tensor:
        """(frame, 4, row, column): crop pixels to the box's edges, float32."""
        exponent = (box.float() * self.scale + self.shift).clamp(max=LARGEST_EXPONENT)
        # Published boxes run from the centre of their first pixel to that of their last one.
        return torch.exp(exponent) * STRIDE + 0.5 * self.half_pixel


class RealHead(nn.Module):
    """Neck, correlation, head and decoding in real values, from backbone features: the teacher's second half."""

    def __init__(self, config: SiameseConfig) -> None:
        super().__init__()
        width = config.width
        self.neck = Neck(width.backbone[-1], width.neck, config.neck_deviation)
        self.correlation = Correlation()
        self.head = Head(width.neck, width.head, width.tower, config.head_deviation)
        self.decoder = BoxDecoder(config)

    def program(self, features: Tensor) -> Tensors:
        """The template's kernels."""
        return self.neck.program(features)

    def respond(self, target: Mapping[str, Tensor], features: Tensor) -> Tensors:
        """Everything from the search features on."""
        maps = {
            branch: self.correlation(conv(features), target[f"{branch}_kernel"])
            for branch, conv in self.neck.maps.items()
        }
        readout = {name: value.float() for name, value in self.head(maps["class"], maps["box"]).items()}
        correlations = {f"{branch}_correlation": value for branch, value in maps.items()}
        return {**correlations, **readout, "distances": self.decoder(readout["box"])}


class SiamFCpp(nn.Module):
    """The whole network. Crops are RGB, uint8, (frame, 3, side, side)."""

    def __init__(self, config: SiamFCppConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.width)
        self.matcher = RealHead(config)

    def program(self, template: Tensor) -> Tensors:
        """What stands for the target: its features and both kernels."""
        features = self.backbone(bgr(template))
        return {"template_features": features, **self.matcher.program(features)}

    def respond(self, target: Mapping[str, Tensor], search: Tensor) -> Tensors:
        """The answer to each search crop against its target, or against the single one."""
        features = self.backbone(bgr(search))
        return {"search_features": features, **self.matcher.respond(target, features)}

    def forward(self, template: Tensor, search: Tensor) -> Tensors:
        target = self.program(template)
        return {**target, **self.respond(target, search)}


def bgr(crops: Tensor) -> Tensor:
    """RGB crops as the published network reads them: blue, green, red, 0..255, float32, nothing subtracted.

    Channels come last in memory, which is faster in every layer that follows.
    """
    return crops.flip(1).float().contiguous(memory_format=torch.channels_last)
