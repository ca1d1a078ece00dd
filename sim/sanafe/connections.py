"""Every connection of a layer, one by one, and what SANA-FE's neurons cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    Network,
    NetworkError,
    Pool,
    Shape,
    Upsample,
    limits,
)
from netx.headroom import largest_sum
from netx.synapses import shift

Index = npt.NDArray[np.int64]

_MOST_CONNECTIONS = 1 << 22
"""A line each: more than a simulator of single messages is asked to run, and than a text file should hold."""


@dataclass(frozen=True)
class Edges:
    """Connections into one layer: neurons of ``source``, counted flat, neurons of the layer, and weights."""

    source: str
    before: Index
    after: Index
    weights: Index


@dataclass(frozen=True)
class Wired:
    """Where the values of a layer or input come from. number: for each place the source it is from; index: which of its
    neurons; both of the shape (channel, height, width). A number of -1: no neuron, and never anything but zero."""

    sources: tuple[str, ...]
    number: Index
    index: Index


def wiring(network: Network) -> dict[str, Wired]:
    """For every input and layer its neurons, wires led back to the layers and inputs that they join."""
    found: dict[str, Wired] = {}
    for source in network.inputs:
        found[source.name] = _own(source.name, source.shape)
    for layer in network.layers:
        if layer.neuron is not None:
            found[layer.name] = _own(layer.name, network.shape(layer.name))
        elif isinstance(layer.synapse, Flatten):
            one = found[layer.inputs[0]]
            found[layer.name] = Wired(one.sources, one.number.reshape(-1, 1, 1), one.index.reshape(-1, 1, 1))
        elif isinstance(layer.synapse, Upsample):
            found[layer.name] = _upsampled(layer.synapse, found[layer.inputs[0]])
        else:
            assert isinstance(layer.synapse, Concat)
            found[layer.name] = _joined([found[name] for name in layer.inputs])
    return found


def layer_edges(network: Network, layer: Layer, wired: Wired) -> Iterator[Edges]:
    """The connections of ``layer``, whose input is ``wired``, by source; those of weight zero are there, too.

    Raises NetworkError where there are more than a text file should hold.
    """
    places, after, weights = _taps(layer, Shape(*wired.index.shape), network.shape(layer.name))
    if len(places) > _MOST_CONNECTIONS:
        raise NetworkError(f"layer {layer.name!r}: has {len(places)} connections, more than {_MOST_CONNECTIONS}")
    number, index = wired.number.ravel()[places], wired.index.ravel()[places]
    for one, source in enumerate(wired.sources):
        here = number == one
        if here.any():
            yield Edges(source, index[here], after[here], weights[here])


def problems(network: Network, played: frozenset[str]) -> Iterator[str]:
    """What keeps a network from running there with the same spikes, layer by layer; ``played`` layers only send."""
    for layer in network.layers:
        if layer.neuron is None or layer.name in played:
            continue
        yield from (f"layer {layer.name!r} {text}" for text in _layer_problems(network, layer))


def _layer_problems(network: Network, layer: Layer) -> Iterator[str]:
    synapse, neuron = layer.synapse, layer.neuron
    if not isinstance(synapse, (Conv2d, Dense, Pool)):
        yield f"is a {type(synapse).__name__}, which is not written for it"
        return
    if not isinstance(neuron, (LIF, Accumulator)):
        yield f"has {type(neuron).__name__} neurons, and its messages carry no numbers"
        return
    if isinstance(synapse, Dense) and synapse.delay.any():
        yield "has delays"
    if not neuron.memoryless:
        yield "remembers, and rounds its state down at every step, which its neurons do not"
    exponent = 0 if isinstance(synapse, Pool) else synapse.weight_exponent
    if exponent < 0 and (_mantissas(synapse) % (1 << -exponent)).any():
        yield f"has a weight exponent of {exponent}, by which its sums are rounded"
    if (largest := largest_sum(network, layer.name)) > limits.ACTIVATION_MAX:
        yield f"has sums of up to {largest}, which Loihi wraps beyond {limits.ACTIVATION_MAX}, and it does not"


def _mantissas(synapse: Conv2d | Dense | Pool) -> npt.NDArray:
    if isinstance(synapse, Pool):
        return np.array([synapse.weight])
    return synapse.effective_weight if isinstance(synapse, Dense) else synapse.weight


def _own(name: str, shape: Shape) -> Wired:
    return Wired((name,), np.zeros(shape, np.int64), np.arange(shape.size).reshape(shape))


def _joined(parts: list[Wired]) -> Wired:
    sources = tuple(dict.fromkeys(source for part in parts for source in part.sources))
    # The last, -1, stands for no neuron.
    numbers = [np.array([*map(sources.index, part.sources), -1])[part.number] for part in parts]
    return Wired(sources, np.concatenate(numbers), np.concatenate([part.index for part in parts]))


def _upsampled(wire: Upsample, one: Wired) -> Wired:
    """Copies lead back to the neuron that they are of; zeros to none, which is source -1."""
    return Wired(one.sources, wire.upsampled(one.number + 1) - 1, wire.upsampled(one.index))


def _taps(layer: Layer, source: Shape, shape: Shape) -> tuple[Index, Index, Index]:
    """Input places and output neurons, both counted flat, and the weight of every connection."""
    synapse = layer.synapse
    if isinstance(synapse, Dense):
        out, into = np.indices(synapse.weight.shape)
        weight = shift(synapse.effective_weight.astype(np.int64), synapse.weight_exponent)
        return into.ravel(), out.ravel(), weight.ravel()
    if isinstance(synapse, Pool):
        weight = np.full((source.channel, 1, *synapse.kernel), synapse.weight, np.int64)
        window, groups = (synapse.stride, synapse.padding, (1, 1)), source.channel
    else:
        assert isinstance(synapse, Conv2d)
        weight = shift(synapse.weight.astype(np.int64), synapse.weight_exponent)
        window, groups = (synapse.stride, synapse.padding, synapse.dilation), synapse.groups
    return _windows(weight, groups, window, source, shape)


def _windows(
    weight: Index, groups: int, window: tuple[tuple[int, int], ...], source: Shape, shape: Shape
) -> tuple[Index, Index, Index]:
    (down, right), (above, left), (rows_apart, columns_apart) = window
    out, ins, kernel_rows, kernel_columns = weight.shape
    c, d, r, q = np.indices((out, ins, kernel_rows, kernel_columns)).reshape(4, -1, 1, 1)
    channel = c // (out // groups) * ins + d
    y, x = np.arange(shape.height)[:, None], np.arange(shape.width)[None]
    row, column = y * down + r * rows_apart - above, x * right + q * columns_apart - left
    inside = (row >= 0) & (row < source.height) & (column >= 0) & (column < source.width)
    before = (channel * source.height + row) * source.width + column
    after = (c * shape.height + y) * shape.width + x
    weights = np.broadcast_to(weight.reshape(-1, 1, 1), inside.shape)
    return before[inside], np.broadcast_to(after, inside.shape)[inside], weights[inside]
