"""What a box of a layer's neurons takes of a core: neurons, words of synaptic memory, axons in and out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from netx import Concat, Conv2d, Correlation, Dense, Direct, Flatten, Layer, Network, Pool, Recurrent, Shape
from sim.hardware import Limits, Packing
from sim.mapping.packing import delay_bits, index_bits, list_words, stored_bits, weight_bits
from sim.mapping.result import RESOURCES, Resource
from sim.mapping.shapes import Axis, Box, Span

_TOO_WIDE = 1 << 40
"""Words of a list whose index has no format: no limit admits it, so that the layer is cut further."""


class Needs(NamedTuple):
    """What a box takes of a core, in the order of the limits."""

    neurons: int
    synapse_words: int
    axons_in: int
    axons_out: int
    neuron_groups: int

    def utilisation(self, limits: Limits) -> dict[Resource, float]:
        """The part of each limited resource that is used; 1 is all of it."""
        found: dict[Resource, float] = {}
        for name in RESOURCES:
            limit = getattr(limits, name)
            if limit is not None:
                found[name] = getattr(self, name) / limit.value
        return found

    def binding(self, limits: Limits) -> tuple[Resource, float]:
        """The resource of which the largest part is used, and that part.

        Groups are left out: a core holds one layer, which is one group.
        """
        parts = self.utilisation(limits)
        parts.pop("neuron_groups", None)
        name = max(parts, key=lambda resource: parts[resource])
        return name, parts[name]


@dataclass(frozen=True)
class Window:
    """A convolution, pooling or correlation. bits: of a stored weight."""

    in_channels: int
    out_channels: int
    groups: int
    rows: Axis
    columns: Axis
    bits: int

    def pairs(self, channels: Span) -> list[tuple[int, int]]:
        """For every group that ``channels`` touch: its input channels, and how many of its outputs are among them."""
        outputs, inputs = self.out_channels // self.groups, self.in_channels // self.groups
        first, last = channels.low // outputs, (channels.high - 1) // outputs
        touched = np.arange(first, last + 1)
        overlap = np.minimum((touched + 1) * outputs, channels.high) - np.maximum(touched * outputs, channels.low)
        return [(inputs, int(count)) for count in overlap]


@dataclass(frozen=True)
class Full:
    """A full connection of ``axons`` inputs. bits: of a stored synapse, its delay included, its index not."""

    axons: int
    bits: int


Connection: TypeAlias = Window | Full


class Reader(NamedTuple):
    """One layer that reads another, as far as axons go. rows, columns: spans of its cores; channels: cuts along them.

    window: None where every core of it reads every neuron.
    """

    window: Window | None
    channel_cuts: int
    rows: list[Span]
    columns: list[Span]


def connections(network: Network, layer: Layer, packing: Packing, most_bits: int) -> list[Connection]:
    """The connections of a layer that has neurons; none where it is driven from outside."""
    synapse = layer.synapse
    if isinstance(synapse, Direct):
        return []
    if isinstance(synapse, Recurrent):
        return [_full(synapse.forward, packing, most_bits), _full(synapse.feedback, packing, most_bits)]
    if isinstance(synapse, Dense):
        return [_full(synapse, packing, most_bits)]
    assert isinstance(synapse, (Conv2d, Pool, Correlation))
    return [_window(synapse, tuple(network.shape(name) for name in layer.inputs), packing, most_bits)]


def needs(connected: list[Connection], box: Box, packing: Packing, axons_out: int) -> Needs:
    """What ``box`` takes of a core, which sends through ``axons_out`` axons."""
    words = axons = 0
    for connection in connected:
        if isinstance(connection, Full):
            bits = connection.bits + packing.dense_index_bits
            words += connection.axons * list_words(packing, box.neurons, bits)
            axons += connection.axons
        elif packing.scheme == "loihi2":
            words += _shared_kernel_words(connection, box, packing)
            axons += 1
        else:
            words += _population_words(connection, box, packing)
            axons += int(connection.rows.read(box.rows).sum()) * int(connection.columns.read(box.columns).sum())
    return Needs(box.neurons, words, axons, axons_out, 1)


def axons_out(box: Box, readers: Iterable[Reader], packing: Packing) -> int:
    """Axons through which ``box`` sends to its readers; an output of the network sends each neuron to the host.

    Loihi 2 has one for each neuron, or one for each pixel where the reader is a convolution (its messages name the
    channel). Loihi 1 has these once for every core that it sends to.
    """
    readers, sent, copies = list(readers), 0, packing.scheme == "loihi1"
    for reader in readers:
        if reader.window is None:
            sent += box.neurons * (reader.channel_cuts if copies else 1)
        elif not copies:
            sent += box.rows.size * box.columns.size
        else:
            rows = sum(int(reader.window.rows.read(span)[slice(*box.rows)].sum()) for span in reader.rows)
            columns = sum(int(reader.window.columns.read(span)[slice(*box.columns)].sum()) for span in reader.columns)
            sent += rows * columns * reader.channel_cuts
    return sent if readers else box.neurons


def consumers(network: Network, name: str) -> list[tuple[Layer, bool]]:
    """The layers with neurons that read ``name``, through wires too; and whether a Flatten lies between."""
    found = []
    for layer in network.consumers(name):
        if isinstance(layer.synapse, (Flatten, Concat)):
            flat = isinstance(layer.synapse, Flatten)
            found += [(reader, flat or flattened) for reader, flattened in consumers(network, layer.name)]
        elif not (isinstance(layer.synapse, Correlation) and layer.inputs[0] != name):
            found.append((layer, False))
    return found


def _shared_kernel_words(window: Window, box: Box, packing: Packing) -> int:
    """Loihi 2: one list for each tap and input channel, of the output channels it reaches in this core."""
    taps = window.rows.kernel * window.columns.kernel
    return taps * sum(
        inputs * list_words(packing, outputs, window.bits) for inputs, outputs in window.pairs(box.channels)
    )


def _population_words(window: Window, box: Box, packing: Packing) -> int:
    """Loihi 1: one list for each different set of taps by which a pixel reaches outputs here, of all channels.

    As nengo-loihi 1.1.0 has it (``conv.py``, ``conv2d_loihi_weights``, with channels last).
    """
    pairs = sum(inputs * outputs for inputs, outputs in window.pairs(box.channels))
    rows, columns = window.rows.lists(box.rows), window.columns.lists(box.columns)
    if not rows or not columns:
        return 0
    largest = box.channels.size * (box.columns.size * (rows[-1] - 1) + columns[-1]) - 1
    index = index_bits(largest)
    if index is None:
        return _TOO_WIDE
    bits = window.bits + index
    return sum(list_words(packing, r * c * pairs, bits) for r in rows for c in columns)


def _full(synapse: Dense, packing: Packing, most_bits: int) -> Full:
    bits = stored_bits(packing, weight_bits(synapse.effective_weight, most_bits))
    return Full(synapse.weight.shape[1], bits + delay_bits(int(synapse.delay.max())))


def _window(
    synapse: Conv2d | Pool | Correlation, sources: tuple[Shape, ...], packing: Packing, most_bits: int
) -> Window:
    source, shape = sources[0], synapse.output_shape(sources)
    dilation, padding, stride = (1, 1), (0, 0), (1, 1)
    if isinstance(synapse, Conv2d):
        weight, kernel, groups, dilation = synapse.weight, synapse.kernel, synapse.groups, synapse.dilation
    elif isinstance(synapse, Pool):
        weight, kernel, groups = np.array([synapse.weight], np.int32), synapse.kernel, source.channel
    else:
        weight, groups = np.array([0, synapse.gain], np.int32), source.channel
        kernel = (sources[1].height, sources[1].width)
    if not isinstance(synapse, Correlation):
        padding, stride = synapse.padding, synapse.stride
    rows, columns = (Axis(*axis) for axis in zip(source[1:], shape[1:], kernel, stride, padding, dilation, strict=True))
    return Window(
        source.channel, shape.channel, groups, rows, columns, stored_bits(packing, weight_bits(weight, most_bits))
    )
