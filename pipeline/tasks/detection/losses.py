"""YOLOX's losses: of boxes, of there being an object, of classes.

As in Megvii-BaseDetection/YOLOX 6ddff48, yolox/models/yolo_head.py, get_losses. With P the cells that have an object,
of which there are N in the batch (at least 1):

    box      sum over P of 1 - IoU^2, over N
    object   binary cross-entropy over all cells with 1 in P and 0 elsewhere, over N
    class    binary cross-entropy over P with the object's class as IoU and all others as 0, over N
    l1       sum over P of |raw box - that of the object|, over N
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.tasks.detection.assignment import Assignment, area
from pipeline.tasks.detection.decoding import Answers


def detection_losses(answers: Answers, truth: Tensor, assignment: Assignment, with_l1: bool) -> dict[str, Tensor]:
    """The losses above by name, without weights; ``l1`` where it is wanted.

    truth: as for ``pipeline.tasks.detection.assignment.assign``.
    """
    positive = assignment.positive
    count = positive.sum().clamp(min=1)
    own = truth.gather(1, assignment.objects.clamp(min=0)[..., None].expand(-1, -1, 5))
    boxes, targets = answers.corners[positive], own[..., :4][positive]
    labels = F.one_hot(own[..., 4][positive].long(), answers.classes.shape[-1])
    losses = {
        "box": (1 - aligned_iou(boxes, targets) ** 2).sum(),
        "object": F.binary_cross_entropy_with_logits(
            answers.objects, positive.to(answers.objects.dtype), reduction="sum"
        ),
        "class": F.binary_cross_entropy_with_logits(
            answers.classes[positive], labels * assignment.overlaps[positive][:, None], reduction="sum"
        ),
    }
    if with_l1:
        losses["l1"] = (answers.boxes - answers.encoded(own[..., :4]))[positive].abs().sum()
    return {name: value / count for name, value in losses.items()}


def aligned_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes (box, 4), pair by pair."""
    sides = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0)
    common = sides[:, 0] * sides[:, 1]
    return common / (area(first) + area(second) - common).clamp(min=1e-9)
