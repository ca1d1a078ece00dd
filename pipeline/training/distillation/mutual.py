"""Knowledge that students share with each other, unless one of them is far behind the teacher.

From danier97/CFKD (ltr/models/loss/distillation.py, train_settings/tskd), after "Distilled Siamese Networks for Visual
Tracking": beside what it learns from the teacher, student i is given

    share_i * sigma_i * smooth_L1(student i, student j),

``sigma_i = 0.9^epoch`` where its loss is less than ``h = 0.005`` above the teacher's, else 0; ``share_i = 1`` for a
dull student and ``beta = 0.5`` for an intelligent one. The gradient reaches both students.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.training.distillation.dense_boxes import common_centre, mean_over, side_loss


def suppression(student_loss: Tensor, teacher_loss: Tensor, margin: float, decay: float, epoch: int) -> Tensor:
    """``sigma``: how much a student shares, decay^epoch, or 0 where it is worse than the teacher by ``margin``."""
    return torch.where(student_loss - teacher_loss < margin, decay**epoch, 0.0)


def disagreement(first: Mapping[str, Tensor], second: Mapping[str, Tensor], on_target: Tensor, stride: int) -> Tensor:
    """Smooth L1 between two students: of the class probabilities, over all positions that both have, and of the boxes'
    sides in strides, on the target. (CFKD's students answer one score; class and box are this project's reading.)

    first, second: "class", logits, and "distances" of one student. on_target: (frame, row, column), of that size.
    stride: crop pixels between neighbouring positions.
    """
    ours, theirs = common_centre(first["class"], second["class"])
    classes = F.smooth_l1_loss(torch.sigmoid(ours), torch.sigmoid(theirs))
    our_sides, their_sides = common_centre(first["distances"], second["distances"])
    return classes + mean_over(side_loss(our_sides, their_sides, stride), on_target)
