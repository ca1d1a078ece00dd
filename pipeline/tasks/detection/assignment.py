"""SimOTA: which cells are to find which object.

Ge et al., "YOLOX", arXiv 2107.08430, section 2.1, as Megvii-BaseDetection/YOLOX 6ddff48 has it
(yolox/models/yolo_head.py, get_assignments and simota_matching), for all pictures of a batch at once. An object gets
the ``k`` cells of least cost among the candidates, where

    cost = BCE(sqrt(p_class p_object), one-hot) + 3 (-log IoU) + a large number for cells that lie badly
    k    = max(1, floor(sum of the object's 10 largest IoU))

and a cell that several objects want goes to the one for which it costs least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pipeline.tasks.detection.decoding import Answers

Candidates = Literal["centre", "centre_or_box"]
"""``centre``: cells whose middle lies in a square around an object's centre; YOLOX since 2022, with radius 1.5.
``centre_or_box``: also those in its box, of which cells that are not in both cost more; before, and in FSD's code, with
radius 2.5."""

OUTSIDE = {"centre": 1e6, "centre_or_box": 1e5}
"""What a cell costs more that lies badly for the object."""

MOST = 10
"""Cells of largest IoU that say how many an object gets, and so the most that it gets."""

IOU_WEIGHT = 3.0

_LEAST_LOG = -100.0
"""Bound of logarithms in binary cross-entropy, as torch's has."""


@dataclass(frozen=True, eq=False)
class Assignment:
    """objects: int64 (frame, cell), the number of each cell's object among its picture's, -1 for none. overlaps:
    (frame, cell), IoU of the cell's box with that object's, 0 where there is none."""

    objects: Tensor
    overlaps: Tensor

    @property
    def positive(self) -> Tensor:
        """Cells that have an object, bool (frame, cell)."""
        return self.objects >= 0


@torch.no_grad()
def assign(answers: Answers, truth: Tensor, candidates: Candidates, radius: float) -> Assignment:
    """Each picture's cells to its objects.

    truth: (frame, object, 5), x1, y1, x2, y2 in pixels and class; rows of class -1 are padding. radius: half the side
    of the square around a centre, in cells of the map.
    """
    there = truth[..., 4] >= 0
    centred, inside = _lies_in(answers, truth, radius)
    well = (centred if candidates == "centre" else centred & inside) & there[..., None]
    any_object = ((centred if candidates == "centre" else centred | inside) & there[..., None]).any(dim=1)
    overlaps = pairwise_iou(truth[..., :4], answers.corners)
    cost = _class_cost(answers, truth) - IOU_WEIGHT * torch.log(overlaps + 1e-8)
    cost = cost + OUTSIDE[candidates] * ~well
    allowed = any_object[:, None] & there[..., None]
    cost = cost.masked_fill(~allowed, torch.inf)
    wanted = _wanted(cost, overlaps.masked_fill(~allowed, 0))
    several = wanted.sum(dim=1) > 1
    cheapest = torch.where(several, cost.argmin(dim=1), wanted.to(torch.uint8).argmax(dim=1))
    objects = torch.where(wanted.any(dim=1), cheapest, -1)
    found = overlaps.gather(1, objects.clamp(min=0)[:, None])[:, 0]
    return Assignment(objects, torch.where(objects >= 0, found, 0))


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of corners (frame, n, 4) with (frame, m, 4): (frame, n, m). Boxes without area overlap by 0."""
    a, b = first[:, :, None], second[:, None]
    sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    common = sides[..., 0] * sides[..., 1]
    return common / (area(first)[:, :, None] + area(second)[:, None] - common).clamp(min=1e-9)


def area(corners: Tensor) -> Tensor:
    """Of boxes (..., 4), square pixels."""
    return (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])


def _lies_in(answers: Answers, truth: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Whether the middle of each cell lies in the square around each object's centre, and whether in its box; bool
    (frame, object, cell)."""
    middles = answers.middles
    centres = (truth[..., :2] + truth[..., 2:4]) / 2
    near = (middles - centres[:, :, None]).abs() < radius * answers.strides[:, None]
    within = (middles > truth[:, :, None, :2]) & (middles < truth[:, :, None, 2:4])
    return near.all(dim=-1), within.all(dim=-1)


def _class_cost(answers: Answers, truth: Tensor) -> Tensor:
    """Binary cross-entropy of ``sqrt(p_class p_object)`` with each object's one-hot class, summed over the classes,
    (frame, object, cell): the sum for no class at all, and of the object's class what is different."""
    scores = (answers.classes.sigmoid() * answers.objects.sigmoid()[..., None]).sqrt()
    absent = -torch.log1p(-scores).clamp(min=_LEAST_LOG)
    change = -torch.log(scores).clamp(min=_LEAST_LOG) - absent
    labels = truth[..., 4].long().clamp(min=0)[:, None].expand(-1, scores.shape[1], -1)
    return absent.sum(dim=-1)[:, None] + change.gather(2, labels).transpose(1, 2)


def _wanted(cost: Tensor, overlaps: Tensor) -> Tensor:
    """The cells that each object wants, bool (frame, object, cell)."""
    most = min(MOST, cost.shape[-1])
    counts = overlaps.topk(most, dim=-1).values.sum(dim=-1).long().clamp(min=1)
    least, cells = cost.topk(most, dim=-1, largest=False)
    taken = (torch.arange(most, device=cost.device) < counts[..., None]) & least.isfinite()
    return torch.zeros_like(cost, dtype=torch.bool).scatter_(-1, cells, taken)
