"""Leaky neurons over many steps in floating point, with the bits of the integers by proof.

The recurrence of netx.LIF in 1/64 weight unit loses ``decay / 4096`` of a state towards zero, which is
``trunc(state * keep)`` with ``keep = (4096 - decay) / 4096``. Where head-room is proven nothing wraps or saturates; the
product is exact as long as the state times the odd part of ``4096 - decay`` stays below 2^24 in float32, 2^53 in
float64, since what is left of ``keep`` is a power of two.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import LIF, limits

_FLOAT32_EXACT = 1 << 24


class LeakyRun:
    """One layer during one run: call it with the drives of further steps, and it remembers."""

    def __init__(self, neuron: LIF, bias: npt.NDArray[np.int64], worst_case: int) -> None:
        """bias: what drives leave out, 1/64 weight unit, shape (channel,), or empty. worst_case: proven bound of
        current and voltage, weight units."""
        bound = worst_case << limits.STATE_SHIFT
        decays = (neuron.current_decay, neuron.voltage_decay)
        exact = all(bound * _odd_part(limits.DECAY_ONE - decay) < _FLOAT32_EXACT for decay in decays)
        self._type = torch.float32 if exact else torch.float64
        self._keep = [(limits.DECAY_ONE - decay) / limits.DECAY_ONE for decay in decays]
        self._threshold = float(neuron.threshold << limits.STATE_SHIFT)
        self._reset = neuron.reset_interval, neuron.reset_offset
        self._bias = torch.from_numpy(bias).to(self._type)[:, None, None] if bias.size else None
        self._step = 0
        self._states: tuple[Tensor, Tensor] | None = None

    def __call__(self, drive: Tensor) -> Tensor:
        """Spikes, uint8, of activations in 1/64 weight unit; both (step, channel, height, width)."""
        drive = drive.to(self._type)
        if self._states is None:
            self._states = torch.zeros_like(drive[0]), torch.zeros_like(drive[0])
        current, negative = self._states
        whole, above = torch.empty_like(negative, dtype=torch.int32), torch.empty_like(negative)
        silent = torch.empty_like(drive, dtype=torch.uint8)
        for gain, quiet in zip(drive, silent, strict=True):
            if self._resets():
                current.zero_()
                negative.zero_()
            if self._keep[0]:
                gain = _decay(current, self._keep[0], whole).add_(gain)
            # The voltage is kept negated, because the one operation that clears what it finds on one side of a
            # threshold does so below it.
            _decay(negative, self._keep[1], whole).sub_(gain)
            if self._bias is not None:
                negative.sub_(self._bias)
            # Integers below -threshold spike: 0 there and 1 elsewhere. torch compares five times as slowly.
            quiet.copy_(torch.add(negative, self._threshold + 1, out=above).clamp_(0, 1))
            torch.threshold_(negative, -self._threshold - 1, 0.0)
            self._step += 1
        return silent.bitwise_xor_(1)

    def _resets(self) -> bool:
        interval, offset = self._reset
        return interval is not None and (self._step - offset) % interval == 0


def _decay(state: Tensor, keep: float, whole: Tensor) -> Tensor:
    """``state`` times ``keep`` towards zero, in place; by way of the int32 ``whole``, as ``trunc`` is slow in torch."""
    return state.copy_(whole.copy_(state.mul_(keep))) if keep else state.zero_()


def _odd_part(value: int) -> int:
    """``value`` without its factors of two."""
    return value // (value & -value) if value else 0
