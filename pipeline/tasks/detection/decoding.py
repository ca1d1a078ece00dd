"""From what a detector answers to boxes: every cell of every map says one.

Boxes here are corners x1, y1, x2, y2 in pixels of the network's picture, edges continuous.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.tasks.detection.models.config import STRIDES

LARGEST_EXPONENT = 6.0
"""Bound of a size's logarithm, 400 cells: keeps an untrained network finite. Ours."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a detector says of the cells of all its maps, the finest first, row by row.

    classes: logits (frame, cell, class). objects: logits (frame, cell). boxes: (frame, cell, 4): centre, in cells from
    the cell's upper left corner, and logarithms of width and height in cells. cells: (cell, 2), column and row.
    strides: (cell,), pixels.
    """

    classes: Tensor
    objects: Tensor
    boxes: Tensor
    cells: Tensor
    strides: Tensor

    @property
    def corners(self) -> Tensor:
        """The boxes, (frame, cell, 4): ``centre = (t + cell) * stride``, ``size = exp(t) * stride``
        (Megvii-BaseDetection/YOLOX 6ddff48, yolox/models/yolo_head.py, decode_outputs)."""
        strides = self.strides[:, None]
        centres = (self.boxes[..., :2] + self.cells) * strides
        halves = torch.exp(self.boxes[..., 2:].clamp(max=LARGEST_EXPONENT)) * strides / 2
        return torch.cat([centres - halves, centres + halves], dim=-1)

    @property
    def middles(self) -> Tensor:
        """Middles of the cells in pixels, x and y, (cell, 2)."""
        return (self.cells + 0.5) * self.strides[:, None]

    def encoded(self, corners: Tensor) -> Tensor:
        """What ``boxes`` would say of boxes (frame, cell, 4), one for each cell."""
        strides = self.strides[:, None]
        centres = (corners[..., :2] + corners[..., 2:]) / 2 / strides - self.cells
        sizes = (corners[..., 2:] - corners[..., :2]) / strides
        return torch.cat([centres, torch.log(sizes + 1e-8)], dim=-1)


def answers_of(tensors: Mapping[str, Tensor] | Callable[[str], Tensor]) -> Answers:
    """The tensors of a model, ``class_8`` and so on, side by side. tensors: by name, or what gives them by name."""
    find = tensors.__getitem__ if isinstance(tensors, Mapping) else tensors
    flat: dict[str, list[Tensor]] = {"class": [], "object": [], "box": []}
    cells, strides = [], []
    for stride in STRIDES:
        for name, parts in flat.items():
            said = find(f"{name}_{stride}")
            parts.append(said.flatten(2).transpose(1, 2))
        rows, columns = said.shape[-2:]
        y, x = torch.meshgrid(
            torch.arange(rows, device=said.device), torch.arange(columns, device=said.device), indexing="ij"
        )
        cells.append(torch.stack([x, y], dim=-1).reshape(-1, 2))
        strides.append(torch.full((rows * columns,), stride, device=said.device))
    together = {name: torch.cat(parts, dim=1) for name, parts in flat.items()}
    return Answers(
        together["class"],
        together["object"][..., 0],
        together["box"],
        torch.cat(cells).to(said.dtype),
        torch.cat(strides).to(said.dtype),
    )
