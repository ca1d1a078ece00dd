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
from pipeline.models.config import LayerRole, Part
from pipeline.models.graph import Node, SpikingGraph
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
        entry = Input(INPUT, Shape(3, config.side, config.side), pixel_range(config.pixel_bits))
        super().__init__(config, entry, nodes(config), blocks)
        names = [f"{name}_{stride}" for stride in STRIDES for name in READOUTS]
        self.scales = nn.ParameterDict({name: nn.Parameter(torch.ones(())) for name in names})

    def forward(self, images: Tensor) -> Tensors:
        tensors = self.signals(signed_pixels(images, self.config.pixel_bits))
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
    return builder.nodes


class _Builder:
    """Appends layers to a list."""

    def __init__(self, config: SpikingYoloxConfig) -> None:
        self.config, self.width = config, config.width
        self.nodes: list[Node] = []

    def backbone(self) -> dict[int, str]:
        """The stages; returns what the maps by stride are called."""
        source, maps = INPUT, {}
        stages = zip((*FIRST_STRIDES, *STRIDES), self.width.backbone, self.width.depths, strict=True)
        for stride, channels, depth in stages:
            first = last = self._conv(f"conv_{stride}", source, channels, "backbone", kernel=3, stride=2)
            for index in range(1, depth + 1):
                last = self._conv(f"conv_{stride}_{index}", last, channels, "backbone", kernel=3)
            source = self._beside(f"stage_{stride}", first, last) if depth and self.config.skips else last
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
                finer = self._pool(f"pool_{stride // 2}", found[stride // 2])
                source = self._beside(f"join_{stride}", source, finer)
            found[stride] = self._conv(f"neck_{stride}", source, self.width.neck, "neck", kernel=3)
        return found

    def _down(self, maps: dict[int, str]) -> dict[int, str]:
        """Each map of the backbone with what came down to it."""
        fine, middle, coarse = STRIDES
        joined = {coarse: self._conv(f"top_{coarse}", maps[coarse], self.width.neck, "neck", kernel=1)}
        for stride in (middle, fine):
            coarser = joined[2 * stride]
            role = LayerRole("neck", f"up_{2 * stride}", pooling=True)
            up = self._add(Node(role.module, "upsample", (coarser,), self._channels(coarser), role, kernel=2))
            joined[stride] = self._beside(f"merge_{stride}", maps[stride], up)
            if stride == middle:
                joined[stride] = self._conv(f"top_{stride}", joined[stride], self.width.neck, "neck", kernel=3)
        return joined

    def head(self, stride: int, features: str) -> None:
        """Towers and read-outs of one map."""
        ends = {}
        for branch in ("class", "box"):
            ends[branch] = features
            for index in range(1, self.width.tower + 1):
                name = f"{branch}_{stride}_{index}"
                ends[branch] = self._conv(name, ends[branch], self.width.head, "tower", branch=branch, kernel=3)
        for readout in READOUTS:
            branch, name = "class" if readout == "class" else "box", readout_name(readout, stride)
            channels = readout_channels(readout, self.config.classes)
            bias = 0.0 if readout == "box" else -math.log((1 - PRIOR) / PRIOR)
            role = LayerRole("readout", name, branch=branch)
            self.nodes.append(Node(name, "readout", (ends[branch],), channels, role, bias=bias))

    def _conv(
        self, name: str, source: str, channels: int, part: Part, kernel: int, stride: int = 1, branch: str | None = None
    ) -> str:
        role = LayerRole(part, name, branch=branch, first=source == INPUT)
        return self._add(Node(name, "conv", (source,), channels, role, kernel, stride))

    def _pool(self, name: str, source: str) -> str:
        role = LayerRole("neck", name, pooling=True)
        return self._add(Node(name, "pool", (source,), self._channels(source), role, 2, 2))

    def _beside(self, name: str, *sources: str) -> str:
        channels = sum(map(self._channels, sources))
        return self._add(Node(name, "concat", sources, channels, LayerRole("backbone", name, pooling=True)))

    def _channels(self, name: str) -> int:
        return next(node.channels for node in self.nodes if node.name == name)

    def _add(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name
