"""The spiking student: a single-step YOLOX whose backbone, neck and heads spike, all of it on the chip.

A stage is a strided convolution and further ones, and what leaves it is, with ``skips``, the first and the last of them
side by side, as the two ways through a layer of the teacher's darknet. Each map of the neck then has the finer one's
spikes, pooled, beside those of its stage, which with ``top_down`` have been joined by those of the coarser maps before.
A cell's classes, its object and its box are membranes of three read-outs; the host multiplies each by a scale that is
learned, and all that follows is in real numbers (``pipeline.tasks.detection.decoding``).

A student answers what ``pipeline.tasks.detection.models.yolox`` names, where ``features_S`` are spikes, and the signals
of its layers as ``pipeline.models.graph`` names them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from netx import Input, Shape
from pipeline.models.blocks import Blocks
from pipeline.models.graph import Node, NodeList, SpikingGraph
from pipeline.models.pixels import pixel_range, signed_pixels
from pipeline.tasks.detection.models.config import FIRST_STRIDES, STRIDES, SpikingYoloxConfig
from pipeline.tasks.detection.models.yolox import PRIOR, READOUTS, Tensors, readout_channels

INPUT = "image"


def readout_name(readout: str, stride: int) -> str:
    """What the layer is called whose membranes are one of ``READOUTS``."""
    return f"read_{readout}_{stride}"


class SpikingYolox(SpikingGraph):
    """The whole student. Pictures are RGB, 0..255, (frame, 3, row, column)."""

    config: SpikingYoloxConfig

    def __init__(self, config: SpikingYoloxConfig, blocks: Blocks | None = None) -> None:
        """blocks: as for ``SpikingGraph``."""
        super().__init__(config, [entry(config)], nodes(config), blocks)
        names = [f"{name}_{stride}" for stride in STRIDES for name in READOUTS]
        self.scales = nn.ParameterDict({name: nn.Parameter(torch.ones(())) for name in names})

    def forward(self, images: Tensor) -> Tensors:
        tensors = self.signals({INPUT: signed_pixels(images, self.config.pixel_bits)})
        for stride in STRIDES:
            tensors[f"features_{stride}"] = tensors[f"spikes/neck_{stride}"][0]
        return {**tensors, **self.scaled({name: tensors[f"membrane/{name}"][0] for name in self.readouts})}

    @property
    def readouts(self) -> list[str]:
        """Names of the layers whose membranes are read."""
        return [node.name for node in self.nodes if node.kind == "readout"]

    def scaled(self, membranes: Tensors) -> Tensors:
        """What the host makes of the read-outs' membranes, SLAYER units, (frame, channel, row, column), by layer."""
        return {
            f"{name}_{stride}": membranes[readout_name(name, stride)] * self.scales[f"{name}_{stride}"]
            for stride in STRIDES
            for name in READOUTS
        }


def nodes(config: SpikingYoloxConfig) -> list[Node]:
    """The layers of a student in order."""
    builder = _Builder(config)
    maps = builder.backbone()
    features = builder.neck(maps)
    for stride in STRIDES:
        builder.head(stride, features[stride])
    return builder.layers.nodes


def entry(config: SpikingYoloxConfig) -> Input:
    """Where pictures enter the chip."""
    return Input(INPUT, Shape(3, config.side, config.side), pixel_range(config.pixel_bits))


class _Builder:
    """Appends layers to a list."""

    def __init__(self, config: SpikingYoloxConfig) -> None:
        self.config, self.width = config, config.width
        self.layers = NodeList([entry(config)])

    def backbone(self) -> dict[int, str]:
        """The stages; returns what the maps by stride are called."""
        layers, source, maps = self.layers, INPUT, {}
        stages = zip((*FIRST_STRIDES, *STRIDES), self.width.backbone, self.width.depths, strict=True)
        for stride, channels, depth in stages:
            first = last = layers.conv(f"conv_{stride}", source, channels, "backbone", kernel=3, stride=2)
            for index in range(1, depth + 1):
                last = layers.conv(f"conv_{stride}_{index}", last, channels, "backbone", kernel=3)
            joined = depth and self.config.skips
            source = layers.beside(f"stage_{stride}", "backbone", first, last) if joined else last
            maps[stride] = source
        return maps

    def neck(self, maps: dict[int, str]) -> dict[int, str]:
        """From coarse to fine where wanted, then from fine to coarse; returns what its maps by stride are called."""
        if self.config.top_down == "upsample":
            maps = self._down(maps)
        found: dict[int, str] = {}
        for stride in STRIDES:
            source = maps[stride]
            if found and self.config.skips:
                finer = self.layers.pool(f"pool_{stride // 2}", found[stride // 2], "neck")
                source = self.layers.beside(f"join_{stride}", "backbone", source, finer)
            found[stride] = self.layers.conv(f"neck_{stride}", source, self.width.neck, "neck", kernel=3)
        return found

    def _down(self, maps: dict[int, str]) -> dict[int, str]:
        """Each map of the backbone with what came down to it."""
        layers, (fine, middle, coarse) = self.layers, STRIDES
        joined = {coarse: layers.conv(f"top_{coarse}", maps[coarse], self.width.neck, "neck", kernel=1)}
        for stride in (middle, fine):
            up = layers.upsample(f"up_{2 * stride}", joined[2 * stride], "neck")
            joined[stride] = layers.beside(f"merge_{stride}", "backbone", maps[stride], up)
            if stride == middle:
                joined[stride] = layers.conv(f"top_{stride}", joined[stride], self.width.neck, "neck", kernel=3)
        return joined

    def head(self, stride: int, features: str) -> None:
        """Towers and read-outs of one map."""
        ends = {}
        for branch in ("class", "box"):
            ends[branch] = features
            for index in range(1, self.width.tower + 1):
                name = f"{branch}_{stride}_{index}"
                ends[branch] = self.layers.conv(name, ends[branch], self.width.head, "tower", kernel=3, branch=branch)
        for readout in READOUTS:
            branch, name = "class" if readout == "class" else "box", readout_name(readout, stride)
            channels = readout_channels(readout, self.config.classes)
            bias = 0.0 if readout == "box" else -math.log((1 - PRIOR) / PRIOR)
            self.layers.readout(name, ends[branch], channels, bias=bias, branch=branch)
