"""The chip's registers: what only a simulator runs, as named violations of one layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from netx import limits
from netx.network import Layer
from netx.neurons import LIF, Accumulator, Delta, SigmaDelta
from netx.synapses import Conv2d, Dense, Recurrent

Violation = tuple[str, str]
"""Which register, as ``weight``, and what it cannot hold."""

_STATE_MAX = (1 << (limits.STATE_BITS - 1)) - 1


def violations(layer: Layer) -> Iterator[Violation]:
    """Every value of the layer that a register of the chip cannot hold."""
    synapse, neuron = layer.synapse, layer.neuron
    if isinstance(synapse, (Conv2d, Dense)):
        yield from _of_weights(synapse)
    elif isinstance(synapse, Recurrent):
        yield from _of_weights(synapse.forward)
        yield from _of_weights(synapse.feedback)
    if isinstance(neuron, LIF):
        yield from _of_lif(neuron)
    elif isinstance(neuron, Accumulator):
        yield (
            "read-out",
            f"a read-out needs a threshold of {limits.READOUT_THRESHOLD} and a voltage decay of {limits.DECAY_ONE}, "
            f"beyond the chip's {limits.THRESHOLD_MAX} and {limits.VOLTAGE_DECAY_MAX}",
        )
    elif isinstance(neuron, (Delta, SigmaDelta)):
        scaled = neuron.threshold << (neuron.spike_exponent + neuron.state_exponent)
        if scaled > _STATE_MAX:
            yield "threshold", f"threshold {neuron.threshold} is {scaled} in the state's units, beyond 24 bits"


def _of_lif(neuron: LIF) -> Iterator[Violation]:
    if neuron.voltage_decay > limits.VOLTAGE_DECAY_MAX and neuron.reset_interval != 1:
        yield (
            "voltage-decay",
            f"voltage decay {neuron.voltage_decay} is beyond 12 bits ({limits.VOLTAGE_DECAY_MAX}): reset every frame",
        )
    if neuron.current_decay < 1:
        yield "current-decay", "current decay 0 is below the register's 1"
    if not 0 <= neuron.threshold <= limits.THRESHOLD_MAX:
        yield "threshold", f"threshold {neuron.threshold} is outside 0..{limits.THRESHOLD_MAX} (17 bits)"
    for value in neuron.bias[(neuron.bias < limits.LOIHI_BIAS_MIN) | (neuron.bias > limits.LOIHI_BIAS_MAX)][:1]:
        yield "bias", f"bias {value} is outside {limits.LOIHI_BIAS_MIN}..{limits.LOIHI_BIAS_MAX} (13 bits)"


def _of_weights(synapse: Conv2d | Dense) -> Iterator[Violation]:
    """Eight bits and a sign that all weights share, or that takes the last bit (lava-nc ``utils/weightutils.py``)."""
    weight = synapse.effective_weight if isinstance(synapse, Dense) else synapse.weight
    mixed = weight.min() < 0 < weight.max()
    wrong = (weight % 2 != 0) if mixed else (np.abs(weight) > limits.WEIGHT_MAX)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        rule = "odd among weights of both signs" if mixed else f"beyond {limits.WEIGHT_MAX}"
        yield "weight", f"weight {list(place)} is {weight[place]}, {rule}: it does not fit into 8 bits"
