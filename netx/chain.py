"""Chains: the straight stretches of a network, each of which one file of either format can hold."""

from __future__ import annotations

from dataclasses import dataclass

from netx.errors import NetworkError
from netx.network import Input, Layer, Network
from netx.neurons import GRADED, LIF, Accumulator
from netx.synapses import Concat, Correlation, Dense, Direct, Flatten, Recurrent, Upsample
from netx.types import Shape


@dataclass(frozen=True)
class Chain:
    """Consecutive layers of a network by name, the first of which reads ``source`` (an input or another layer)."""

    source: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """A layer with neurons in a chain, with the names of the Flatten layers just before it.

    source: shape of what it reads, before any flattening.
    """

    layer: Layer
    flattens: tuple[str, ...]
    source: Shape


def chains(network: Network) -> list[Chain]:
    """The longest chains of ``network``, in its order; every layer with neurons but a Correlation is in exactly one.

    A chain goes on as long as its last layer is read by one layer only, is not an output and spikes. Correlation,
    Concat, Upsample and a Flatten that no layer of the chain follows are in none: they are the glue between chains.
    """
    open_chains: dict[str, list[Layer]] = {}
    found: list[list[Layer]] = []
    for layer in network.layers:
        if isinstance(layer.synapse, (Concat, Correlation, Upsample)):
            continue
        members = open_chains.pop(layer.inputs[0], None)
        if members is None:
            members = []
            found.append(members)
        members.append(layer)
        goes_on = len(network.consumers(layer.name)) == 1 and layer.name not in network.outputs
        if goes_on and not isinstance(layer.neuron, Accumulator):
            open_chains[layer.name] = members
    for members in found:
        while members and members[-1].neuron is None:
            members.pop()
    return [Chain(members[0].inputs[0], tuple(layer.name for layer in members)) for members in found if members]


def glue(network: Network) -> tuple[Layer, ...]:
    """The layers in no chain, in the network's order."""
    taken = {name for chain in chains(network) for name in chain.layers}
    return tuple(layer for layer in network.layers if layer.name not in taken)


def chain_network(network: Network, chain: Chain) -> Network:
    """The chain as a network of its own, with one input called ``chain.source``."""
    return Network(
        inputs=(Input(chain.source, network.shape(chain.source), network.range(chain.source)),),
        layers=tuple(network.layer(name) for name in chain.layers),
        outputs=(chain.layers[-1],),
    )


def links(network: Network) -> list[Link]:
    """The layers with neurons of a network that is one chain, in order.

    Raises NetworkError, saying what breaks the chain, when it is not: several inputs or outputs, a branch, a
    correlation, concatenation or up-sampling, an accumulator before the end, or a Flatten at the end.
    """
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise NetworkError(f"has {len(network.inputs)} inputs and {len(network.outputs)} outputs, one file holds one")
    result: list[Link] = []
    flattens: list[str] = []
    previous = network.inputs[0].name
    source = network.inputs[0].shape
    for layer in network.layers:
        _check_follows(layer, previous)
        if result and isinstance(result[-1].layer.neuron, Accumulator):
            raise NetworkError(f"layer {layer.name!r} reads the accumulator {previous!r}, which sends no spikes")
        previous = layer.name
        if isinstance(layer.synapse, Flatten):
            flattens.append(layer.name)
            continue
        result.append(Link(layer, tuple(flattens), source))
        flattens, source = [], network.shape(layer.name)
    if flattens:
        raise NetworkError(f"layer {flattens[-1]!r} flattens the output, which neither format holds")
    if network.outputs[0] != previous:
        raise NetworkError(f"its output {network.outputs[0]!r} is not its last layer, {previous!r}")
    return result


def _check_follows(layer: Layer, previous: str) -> None:
    if isinstance(layer.synapse, (Concat, Correlation, Upsample)):
        raise NetworkError(f"layer {layer.name!r} is a {type(layer.synapse).__name__}, which neither format holds")
    check_plain(layer)
    if layer.inputs != (previous,):
        raise NetworkError(f"layer {layer.name!r} reads {', '.join(layer.inputs)}, not the layer before it")


def check_plain(layer: Layer) -> None:
    """Raises NetworkError at what neither format is written with; what lava-dl wrote of it can be read."""
    synapse, neuron = layer.synapse, layer.neuron
    if isinstance(synapse, (Recurrent, Direct)) or isinstance(neuron, GRADED):
        kind = type(neuron if isinstance(neuron, GRADED) else synapse).__name__
        raise NetworkError(f"layer {layer.name!r} is a {kind}, which is read from lava-dl's files but not written")
    if isinstance(synapse, Dense) and (synapse.delay.any() or synapse.weight_bits is not None):
        raise NetworkError(f"layer {layer.name!r} has delays or truncated weights, which are not written")
    if isinstance(neuron, LIF) and (neuron.reset_interval is not None or neuron.refractory):
        raise NetworkError(f"layer {layer.name!r} has a reset interval or refractory period, which are not written")
