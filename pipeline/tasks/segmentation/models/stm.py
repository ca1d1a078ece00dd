"""The teacher: STM, to be read from top to bottom.

The architecture is that of seoungwugoh/STM (model.py): two encoders to stride 16, one of which sees masks as well, a
key and a value of each, and a decoder that refines what was read in two steps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from pipeline.models.mobilenet import MobileNetV2, Normalised
from pipeline.tasks.segmentation.models.clip import Tensors, through_clip
from pipeline.tasks.segmentation.models.config import STRIDES, Size, StmConfig
from pipeline.tasks.segmentation.models.memory import Decoded, Encoded, Memory, mean_value, similarity

STEMS = {"resnet50": 64, "resnet18": 64, "mobilenet_v2": 32}
"""Channels of the first convolution."""


class ResNet(nn.Module):
    """torchvision's ResNet up to stride 16, of which the first three of four stages are left (res2 to res4).

    channels: of the maps at strides 4, 8 and 16.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        whole = getattr(torchvision.models, name)(weights=None)
        self.normalised = Normalised()
        self.conv1, self.bn1 = whole.conv1, whole.bn1
        self.stages = nn.ModuleList([whole.layer1, whole.layer2, whole.layer3])
        self.channels = (256, 512, 1024) if name == "resnet50" else (64, 128, 256)

    def forward(self, images: Tensor, beside: Tensor | None = None) -> list[Tensor]:
        """As ``MobileNetV2`` has it."""
        x = self.conv1(self.normalised(images))
        x = F.max_pool2d(F.relu(self.bn1(x if beside is None else x + beside)), 3, 2, 1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def backbone(config: StmConfig) -> ResNet | MobileNetV2:
    """Both answer with the maps at STRIDES."""
    name = config.size.backbone
    return MobileNetV2(config.frozen, STRIDES) if name == "mobilenet_v2" else ResNet(name)


class MemoryEncoder(nn.Module):
    """A backbone whose first convolution sees two masks as well: the object's, and the other objects'."""

    def __init__(self, config: StmConfig) -> None:
        super().__init__()
        self.backbone, name = backbone(config), config.size.backbone
        kernel = 3 if name == "mobilenet_v2" else 7  # as the backbone's own first convolution
        self.mask, self.others = (nn.Conv2d(1, STEMS[name], kernel, 2, kernel // 2, bias=False) for _ in range(2))

    def forward(self, images: Tensor, masks: Tensor, others: Tensor) -> Tensor:
        """The map at stride 16."""
        coarsest: Tensor = self.backbone(images, self.mask(masks) + self.others(others))[-1]
        return coarsest


class KeyValue(nn.Module):
    """What positions are found by, and what is found there."""

    def __init__(self, inputs: int, size: Size) -> None:
        super().__init__()
        self.key, self.value = (nn.Conv2d(inputs, channels, 3, padding=1) for channels in (size.key, size.value))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.key(features), self.value(features)


class ResidualBlock(nn.Module):
    """Two convolutions, each after a ReLU, and the way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + changed


class Refinement(nn.Module):
    """A finer map of the encoder, and what the coarser step has found, upsampled."""

    def __init__(self, skip: int, channels: int) -> None:
        super().__init__()
        self.reduce, self.before = nn.Conv2d(skip, channels, 3, padding=1), ResidualBlock(channels)
        self.after = ResidualBlock(channels)

    def forward(self, skip: Tensor, coarser: Tensor) -> Tensor:
        upsampled = F.interpolate(coarser, scale_factor=2, mode="bilinear", align_corners=False)
        refined: Tensor = self.after(self.before(self.reduce(skip)) + upsampled)
        return refined


class Decoder(nn.Module):
    """From what was read to the logit of each position's being the object's, at stride 4.

    STM answers with two channels, background and object, of which it takes the softmax: the same as the sigmoid of
    their difference, which is what is given here.
    """

    def __init__(self, channels: tuple[int, ...], size: Size) -> None:
        """channels: of the encoder's maps at STRIDES."""
        super().__init__()
        inner = size.decoder
        self.reduce, self.block = nn.Conv2d(2 * size.value, inner, 3, padding=1), ResidualBlock(inner)
        self.refine_8, self.refine_4 = Refinement(channels[1], inner), Refinement(channels[0], inner)
        self.answer = nn.Conv2d(inner, 2, 3, padding=1)

    def forward(self, read: Tensor, encoded: Encoded) -> Decoded:
        at_16 = self.block(self.reduce(torch.cat([read, encoded.maps["value"]], dim=1)))
        at_8 = self.refine_8(encoded.maps["features_8"], at_16)
        at_4 = self.refine_4(encoded.maps["features_4"], at_8)
        background, found = self.answer(F.relu(at_4)).split(1, dim=1)
        return Decoded(found - background, {"decoder_16": at_16, "decoder_8": at_8, "decoder_4": at_4})


class Stm(nn.Module):
    """The whole network; see ``pipeline.tasks.segmentation.models.memory.MemoryNetwork``."""

    def __init__(self, config: StmConfig) -> None:
        super().__init__()
        self.config, size = config, config.size
        self.encoder, self.memory_encoder = backbone(config), MemoryEncoder(config)
        channels = self.encoder.channels
        self.query_key_value, self.memory_key_value = (KeyValue(channels[-1], size) for _ in range(2))
        self.decoder = Decoder(channels, size)

    def train(self, mode: bool = True) -> Stm:
        """Norms that are frozen are never in training."""
        super().train(mode)
        if self.config.frozen_norms:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, frames: Tensor, masks: Tensor) -> Tensors:
        """See ``pipeline.tasks.segmentation.models.clip.through_clip``."""
        return through_clip(self, frames, masks)

    def encode(self, frames: Tensor) -> Encoded:
        """``features_4``, ``features_8``, ``features_16`` and ``value``."""
        maps = self.encoder(frames.contiguous(memory_format=torch.channels_last))
        key, value = self.query_key_value(maps[-1])
        named = {f"features_{stride}": values for stride, values in zip(STRIDES, maps, strict=True)}
        return Encoded(key, {**named, "value": value})

    def memorise(self, frames: Tensor, encoded: Encoded, masks: Tensor, others: Tensor) -> Memory:
        """Keys are those of the memory's own encoder, which has seen the mask."""
        del encoded
        features = self.memory_encoder(frames.contiguous(memory_format=torch.channels_last), masks, others)
        return Memory.of(*self.memory_key_value(features))

    def read(self, memory: Memory, encoded: Encoded) -> Tensor:
        """The mean of all values."""
        scores = similarity(memory.keys, encoded.key.flatten(2), "dot")
        return mean_value(scores, memory.values).unflatten(-1, encoded.key.shape[-2:])

    def decode(self, encoded: Encoded, read: Tensor) -> Decoded:
        """Two refinements."""
        decoded: Decoded = self.decoder(read, encoded)
        return decoded
