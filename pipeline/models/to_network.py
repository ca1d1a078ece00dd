"""From trained layers to a network of integers: what the models of all tasks have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from netx import Accumulator, Input, Layer, Network, Range, Shape, prove_headroom
from quantize.slayer import QuantizeError, read_accumulator, read_conv, read_lif

if TYPE_CHECKING:
    from pipeline.models.chain import SpikingChain


def spiking_layer(name: str, source: str, synapse: Any, neuron: Any) -> Layer:
    """A convolution that reads ``source``, with its neurons and their bias.

    synapse, neuron: blocks of ``spiking_layers`` or of SLAYER; the neuron's ``norm`` is a ``ChannelBias``. Raises
    QuantizeError, naming the layer, where a value is not the integer it should be.
    """
    return Layer(name, (source,), read_conv(synapse, name), read_lif(neuron, neuron.norm.value, name, single_step=True))


def readout_layer(name: str, source: str, synapse: Any, bias: Tensor | None = None) -> Layer:
    """A convolution whose membrane voltages are read. bias: (channel,), SLAYER units; none where there is no bias."""
    neuron = Accumulator() if bias is None else read_accumulator(bias, name)
    return Layer(name, (source,), read_conv(synapse, name), neuron)


def check_single_step(time_steps: int) -> None:
    """Raises QuantizeError for a student of several time steps."""
    if time_steps != 1:
        raise QuantizeError(
            f"the student runs {time_steps} time steps, and only one becomes a network: prune it to T = 1"
        )


def chain_network(model: SpikingChain) -> Network:
    """A chain of layers as a network, with head-room proven.

    Raises QuantizeError with a value that is no integer, HeadroomError where an input could take an accumulator out of
    its range.
    """
    config = model.config
    source, layers = config.input, []
    for name, synapse in model.synapses.items():
        if name in model.neurons:
            layers.append(spiking_layer(name, source, synapse, model.neurons[name]))
        else:
            layers.append(readout_layer(name, source, synapse, model.bias.value))
        source = name
    entry = Input(config.input, Shape(*config.shape), Range(config.low, config.high))
    network = Network((entry,), tuple(layers), (source,))
    prove_headroom(network)
    return network
