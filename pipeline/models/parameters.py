"""What each convolution of a tracker's model costs: sizes, multiply-accumulates, weights."""

from __future__ import annotations

from torch import nn


def parameter_count(model: nn.Module) -> int:
    """All parameters: weights, biases, norms' scales, decays."""
    return sum(parameter.numel() for parameter in model.parameters())
