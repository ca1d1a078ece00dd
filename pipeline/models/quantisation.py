"""Training with the integers that the chip will have: rounding to even weight units, and the bias of a channel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from netx import Range, limits
from quantize.slayer import WEIGHT_SCALE

STEP = 2 / WEIGHT_SCALE
"""SLAYER's 8-bit weights are even integers over 64."""


class _RoundEven(torch.autograd.Function):
    """Rounding whose gradient is one. A sum with a detached difference would do, but is not exact when it clamps."""

    @staticmethod
    def forward(_: Any, values: Tensor, low: int, high: int) -> Tensor:
        return (torch.round(values / STEP) * STEP).clamp(low / WEIGHT_SCALE, high / WEIGHT_SCALE)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0], None, None


def quantise_even(values: Tensor, low: int, high: int) -> Tensor:
    """``values`` (SLAYER units) rounded to even integers in [low, high] over 64, with a straight-through gradient."""
    return _RoundEven.apply(values, low, high)


class _Centre(torch.autograd.Function):
    """``current`` (frame, channel, row, column, step) with ``bias``, which is ``offset`` less the current's own mean,
    rounded with a gradient of one.

    What autograd makes of the same goes over memory twice more, which is where training spends its time.
    """

    @staticmethod
    def forward(context: Any, current: Tensor, offset: Tensor, bias: Tensor) -> Tensor:
        context.counted = current.numel() // len(offset)
        return current + bias.reshape(1, -1, 1, 1, 1)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        by_offset = gradients[0].sum(dim=(0, 2, 3, 4))
        return gradients[0] - (by_offset / context.counted).reshape(1, -1, 1, 1, 1), by_offset, None


class ChannelBias(nn.Module):
    """Bias of each channel: learned offset, less the running mean of the current where ``centred``.

    It takes the place of SLAYER's MeanOnlyBatchNorm in a CUBA neuron, whose bias is clamped to 8 bits and has nothing
    to learn. The chip's bias mantissa has 13 bits, and even integers keep every membrane even.
    """

    running_mean: Tensor

    def __init__(self, channels: int, centred: bool, initial: float = 0.0, momentum: float = 0.05) -> None:
        super().__init__()
        self.centred, self.momentum = centred, momentum
        self.quantised, self.frozen = True, False
        self.offset = nn.Parameter(torch.full((channels,), initial))
        self.register_buffer("running_mean", torch.zeros(channels))

    @property
    def value(self) -> Tensor:
        """Bias with the running mean, shape (channel,), SLAYER units."""
        return self._quantise(self.offset - self.running_mean)

    def forward(self, current: Tensor) -> Tensor:
        if not (self.centred and self.training) or self.frozen:
            return current + self.value.reshape(1, -1, 1, 1, 1)
        with torch.no_grad():
            mean = current.mean(dim=(0, 2, 3, 4))
            self.running_mean.lerp_(mean, self.momentum)
            bias = self._quantise(self.offset - mean)
        return _Centre.apply(current, self.offset, bias)

    def _quantise(self, bias: Tensor) -> Tensor:
        if not self.quantised:
            return bias
        return quantise_even(bias, limits.LOIHI_BIAS_MIN, limits.LOIHI_BIAS_MAX - 1)


def fit_to_chip(weight: Tensor, inputs: Range) -> None:
    """Clip the weights of a convolution to 8 bits, and shrink any channel whose accumulator such inputs could take out
    of 24 bits, in place. weight: (channel, input, row, column, 1), SLAYER units."""
    weight.clamp_(limits.WEIGHT_MIN / WEIGHT_SCALE, (limits.WEIGHT_MAX - 1) / WEIGHT_SCALE)
    peak = max(abs(inputs.low), abs(inputs.high))
    # What a channel may use: the limit, less the largest bias, less half a step a weight for rounding.
    room = limits.ACTIVATION_MAX + limits.LOIHI_BIAS_MIN - peak * weight[0].numel()
    rows = weight.flatten(1) * (WEIGHT_SCALE * peak)
    if inputs.low < 0:
        worst = rows.abs().sum(dim=1)
    else:
        worst = torch.maximum(rows.clamp(min=0).sum(dim=1), rows.clamp(max=0).sum(dim=1).neg())
    weight.mul_((room / worst).clamp(max=1.0).reshape(-1, 1, 1, 1, 1))


class QuantisedModule(nn.Module):
    """A model that runs on the integers that the chip will have, or on its real-valued weights."""

    @contextmanager
    def float_weights(self) -> Iterator[None]:
        """Within the block the model runs on its real-valued weights: the float reference."""
        self._set_quantised(False)
        try:
            yield
        finally:
            self._set_quantised(True)

    def freeze_norms(self) -> None:
        """From now on training sees the biases that the chip will have, not those of the batch."""
        for module in self.modules():
            if isinstance(module, ChannelBias):
                module.frozen = True

    @abstractmethod
    def project(self) -> None:
        """Bring the weights back to what the chip can have, after a step of training."""

    @abstractmethod
    def _set_quantised(self, quantised: bool) -> None:
        """Have every layer round its weights and biases, or not."""
