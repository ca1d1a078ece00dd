"""Regression: the student's boxes become like the teacher's, where there is a target.

Boxes are distances from a position to the sides of a box (left, top, right, bottom) in crop pixels, (frame, 4, row,
column). Losses are unreduced, (frame, row, column); ``mean_over`` takes the positions that count.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.tasks.tracking.losses import box_iou
from pipeline.tasks.tracking.models.config import STRIDE


def overlap_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """``-log IoU``, SiamFC++'s own loss of boxes."""
    return -torch.log(box_iou(predicted, wanted).clamp(min=1e-6))


def side_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Smooth L1 of the four distances in strides of the map, their mean: ``d^2 / 2`` below one stride, ``d - 1/2``
    above (Girshick, "Fast R-CNN", 2015, eq. 3)."""
    return F.smooth_l1_loss(predicted / STRIDE, wanted / STRIDE, reduction="none").mean(dim=1)


def needs_teacher(student: Tensor, teacher: Tensor, margin: float) -> Tensor:
    """Bool: whether a student's loss is not yet below its teacher's by ``margin``; both against the truth.

    The condition of the adaptive-hard loss, ``loss_T - loss_S < h`` (danier97/CFKD, ltr/models/loss/distillation.py).
    """
    return teacher - student < margin


def mean_over(losses: Tensor, counted: Tensor) -> Tensor:
    """Mean of ``losses`` where ``counted``; 0 where nothing is."""
    return (losses * counted).sum() / counted.sum().clamp(min=1)
