"""Neurons in integers. All potentials are in weight units (see netx.limits)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from netx import limits
from netx.arrays import ArrayEquality, IntArray, frozen_int_array
from netx.errors import NetworkError
from netx.types import Shape

_NO_BIAS: IntArray = frozen_int_array([], "bias", 0, 0)
"""Also what a bias of all zeros becomes, so that equal neurons compare equal."""


@dataclass(frozen=True, eq=False)
class LIF(ArrayEquality):
    r"""Current-based leaky integrate-and-fire neurons of one layer, as Loihi and Lava's fixed-point model run them.

    With activation ``a`` and everything but ``a`` and ``threshold`` in 1/64 weight unit::

        u <- sgn(u) * ((|u| * (4096 - current_decay)) >> 12) + (a << 6)         wraps at 24 bits
        v <- sgn(v) * ((|v| * (4096 - voltage_decay)) >> 12) + u + (bias << bias_exponent)    saturates at 24 bits
        spike = v > (threshold << 6);  v <- 0 where it spiked

    (lava-nc 0.10.0, ``proc/lif/models.py``.) With both decays at 4096 nothing is remembered and the neuron is the
    step function ``a + bias > threshold``.

    threshold: -131071..131071.
    bias: one integer a channel, or none at all; -32768..32767.
    bias_exponent: 0..7; 6 puts the bias in weight units.
    current_decay, voltage_decay: 0..4096, in 1/4096 of the state lost at each step.
    """

    threshold: int
    bias: IntArray = field(default_factory=lambda: _NO_BIAS)
    bias_exponent: int = limits.BIAS_EXPONENT_WEIGHT_UNITS
    current_decay: int = limits.DECAY_ONE
    voltage_decay: int = limits.DECAY_ONE

    def __post_init__(self) -> None:
        _check_int(self.threshold, "threshold", -limits.THRESHOLD_MAX, limits.THRESHOLD_MAX)
        _check_int(self.bias_exponent, "bias exponent", limits.BIAS_EXPONENT_MIN, limits.BIAS_EXPONENT_MAX)
        _check_int(self.current_decay, "current decay", 0, limits.DECAY_ONE)
        _check_int(self.voltage_decay, "voltage decay", 0, limits.DECAY_ONE)
        object.__setattr__(self, "bias", _checked_bias(self.bias))

    @property
    def memoryless(self) -> bool:
        """True when no state outlives a time step."""
        return self.current_decay == limits.DECAY_ONE and self.voltage_decay == limits.DECAY_ONE


@dataclass(frozen=True, eq=False)
class Accumulator(ArrayEquality):
    """Non-spiking read-out: its membrane voltage ``a + bias`` at each step, in weight units, is the network's output.

    On the chip it is a LIF whose threshold (262143) lies above the saturation of the voltage.

    bias: one integer a channel, or none at all; -32768..32767.
    """

    bias: IntArray = field(default_factory=lambda: _NO_BIAS)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bias", _checked_bias(self.bias))

    @property
    def memoryless(self) -> bool:
        """Always: a read-out starts from zero at every step."""
        return True


Neuron: TypeAlias = LIF | Accumulator


def channel_bias(neuron: Neuron, shape: Shape) -> IntArray:
    """The bias of each channel in 1/64 weight unit, shape (channel,); zeros where the neuron has none."""
    if neuron.bias.size == 0:
        return np.zeros(shape.channel, dtype=np.int32)
    exponent = neuron.bias_exponent if isinstance(neuron, LIF) else limits.BIAS_EXPONENT_WEIGHT_UNITS
    return neuron.bias << exponent


def check_bias_fits(neuron: Neuron, shape: Shape) -> None:
    """Raises NetworkError unless the neuron has no bias or one for each channel of ``shape``."""
    if neuron.bias.size not in (0, shape.channel):
        raise NetworkError(f"bias has {neuron.bias.size} values, but the layer has {shape.channel} channels")


def _checked_bias(bias: IntArray) -> IntArray:
    frozen = frozen_int_array(bias, "bias", limits.BIAS_MIN, limits.BIAS_MAX)
    if frozen.ndim != 1:
        raise NetworkError(f"bias: expected one value a channel, shape (channel,), got shape {frozen.shape}")
    return frozen if frozen.any() else _NO_BIAS


def _check_int(value: object, what: str, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= int(value) <= high:
        raise NetworkError(f"{what}: expected an integer in {low}..{high}, got {value!r}")
