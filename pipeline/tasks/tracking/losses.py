"""Labels and losses of SiamFC++ (megvii-research/video_analyst, videoanalyst/data/target and model/loss)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from pipeline.core.config import Section


class LossConfig(Section):
    """Weights of the three terms, and the published code's peculiarities. Defaults are ours.

    ``PUBLISHED`` has siamfcpp_alexnet-trn.yaml's values.
    """

    alpha: float = Field(0.25, ge=0, le=1, description="focal loss: weight of positives, the rest being negatives'")
    gamma: float = Field(2.0, ge=0, description="focal loss: exponent")
    class_weight: float = Field(1.0, ge=0)
    centre_weight: float = Field(1.0, ge=0)
    box_weight: float = Field(3.0, ge=0)
    half_pixel: bool = Field(
        False,
        description="labels measure from centre to centre of pixels: a box's outermost half pixel is outside",
    )
    centre_on_negatives: bool = Field(
        False, description="centre-ness is also learned inside the boxes of negative pairs, as in densebox_target.py"
    )


DEFAULT = LossConfig()
PUBLISHED = LossConfig(half_pixel=True, centre_on_negatives=True)


def distances_to_sides(box: Tensor, points: Tensor) -> Tensor:
    """Left, top, right, bottom distance from each position of the map to the box's sides: (frame, 4, row, column).

    box: (frame, 4) x, y, width, height in crop pixels. points: (count,), the coordinate of each row and column.
    """
    rows, columns = points[:, None], points[None, :]
    x, y, width, height = (value[:, None, None] for value in box.unbind(1))
    left, top = (columns - x).expand(-1, len(points), -1), (rows - y).expand(-1, -1, len(points))
    return torch.stack([left, top, width - left, height - top], dim=1)


def centreness(distances: Tensor) -> Tensor:
    """sqrt(min(l, r) min(t, b) / (max(l, r) max(t, b))), meaningful inside the box: (frame, row, column)."""
    left, top, right, bottom = distances.unbind(1)
    least = torch.minimum(left, right) * torch.minimum(top, bottom)
    most = torch.maximum(left, right) * torch.maximum(top, bottom)
    return (least / (most + 1e-5)).clamp(0, 1).sqrt()


def focal(logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss of each position, unreduced."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    probability = torch.sigmoid(logits)
    right = torch.where(labels > 0, probability, 1 - probability)
    weight = torch.where(labels > 0, alpha, 1 - alpha)
    return weight * (1 - right) ** gamma * cross_entropy


def box_iou(predicted: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of boxes given by their side distances from a shared point: (frame, row, column)."""
    least = torch.minimum(predicted, truth)
    intersection = (least[:, 0] + least[:, 2]).clamp(min=0) * (least[:, 1] + least[:, 3]).clamp(min=0)
    area = [(d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3]) for d in (predicted, truth)]
    return intersection / (area[0] + area[1] - intersection).clamp(min=1e-6)


def tracking_loss(
    readout: Mapping[str, Tensor],
    predicted: Tensor,
    box: Tensor,
    positive_pair: Tensor,
    points: Tensor,
    config: LossConfig = DEFAULT,
) -> dict[str, Tensor]:
    """The three terms of SiamFC++, weighted.

    readout: logits "class" and "centre", (frame, 1, row, column). predicted: side distances in crop pixels, (frame, 4,
    row, column). box: the truth, as in ``distances_to_sides``. positive_pair: (frame,) bool; where False the template
    shows something else, and only positions inside the box act, as negatives.

    The IoU is of areas, which is what the published code's "+ 1" makes of distances between centres of pixels.
    """
    truth = distances_to_sides(box, points)
    measured = truth - 0.5 * config.half_pixel
    inside = (measured > 0).all(dim=1)
    positive = inside & positive_pair[:, None, None]
    counted = positive_pair[:, None, None] | inside
    class_loss = focal(readout["class"][:, 0], positive.float(), config.alpha, config.gamma)
    count = positive.sum().clamp(min=1)
    centred = inside if config.centre_on_negatives else positive
    centre_label = centreness(measured)
    centre_loss = F.binary_cross_entropy_with_logits(readout["centre"][:, 0], centre_label, reduction="none")
    floor = F.binary_cross_entropy(centre_label, centre_label, reduction="none")
    overlap = box_iou(predicted, truth).clamp(min=1e-6)
    return {
        "class": config.class_weight * (class_loss * counted).sum() / count,
        "centre": config.centre_weight * ((centre_loss - floor) * centred).sum() / centred.sum().clamp(min=1),
        "box": config.box_weight * (-torch.log(overlap) * positive).sum() / count,
    }
