"""A network in the terms of Lava's stock processes, and what they did in the network's terms. No Lava in here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from netx import (
    LIF,
    Accumulator,
    Correlation,
    Dense,
    Direct,
    Layer,
    Network,
    NetworkError,
    Neuron,
    Range,
    Recurrent,
    channel_bias,
    limits,
)
from netx.arrays import IntArray
from netx.network import has_synapse
from netx.neurons import GRADED
from netx.types import Pair
from sim.lava.branches import Branch, branches
from sim.lava.job import ConvModel, LavaLayer, LavaNeuron, LavaSynapse, LayerOutcome, in_torch_order
from sim.recording import Recording

MAX_INT8 = 127
"""Lava's Conv keeps kernel size, stride, padding, dilation and groups in 8 signed bits, and computes the output's size
in them (lava-nc 0.10.0 ``proc/conv/models.py``); beyond it sends zeros or raises."""

LARGEST: dict[ConvModel, int] = {"stock": MAX_INT8, "fast": (1 << 31) - 1, "proven": MAX_INT8}
"""What the models of Conv can hold: those of sim.lava.conv have 32 bits, but Lava's own cannot prove them beyond 8."""


def plan(network: Network, conv: ConvModel = "stock") -> tuple[LavaLayer, ...]:
    """The Conv and LIF processes of every layer with neurons, in the network's order; ``conv``: the model of the Conv.

    Raises NetworkError naming the layer that Lava's stock processes cannot run with the same bits.
    """
    _check_starts_at_rest(network)
    layers = []
    for layer in network.layers:
        try:
            if layer.neuron is not None:
                layers.append(_lava_layer(network, layer, LARGEST[conv]))
        except NetworkError as error:
            raise NetworkError(f"layer {layer.name!r}: {error}") from None
    return tuple(layers)


def message_bits(values: Range) -> int:
    """0 for spikes; else the width of the graded integers, sign included."""
    if values.binary:
        return 0
    return max(abs(values.low), abs(values.high)).bit_length() + (values.low < 0)


def recording(outcome: Mapping[str, LayerOutcome], conv: ConvModel = "stock") -> Recording:
    """What Lava did, as the common ground of all engines.

    Spikes are Lava's own, and so are the membranes of layers that never spike. Lava forgets the membrane of a neuron
    that spikes; for spiking layers it is Lava's own activation put through the recurrence of its LIF, and reset where
    Lava's neuron spiked.
    """
    spikes, membranes = {}, {}
    for name, layer in outcome.items():
        if layer.voltage is None:
            spikes[name] = in_torch_order(layer.spikes).astype(np.uint8)
            voltage = _voltages_before_reset(layer)
        else:
            voltage = layer.voltage
        membranes[name] = in_torch_order(voltage >> limits.STATE_SHIFT).astype(np.int32)
    stand_ins = tuple(name for name, layer in outcome.items() if layer.stand_in)
    return Recording("lava" if conv == "stock" else f"lava-{conv}", spikes, membranes, stand_ins=stand_ins)


def _check_starts_at_rest(network: Network) -> None:
    """A frame reaches a layer some steps after the run has started; one that remembers must have seen nothing."""
    if network.memoryless:
        return
    for layer in network.layers:
        if isinstance(layer.neuron, LIF):
            bias = channel_bias(layer.neuron, network.shape(layer.name))
            restless = (bias > layer.neuron.threshold << limits.STATE_SHIFT).any()
            if restless or (bias.any() and not layer.neuron.memoryless):
                raise NetworkError(
                    f"layer {layer.name!r}: its bias acts before the first frame arrives, and the network remembers "
                    f"it; Lava runs such a network only with decays of {limits.DECAY_ONE}"
                )


def _lava_layer(network: Network, layer: Layer, largest: int) -> LavaLayer:
    if isinstance(layer.synapse, Correlation):
        raise NetworkError("is a correlation without its template: call Network.programmed first")
    _check_laid_out(layer)
    synapses = tuple(lava_synapse(network, branch, largest) for branch in branches(network, layer, largest))
    return LavaLayer(layer.name, synapses, _lava_neuron(layer.neuron, network.shape(layer.name).channel))


def lava_synapse(network: Network, branch: Branch, largest: int = MAX_INT8) -> LavaSynapse:
    """One branch in Lava's terms. Raises NetworkError where Lava's Conv cannot hold it, or its source sends nothing."""
    check_source_sends(network, branch.source)
    _check_sizes(branch, largest)
    shape = network.shape(branch.source)
    return LavaSynapse(
        source=branch.source,
        input_shape=(shape.width, shape.height, shape.channel),
        weight=np.ascontiguousarray(branch.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)),
        stride=_columns_first(branch.stride),
        padding=_columns_first(branch.padding),
        dilation=_columns_first(branch.dilation),
        groups=branch.groups,
        message_bits=message_bits(network.range(branch.source)),
        spread=branch.spread,
    )


