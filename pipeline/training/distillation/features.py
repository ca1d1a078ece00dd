"""Features: the student's maps become like the teacher's, by channel-wise divergence or by squared difference."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.training.term import TrainingError


def map_of(values: Tensor) -> Tensor:
    """(frame, channel, row, column), of which tensors of several time steps are the mean. Raises TrainingError."""
    if values.dim() not in (4, 5):
        raise TrainingError(f"a tensor of shape {tuple(values.shape)} is no map of features")
    return values.mean(dim=0) if values.dim() == 5 else values


def channel_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Channel-wise KL (CWD): where in its map each channel is active, whatever its level.

    ``T^2 / (N C) * sum_nc KL(softmax_hw(teacher / T) || softmax_hw(student / T))`` of maps (frame, channel, row,
    column), as in irfanICMLL/TorchDistiller (criterion.py). Zero where the maps differ by a constant for each channel.
    """
    ours, theirs = (F.log_softmax(maps.flatten(2) / temperature, dim=2) for maps in (student, teacher))
    divergence = F.kl_div(ours, theirs, reduction="sum", log_target=True)
    return divergence * temperature**2 / (student.shape[0] * student.shape[1])


def squared_difference(student: Tensor, teacher: Tensor) -> Tensor:
    """``mean (student - teacher)^2`` of maps (frame, channel, row, column)."""
    return F.mse_loss(student, teacher)


def standardised(maps: Tensor) -> Tensor:
    """Maps (frame, channel, row, column) of mean 0 and deviation 1 in each channel, over frames and positions.

    A channel that never changes becomes zeros: a silent one has a finite gradient.
    """
    # Batch normalisation that keeps nothing. (That of torch.nn.functional refuses a single value a channel.)
    return torch.batch_norm(maps, None, None, None, None, True, 0.0, 1e-6, False)
