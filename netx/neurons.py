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

    threshold: -131071..262143; one above 131071 is never reached.
    bias: one integer a channel, or none at all; -32768..32767.
    bias_exponent: 0..7; 6 puts the bias in weight units.
    current_decay, voltage_decay: 0..4096, in 1/4096 of the state lost at each step.
    reset_interval: at least 1, or None for never; u and v are cleared before every frame t, counted from 0, with
        ``t % reset_interval == reset_offset % reset_interval`` (``LIFReset`` in the same file, which counts steps from
        1 and from the start of the simulation, not from the layer's first frame).
    refractory: 0 or more steps after a spike at which v stays 0 and only u goes on (``LIFRefractory`` in the same file,
        of which lava-nc has only the floating-point form).
    """

    threshold: int
    bias: IntArray = field(default_factory=lambda: _NO_BIAS)
    bias_exponent: int = limits.BIAS_EXPONENT_WEIGHT_UNITS
    current_decay: int = limits.DECAY_ONE
    voltage_decay: int = limits.DECAY_ONE
    reset_interval: int | None = None
    reset_offset: int = 0
    refractory: int = 0

    def __post_init__(self) -> None:
        _set_int(self, "threshold", -limits.THRESHOLD_MAX, limits.READOUT_THRESHOLD)
        _set_int(self, "bias_exponent", limits.BIAS_EXPONENT_MIN, limits.BIAS_EXPONENT_MAX)
        _set_int(self, "current_decay", 0, limits.DECAY_ONE)
        _set_int(self, "voltage_decay", 0, limits.DECAY_ONE)
        if self.reset_interval is not None:
            _set_int(self, "reset_interval", 1, limits.GRADED_MAX)
        _set_int(self, "reset_offset", 0, limits.GRADED_MAX)
        _set_int(self, "refractory", 0, limits.GRADED_MAX)
        object.__setattr__(self, "bias", _checked_bias(self.bias))

    @property
    def memoryless(self) -> bool:
        """True when no state outlives a time step."""
        forgets = self.current_decay == limits.DECAY_ONE and self.voltage_decay == limits.DECAY_ONE
        return (forgets or self.reset_interval == 1) and self.refractory == 0


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


@dataclass(frozen=True)
class Delta:
    r"""Delta encoder: sends by how much its input has changed, once that is enough.

    With input ``a``, ``e = spike_exponent + state_exponent`` and all else scaled by ``2**e`` (lava-nc 0.10.0,
    ``proc/sdn/models.py``, ``PyDeltaModelFixed``, in 32 bits)::

        delta = (a << e) - act + residue;  sent = delta where |delta| >= (threshold << e), else 0
        residue <- delta - sent;  act <- a << e;  message = sent >> state_exponent

    threshold: 0 or more, in units of the input. spike_exponent, state_exponent: 0..8; lava-dl uses 6 and 6.
    message_bits: width of the message on the chip, 1..24; the simulator does not enforce it.
    """

    threshold: int
    spike_exponent: int = limits.SPIKE_EXPONENT
    state_exponent: int = limits.SPIKE_EXPONENT
    message_bits: int = limits.MESSAGE_BITS_DEFAULT

    def __post_init__(self) -> None:
        _check_sigma_delta(self)

    @property
    def bias(self) -> IntArray:
        """None at all."""
        return _NO_BIAS

    @property
    def memoryless(self) -> bool:
        """Never: it compares with what came before."""
        return False


@dataclass(frozen=True, eq=False)
class SigmaDelta(ArrayEquality):
    r"""Sigma decoder, activation and delta encoder: one layer of a sigma-delta network.

    With activation ``a`` and ``e = spike_exponent + state_exponent`` (lava-nc 0.10.0, ``proc/sdn/models.py``,
    ``PySigmaDeltaModelFixed``, in 32 bits)::

        sigma <- sigma + a;  act' = max(sigma + (bias << e), 0)       without the maximum where ``relu`` is false
        delta = act' - act + residue;  sent = delta where |delta| >= (threshold << e), else 0
        residue <- delta - sent;  act <- act';  message = sent >> state_exponent

    threshold: 0 or more. bias: one integer a channel, or none at all, in units of the threshold; -32768..32767.
    spike_exponent, state_exponent, message_bits: as in Delta.
    """

    threshold: int
    bias: IntArray = field(default_factory=lambda: _NO_BIAS)
    spike_exponent: int = limits.SPIKE_EXPONENT
    state_exponent: int = limits.SPIKE_EXPONENT
    relu: bool = True
    message_bits: int = limits.MESSAGE_BITS_DEFAULT

    def __post_init__(self) -> None:
        _check_sigma_delta(self)
        object.__setattr__(self, "bias", _checked_bias(self.bias))

    @property
    def memoryless(self) -> bool:
        """Never: it sums up what came before."""
        return False


@dataclass(frozen=True)
class Sigma:
    """Sigma decoder: its output is the sum of all activations so far, in 32 bits (lava-nc ``proc/sdn/models.py``)."""

    @property
    def bias(self) -> IntArray:
        """None at all."""
        return _NO_BIAS

    @property
    def memoryless(self) -> bool:
        """Never: it sums up what came before."""
        return False


Neuron: TypeAlias = LIF | Accumulator | Delta | SigmaDelta | Sigma

GRADED = (Delta, SigmaDelta, Sigma)
"""The neurons whose messages are integers of up to 32 bits."""


def channel_bias(neuron: Neuron, shape: Shape) -> IntArray:
    """The bias of each channel in 1/64 weight unit, shape (channel,); zeros where the neuron has none.

    That of a SigmaDelta is scaled by its own two exponents instead.
    """
    if neuron.bias.size == 0:
        return np.zeros(shape.channel, dtype=np.int32)
    if isinstance(neuron, SigmaDelta):
        return neuron.bias << (neuron.spike_exponent + neuron.state_exponent)
    exponent = neuron.bias_exponent if isinstance(neuron, LIF) else limits.BIAS_EXPONENT_WEIGHT_UNITS
    return neuron.bias << exponent


def check_bias_fits(neuron: Neuron, shape: Shape) -> None:
    """Raises NetworkError unless the neuron has no bias or one for each channel of ``shape``."""
    if neuron.bias.size not in (0, shape.channel):
        raise NetworkError(f"bias has {neuron.bias.size} values, but the layer has {shape.channel} channels")


def _check_sigma_delta(neuron: Delta | SigmaDelta) -> None:
    _set_int(neuron, "spike_exponent", 0, limits.STATE_EXPONENT_MAX)
    _set_int(neuron, "state_exponent", 0, limits.STATE_EXPONENT_MAX)
    _set_int(neuron, "threshold", 0, limits.GRADED_MAX >> (neuron.spike_exponent + neuron.state_exponent))
    _set_int(neuron, "message_bits", 1, limits.MESSAGE_BITS_MAX)


def _checked_bias(bias: IntArray) -> IntArray:
    frozen = frozen_int_array(bias, "bias", limits.BIAS_MIN, limits.BIAS_MAX)
    if frozen.ndim != 1:
        raise NetworkError(f"bias: expected one value a channel, shape (channel,), got shape {frozen.shape}")
    return frozen if frozen.any() else _NO_BIAS


def _set_int(neuron: object, name: str, low: int, high: int) -> None:
    """Checks a field and makes a plain int of it: those of NumPy differ in type, and overflow where they are narrow."""
    value = getattr(neuron, name)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= int(value) <= high:
        what = {"refractory": "refractory period"}.get(name, name.replace("_", " "))
        raise NetworkError(f"{what}: expected an integer in {low}..{high}, got {value!r}")
    object.__setattr__(neuron, name, int(value))
