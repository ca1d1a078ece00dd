"""Centre-ness: the student's becomes like the teacher's, where there is a target."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def centre_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """``BCE(student, p) - BCE(p, p)`` with ``p = sigmoid(teacher)``, unreduced: 0 where they agree.

    Logits, any shape. The subtrahend is constant, as in SiamFC++'s own loss of centre-ness.
    """
    probability = torch.sigmoid(teacher)
    loss = F.binary_cross_entropy_with_logits(student, probability, reduction="none")
    return loss - F.binary_cross_entropy_with_logits(teacher, probability, reduction="none")
