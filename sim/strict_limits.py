"""What only a simulator lets pass: the ranges of the chip's registers, refused layer by layer and step by step.

Static are the registers of the network itself (``check``); what a run does to currents, voltages and messages is seen
as it happens (``watch``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from netx import (
    LIF,
    Accumulator,
    Conv2d,
    Delta,
    Dense,
    Layer,
    Network,
    NetworkError,
    Recurrent,
    Sigma,
    SigmaDelta,
    limits,
)
from sim.dynamics import STATE_MAX, Steps, Watch


def check(network: Network) -> None:
    """Raises NetworkError that names every layer and value that the chip's registers cannot hold."""
    violations = [f"layer {layer.name!r}: {text}" for layer in network.layers for text in _violations(layer)]
    if violations:
        raise NetworkError("only a simulator runs this network:\n" + "\n".join(violations))


def check_sums(sums: torch.Tensor) -> None:
    """Refuse sums of synapses beyond 24 bits: the current could have wrapped to any value."""
    worst = int(sums.abs().max())
    if worst > STATE_MAX:
        raise NetworkError(f"a sum of {worst} leaves the chip's 24 bits")


def watch(first: int) -> Watch:
    """A watch that refuses values beyond the 24 bits of a current or voltage; step 0 is frame ``first``."""

    def look(what: str, values: torch.Tensor, step: int) -> None:
        _check_within(what, values, STATE_MAX, first + step)

    return look


def watch_messages(look: Watch, first: int, neuron: Delta | SigmaDelta | Sigma, steps: Steps) -> None:
    """Refuse sigma-delta states beyond 24 bits, and messages beyond the neuron's own. Step 0 is frame ``first``."""
    for name, values in steps.states.items():
        look(name, values, 0)
    if not isinstance(neuron, Sigma):
        _check_within("message", steps.output, (1 << (neuron.message_bits - 1)) - 1, first)


def _check_within(what: str, values: torch.Tensor, most: int, frame: int) -> None:
    outside = values.abs() > most
    if not bool(outside.any()):
        return
    *steps, _, channel, row, column = place = [int(i) for i in torch.nonzero(outside)[0]]
    value, where = int(values[tuple(place)]), (channel, row, column)
    raise NetworkError(f"{what} of neuron {where} at frame {frame + sum(steps)} is {value}, beyond the chip's +-{most}")


def _violations(layer: Layer) -> Iterator[str]:
    synapse, neuron = layer.synapse, layer.neuron
    if isinstance(synapse, (Conv2d, Dense)):
        yield from _weight_violations(synapse)
    elif isinstance(synapse, Recurrent):
        yield from _weight_violations(synapse.forward)
        yield from _weight_violations(synapse.feedback)
    if isinstance(neuron, LIF):
        yield from _lif_violations(neuron)
    elif isinstance(neuron, Accumulator):
        yield (
            f"a read-out needs a threshold of {limits.READOUT_THRESHOLD} and a voltage decay of {limits.DECAY_ONE}, "
            f"beyond the chip's {limits.THRESHOLD_MAX} and {limits.VOLTAGE_DECAY_MAX}"
        )
    elif isinstance(neuron, (Delta, SigmaDelta)):
        scaled = neuron.threshold << (neuron.spike_exponent + neuron.state_exponent)
        if scaled > STATE_MAX:
            yield f"threshold {neuron.threshold} is {scaled} in the state's units, beyond 24 bits"


def _lif_violations(neuron: LIF) -> Iterator[str]:
    if neuron.voltage_decay > limits.VOLTAGE_DECAY_MAX and neuron.reset_interval != 1:
        yield f"voltage decay {neuron.voltage_decay} is beyond 12 bits ({limits.VOLTAGE_DECAY_MAX}): reset every frame"
    if neuron.current_decay < 1:
        yield "current decay 0 is below the register's 1"
    if not 0 <= neuron.threshold <= limits.THRESHOLD_MAX:
        yield f"threshold {neuron.threshold} is outside 0..{limits.THRESHOLD_MAX} (17 bits)"
    for value in neuron.bias[(neuron.bias < limits.LOIHI_BIAS_MIN) | (neuron.bias > limits.LOIHI_BIAS_MAX)][:1]:
        yield f"bias {value} is outside {limits.LOIHI_BIAS_MIN}..{limits.LOIHI_BIAS_MAX} (13 bits)"


def _weight_violations(synapse: Conv2d | Dense) -> Iterator[str]:
    """Eight bits and a sign that all weights share, or that takes the last bit (lava-nc ``utils/weightutils.py``)."""
    weight = synapse.effective_weight if isinstance(synapse, Dense) else synapse.weight
    mixed = weight.min() < 0 < weight.max()
    wrong = (weight % 2 != 0) if mixed else (np.abs(weight) > limits.WEIGHT_MAX)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        rule = "odd among weights of both signs" if mixed else f"beyond {limits.WEIGHT_MAX}"
        yield f"weight {list(place)} is {weight[place]}, {rule}: it does not fit into 8 bits"
