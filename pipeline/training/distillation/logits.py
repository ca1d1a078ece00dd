"""Classification: the student's class map becomes like the teacher's softened one.

Both are Hinton's distillation (Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015): the KL
divergence of answers softened by a temperature T, times T^2, so that gradients don't shrink with T. Logits are (frame,
1, row, column).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def bernoulli_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T^2 * mean KL(Bernoulli(sigmoid(teacher / T)) || Bernoulli(sigmoid(student / T)))`` over frames and positions:
    target or background, position by position."""
    ours, theirs = student / temperature, teacher / temperature
    probability = torch.sigmoid(theirs)
    target = probability * (F.logsigmoid(theirs) - F.logsigmoid(ours))
    background = (1 - probability) * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))
    return (target + background).mean() * temperature**2


def position_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T^2 * mean KL(softmax(teacher / T) || softmax(student / T))`` over frames, softmax over the positions of a map:
    where the target is, whatever the level of the score."""
    ours, theirs = (F.log_softmax(logits.flatten(1) / temperature, dim=1) for logits in (student, teacher))
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True) * temperature**2
