"""Boxes and centre-ness at every position of a map: the student's become like the teacher's, where there is a target.

Boxes are distances from a position to the sides of a box (left, top, right, bottom) in crop pixels, (frame, 4, row,
column). Losses are unreduced, (frame, row, column); ``mean_over`` takes the positions that count.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def common_centre(*maps: Tensor) -> tuple[Tensor, ...]:
    """The central parts of maps (..., row, column) that all of them have.

    Score maps are centred on the crop and have the same stride, whatever the depth of the tower, which takes off one
    row at each side for every layer without padding: position by position the parts then stand for the same pixels.
    """
    rows, columns = (min(values.shape[axis] for values in maps) for axis in (-2, -1))
    return tuple(_middle(values, rows, columns) for values in maps)


def _middle(values: Tensor, rows: int, columns: int) -> Tensor:
    top, left = (values.shape[-2] - rows) // 2, (values.shape[-1] - columns) // 2
    return values[..., top : top + rows, left : left + columns]


def distances_to_sides(box: Tensor, points: Tensor) -> Tensor:
    """Left, top, right, bottom distance from each position of the map to the box's sides: (frame, 4, row, column).

    box: (frame, 4) x, y, width, height in crop pixels. points: (count,), the coordinate of each row and column.
    """
    rows, columns = points[:, None], points[None, :]
    x, y, width, height = (value[:, None, None] for value in box.unbind(1))
    left, top = (columns - x).expand(-1, len(points), -1), (rows - y).expand(-1, -1, len(points))
    return torch.stack([left, top, width - left, height - top], dim=1)


def box_iou(predicted: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of boxes given by their side distances from a shared point: (frame, row, column).

    predicted, truth: (frame, 4, row, column). (``torchvision.ops`` takes corners, and pairs in lists, not on a map.)
    """
    least = torch.minimum(predicted, truth)
    intersection = (least[:, 0] + least[:, 2]).clamp(min=0) * (least[:, 1] + least[:, 3]).clamp(min=0)
    area = [(d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3]) for d in (predicted, truth)]
    return intersection / (area[0] + area[1] - intersection).clamp(min=1e-6)


def overlap_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """``-log IoU``, SiamFC++'s own loss of boxes."""
    return -torch.log(box_iou(predicted, wanted).clamp(min=1e-6))


def side_loss(predicted: Tensor, wanted: Tensor, stride: int) -> Tensor:
    """Smooth L1 of the four distances in strides of the map, their mean: ``d^2 / 2`` below one stride, ``d - 1/2``
    above (Girshick, "Fast R-CNN", 2015, eq. 3). stride: crop pixels between neighbouring positions."""
    return F.smooth_l1_loss(predicted / stride, wanted / stride, reduction="none").mean(dim=1)


def needs_teacher(student: Tensor, teacher: Tensor, margin: float) -> Tensor:
    """Bool: whether a student's loss is not yet below its teacher's by ``margin``; both against the truth.

    The condition of the adaptive-hard loss, ``loss_T - loss_S < h`` (danier97/CFKD, ltr/models/loss/distillation.py).
    """
    return teacher - student < margin


def mean_over(losses: Tensor, counted: Tensor) -> Tensor:
    """Mean of ``losses`` where ``counted``; 0 where nothing is."""
    return (losses * counted).sum() / counted.sum().clamp(min=1)


def centre_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """``BCE(student, p) - BCE(p, p)`` with ``p = sigmoid(teacher)``, unreduced: 0 where they agree.

    Logits of centre-ness, any shape. The subtrahend has no gradient for the student, as in SiamFC++'s own loss.
    """
    probability = torch.sigmoid(teacher)
    loss = F.binary_cross_entropy_with_logits(student, probability, reduction="none")
    return loss - F.binary_cross_entropy_with_logits(teacher, probability, reduction="none")
