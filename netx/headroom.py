"""Proof, channel by channel, that no accumulator can leave the range in which every engine agrees.

Lava's LIF wraps its current and saturates its voltage at 24 bits; SLAYER does neither; a float32 convolution is exact
below 2^24. All of them agree while the activation, and the activation plus bias, stay within +-131071 weight units
(``netx.limits.ACTIVATION_MAX``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import limits
from netx.errors import HeadroomError
from netx.network import Network
from netx.neurons import GRADED, LIF, Neuron, Sigma, SigmaDelta, channel_bias

_UNBOUNDED = 1 << 40
"""In 1/64 weight unit: stands for a state that nothing bounds, far beyond the 24 bits that there are."""


@dataclass(frozen=True)
class LayerHeadroom:
    """Worst case of one layer's accumulators over every input, or sequence of inputs, that the ranges allow.

    low, high: the extremes that each channel's activation or membrane voltage can reach, in weight units, rounded away
    from zero, shape (channel,).
    """

    layer: str
    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    limit: int = limits.ACTIVATION_MAX

    @property
    def worst_case(self) -> int:
        """Largest magnitude over all channels."""
        return int(max(-self.low.min(), self.high.max(), 0))

    @property
    def channel(self) -> int:
        """The channel that reaches the worst case."""
        return int(np.argmax(np.maximum(-self.low, self.high)))

    @property
    def accumulator_bits(self) -> int:
        """Signed bits that hold the worst case in the chip's 1/64 units; 24 are there."""
        return int(self.worst_case << limits.STATE_SHIFT).bit_length() + 1

    @property
    def proven(self) -> bool:
        """True when no input can take the accumulator out of its range."""
        return self.worst_case <= self.limit


def largest_sum(network: Network, layer: str) -> int:
    """Largest magnitude of the sums of a layer with neurons within one step, with its bias and without.

    In weight units. The bias of sigma-delta neurons is none of the sum, and left out.
    """
    neuron = network.layer(layer).neuron
    low, high = network.activation_range(layer)
    bias = np.zeros(1, np.int64)
    if neuron is not None and not isinstance(neuron, GRADED):
        bias = channel_bias(neuron, network.shape(layer)).astype(np.int64) >> limits.STATE_SHIFT
    return max(int(end.max()) for end in (-low, high, -(low + bias), high + bias))


def headroom(network: Network) -> list[LayerHeadroom]:
    """The worst case of every layer that has neurons, in the network's order."""
    result = []
    for layer in network.layers:
        if layer.neuron is None:
            continue
        low, high = network.activation_range(layer.name)
        bias = channel_bias(layer.neuron, network.shape(layer.name)).astype(np.int64)
        low, high = np.maximum(low, -_UNBOUNDED), np.minimum(high, _UNBOUNDED)
        unit = 1 << limits.STATE_SHIFT
        lowest = -_peak(layer.neuron, -low * unit, -bias, None)
        ceiling = max(layer.neuron.threshold, 0) * unit if isinstance(layer.neuron, LIF) else None
        result.append(LayerHeadroom(layer.name, lowest, _peak(layer.neuron, high * unit, bias, ceiling)))
    return result


def _peak(
    neuron: Neuron, activation: npt.NDArray[np.int64], bias: npt.NDArray[np.int64], ceiling: int | None
) -> npt.NDArray[np.int64]:
    """The largest value that current or voltage can reach, in weight units, rounded up.

    activation: the largest one, at least 0; bias: both in 1/64 weight unit. ceiling: what the voltage cannot exceed
    after a step, in the same unit, because beyond its threshold it is reset; None where there is no such thing.
    """
    current, voltage = activation, activation + bias
    if isinstance(neuron, LIF):
        current = _accumulated(activation, neuron.current_decay, neuron.reset_interval)
        gain = np.maximum(current + bias, 0)
        voltage = _accumulated(gain, neuron.voltage_decay, neuron.reset_interval)
        if ceiling is not None:
            kept = ceiling * (limits.DECAY_ONE - neuron.voltage_decay) // limits.DECAY_ONE
            voltage = np.minimum(voltage, kept + gain)
    elif isinstance(neuron, (Sigma, SigmaDelta)):
        current = _accumulated(activation, 0, None)
    return -(-np.maximum(current, voltage) // (1 << limits.STATE_SHIFT))


def _accumulated(gain: npt.NDArray[np.int64], decay: int, interval: int | None) -> npt.NDArray[np.int64]:
    """Bound of a state that gains at most ``gain`` a step, loses decay / 4096 of itself, and is reset by the interval.

    What remains of each gain is a geometric series, whose sum is gain * 4096 / decay.
    """
    gain = np.minimum(gain, _UNBOUNDED)
    bounds = [np.where(gain > 0, _UNBOUNDED, 0)]
    if decay:
        bounds.append(-(-gain * limits.DECAY_ONE // decay))
    if interval is not None and interval <= _UNBOUNDED >> 20:
        bounds.append(gain * interval)
    return np.minimum.reduce(bounds)


def prove_headroom(network: Network) -> list[LayerHeadroom]:
    """``headroom(network)``, once every layer is proven.

    Raises HeadroomError that names each layer and its worst channel, by how much it may overflow and what to change.
    """
    bounds = headroom(network)
    failures = [_failure(bound) for bound in bounds if not bound.proven]
    if failures:
        raise HeadroomError("\n".join(failures))
    return bounds


def _failure(bound: LayerHeadroom) -> str:
    factor = bound.worst_case / bound.limit
    return (
        f"layer {bound.layer!r}, channel {bound.channel}: the accumulator can reach {bound.worst_case}, "
        f"{bound.worst_case - bound.limit} past the limit of {bound.limit}. Lava would wrap it silently. "
        f"Scale the layer's weights, bias and threshold down by {factor:.3f}, narrow its input's range "
        f"(fewer pixel bits), or reduce its fan-in."
    )
