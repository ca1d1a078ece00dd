"""Which positions of the search crop two models' score maps share, and which of them lie on the target."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.tasks.tracking.crop import positions
from pipeline.tasks.tracking.losses import distances_to_sides
from pipeline.tasks.tracking.models.config import STRIDE


def shared(*maps: Tensor) -> tuple[Tensor, ...]:
    """The central parts of maps (..., row, column) that all of them have.

    Score maps are centred on the crop and have the same stride, whatever the depth of the tower, which takes off one
    row at each side for every layer: position by position the parts then stand for the same pixels.
    """
    side = min(values.shape[-1] for values in maps)
    return tuple(_middle(values, side) for values in maps)


def _middle(values: Tensor, side: int) -> Tensor:
    first = (values.shape[-1] - side) // 2
    return values[..., first : first + side, first : first + side]


def score_points(side: int, search: int, device: torch.device, stride: int = STRIDE) -> Tensor:
    """Coordinate in the search crop of each row, or column, of a score map: (side,) pixels."""
    return torch.tensor(positions(side, stride, search), dtype=torch.float32, device=device)


def true_distances(box: Tensor, side: int, search: int) -> Tensor:
    """Distances of a map's positions to the sides of the true box, (frame, 4, row, column).

    box: (frame, 4) x, y, width, height in pixels of the search crop. side: of the map; search: of the crop.
    """
    return distances_to_sides(box, score_points(side, search, box.device))


def on_target(distances: Tensor, same: Tensor) -> Tensor:
    """Bool (frame, row, column): inside the true box, of pairs whose template shows the same target."""
    return (distances > 0).all(dim=1) & same[:, None, None]
