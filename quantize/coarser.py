"""A network in coarser integers than it was trained in: fewer bits a weight, other thresholds. Nothing is trained.

Membranes stay even and thresholds odd where they were, so that no membrane ties with a threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from netx import LIF, Conv2d, Dense, Layer, MonospikeError, Network, Pool, Recurrent, limits
from netx.synapses import Synapse

MOST_BITS = 8
"""Of a weight that is stored in units of two: -256, -254, ..., 254."""


def with_weight_bits(network: Network, bits: int) -> Network:
    """The network with each layer's weights as integers of ``bits`` bits, sign included, times a power of two.

    bits: 1..8; 8 changes nothing in a network of even weights. The power is the layer's own: the one at which the sum
    of squared errors is smallest, of equals the smallest. Weights beyond its range are clipped. What a template's
    spikes will program, and pooling, have one weight of their own and stay.
    Raises MonospikeError when there are no such bits.
    """
    if not 1 <= bits <= MOST_BITS:
        raise MonospikeError(f"weight bits: expected 1 to {MOST_BITS}, got {bits}")
    return _with_layers(network, lambda layer: replace(layer, synapse=_coarser(layer.synapse, bits)))


def with_thresholds(network: Network, factor: float) -> Network:
    """The network with every threshold times ``factor``, rounded to the nearest odd number where it was odd.

    Biases stay. So does pooling, whose threshold of one makes it an OR.
    Raises MonospikeError, naming the layer, where a threshold would be below 1 or above 131071.
    """

    def change(layer: Layer) -> Layer:
        if not isinstance(layer.neuron, LIF) or isinstance(layer.synapse, Pool):
            return layer
        threshold = _scaled(layer.neuron.threshold, factor)
        if not 1 <= threshold <= limits.THRESHOLD_MAX:
            raise MonospikeError(
                f"layer {layer.name!r}: its threshold of {layer.neuron.threshold} times {factor:g} is {threshold}, "
                f"and one has to be in 1..{limits.THRESHOLD_MAX}"
            )
        return replace(layer, neuron=replace(layer.neuron, threshold=threshold))

    return _with_layers(network, change)


def _with_layers(network: Network, change: Callable[[Layer], Layer]) -> Network:
    return Network(network.inputs, tuple(change(layer) for layer in network.layers), network.outputs)


def _scaled(threshold: int, factor: float) -> int:
    if threshold % 2:
        return 2 * round((threshold * factor - 1) / 2) + 1
    return round(threshold * factor)


def _coarser(synapse: Synapse, bits: int) -> Synapse:
    if isinstance(synapse, (Conv2d, Dense)):
        return replace(synapse, weight=_rounded(synapse.weight, bits))
    if isinstance(synapse, Recurrent):
        forward, feedback = (
            replace(part, weight=_rounded(part.weight, bits)) for part in (synapse.forward, synapse.feedback)
        )
        return Recurrent(forward, feedback)
    return synapse


def _rounded(weight: npt.NDArray[np.int32], bits: int) -> npt.NDArray[np.int32]:
    """``weight`` in the step of least squared error; a step of one only where weights are odd already."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    finest = 1 if np.all(weight % 2 == 0) else 0
    values = weight.astype(np.int64)
    rounded = [
        np.clip(np.rint(values / (1 << shift)).astype(np.int64), low, high) << shift
        for shift in range(finest, MOST_BITS + 2 - bits)
    ]
    best = min(rounded, key=lambda one: int(((one - values) ** 2).sum()))
    return best.astype(np.int32)
