"""Labels and losses of SiamFC++ (megvii-research/video_analyst, videoanalyst/data/target and model/loss)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.tasks.tracking.config import LossConfig
from pipeline.tasks.tracking.crop import positions
from pipeline.tasks.tracking.models.config import STRIDE
from pipeline.training.distillation.dense_boxes import box_iou, distances_to_sides

DEFAULT = LossConfig()
PUBLISHED = LossConfig(half_pixel=True, centre_on_negatives=True)


def centreness(distances: Tensor) -> Tensor:
    """sqrt(min(l, r) min(t, b) / (max(l, r) max(t, b))), meaningful inside the box: (frame, row, column)."""
    left, top, right, bottom = distances.unbind(1)
    least = torch.minimum(left, right) * torch.minimum(top, bottom)
    most = torch.maximum(left, right) * torch.maximum(top, bottom)
    return (least / (most + 1e-5)).clamp(0, 1).sqrt()


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


def focal_loss(logits: Tensor, positive: Tensor, alpha: float, gamma: float) -> Tensor:
    """``-a (1 - q)^gamma log q`` of each logit, where q is the probability of what is true, and a is alpha where that
    is ``positive`` (bool) and 1 - alpha elsewhere (Lin et al., Focal Loss for Dense Object Detection, ICCV 2017,
    eq. 5).

    ``torchvision.ops`` has it too, whose import takes as long as torch's own; a test holds the two against each other.
    """
    of_truth = torch.where(positive, logits, -logits)
    weight = alpha * positive + (1 - alpha) * ~positive
    return -weight * torch.sigmoid(-of_truth) ** gamma * F.logsigmoid(of_truth)


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
    class_loss = focal_loss(readout["class"][:, 0], positive, config.alpha, config.gamma)
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