def hold(network: Network) -> int:
    """For how many steps each frame has to stay, so that what meets in a layer on ways of different lengths is of one
    frame: one more than the largest difference.

    Raises NetworkError where a network remembers, and would see each frame several times.
    """
    shortest = {source.name: 0 for source in network.inputs}
    most = 1
    for layer in network.layers:
        shortest[layer.name] = min(shortest[source] for source in layer.inputs) + has_synapse(layer)
        most = max(most, network.depth(layer.name) - shortest[layer.name] + 1)
        if most > 1 and not network.memoryless:
            raise NetworkError(
                f"layer {layer.name!r}: ways of different lengths meet in it, and in Lava each layer takes a step; "
                f"Lava runs such a network only with decays of {limits.DECAY_ONE}"
            )
    return most


def _lava_neuron(neuron: Neuron | None, channels: int) -> LavaNeuron:
    assert neuron is not None
    bias = neuron.bias if neuron.bias.size else np.zeros(channels, np.int32)
    if isinstance(neuron, LIF):
        return LavaNeuron(bias, neuron.bias_exponent, neuron.threshold, neuron.current_decay, neuron.voltage_decay)
    one = limits.DECAY_ONE
    return LavaNeuron(bias, limits.BIAS_EXPONENT_WEIGHT_UNITS, limits.READOUT_THRESHOLD, one, one)


def _check_laid_out(layer: Layer) -> None:
    """Raises NetworkError at what is not laid out for a simulation frame by frame."""
    synapse, neuron = layer.synapse, layer.neuron
    late = isinstance(synapse, Dense) and (synapse.delay.any() or synapse.weight_bits is not None)
    resets = isinstance(neuron, LIF) and (neuron.reset_interval is not None or neuron.refractory)
    if late or resets or isinstance(synapse, (Direct, Recurrent)) or isinstance(neuron, GRADED):
        raise NetworkError(
            "delays, truncated weights, resets, feedback, direct inputs and sigma-delta neurons are followed step by "
            "step: use sim.lava.states"
        )


def check_source_sends(network: Network, source: str) -> None:
    """Raises NetworkError where ``source`` is a read-out."""
    if any(other.name == source and isinstance(other.neuron, Accumulator) for other in network.layers):
        raise NetworkError(f"reads the accumulator {source!r}, which sends nothing in Lava")


def _check_sizes(conv: Branch, largest: int) -> None:
    """Raises NetworkError where Lava's Conv cannot hold the sizes, of which it takes those up to ``largest``."""
    for kernel, padding, dilation in zip(conv.kernel, conv.padding, conv.dilation, strict=True):
        reach = dilation * (kernel - 1) + 1
        if max(reach, 2 * padding, *conv.stride) > largest:
            raise NetworkError(
                f"a kernel of {kernel} with dilation {dilation}, padding {padding} and stride {conv.stride} is too "
                f"large for Lava: the dilated kernel, twice the padding and the stride must be at most {largest}"
            )


def _columns_first(pair: Pair) -> Pair:
    return pair[1], pair[0]


def _voltages_before_reset(layer: LayerOutcome) -> IntArray:
    """The LIF recurrence of lava-nc 0.10.0 ``proc/lif/models.py`` (``subthr_dynamics``), in 1/64 weight unit."""
    half = 1 << (limits.STATE_BITS - 1)
    current: npt.NDArray[np.int64] = np.zeros(layer.activation.shape[1:], np.int64)
    voltage = current
    voltages = np.empty(layer.activation.shape, np.int32)
    for frame, (activation, spikes) in enumerate(zip(layer.activation, layer.spikes, strict=True)):
        current = _decayed(current, layer.current_decay) + (activation.astype(np.int64) << limits.STATE_SHIFT)
        current = np.where(current > half, current - 2 * half, current)
        current = np.where(current <= -half, current + 2 * half, current)
        voltage = np.clip(_decayed(voltage, layer.voltage_decay) + current + layer.bias, 1 - half, half - 1)
        voltages[frame] = voltage
        voltage = np.where(spikes, 0, voltage)
    return voltages


def _decayed(state: npt.NDArray[np.int64], decay: int) -> npt.NDArray[np.int64]:
    return np.sign(state) * (np.abs(state) * (limits.DECAY_ONE - decay) >> 12)
