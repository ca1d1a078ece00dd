"""What a box of a layer's neurons takes of a core: neurons, words of synaptic memory, axons in and out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from netx import WIRES, Conv2d, Correlation, Dense, Direct, Layer, Network, Pool, Recurrent, Shape, Wire
from sim.hardware import Limits, Packing
from sim.mapping.packing import delay_bits, index_bits, list_words, stored_bits, weight_bits
from sim.mapping.result import RESOURCES, Resource
from sim.mapping.shapes import Axis, Box, Pattern, Span

_NAMED_NEURONS = 256
"""Neurons among which an axon of Loihi 1 can name the first that it reaches (nengo-loihi 1.1.0, ``conv.py``)."""

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
    """One layer that reads another, as far as axons go. cores: that read each neuron.

    rows, columns: where the reader is a convolution, how many of its spans read each row and each column; None where
    every core of it reads every neuron.
    """

    cores: int
    rows: npt.NDArray[np.int64] | None = None
    columns: npt.NDArray[np.int64] | None = None


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
            rows, columns = connection.rows.patterns(box.rows), connection.columns.patterns(box.columns)
            axons += len(rows.taps) * len(columns.taps)
    return Needs(box.neurons, words, axons, axons_out, 1)


def axons_out(box: Box, readers: Iterable[Reader], packing: Packing) -> int:
    """Axons through which ``box`` sends to its readers; an output of the network sends each neuron to the host.

    Loihi 2 has one for each neuron, or one for each pixel where the reader is a convolution (its messages name the
    channel). Loihi 1 has these once for every core that it sends to.
    """
    readers, sent, copies = list(readers), 0, packing.scheme == "loihi1"
    for reader in readers:
        if reader.rows is None or reader.columns is None:
            sent += box.neurons * (reader.cores if copies else 1)
        elif copies:
            rows, columns = reader.rows[slice(*box.rows)].sum(), reader.columns[slice(*box.columns)].sum()
            sent += int(rows) * int(columns) * reader.cores
        else:
            sent += box.rows.size * box.columns.size
    return sent if readers else box.neurons


def consumers(network: Network, name: str) -> list[tuple[Layer, tuple[Wire, ...]]]:
    """The layers with neurons that read ``name``, and the wires between, the reader's own last."""
    found: list[tuple[Layer, tuple[Wire, ...]]] = []
    for layer in network.consumers(name):
        if isinstance(layer.synapse, WIRES):
            found += [(reader, (layer.synapse, *wires)) for reader, wires in consumers(network, layer.name)]
        elif not (isinstance(layer.synapse, Correlation) and layer.inputs[0] != name):
            found.append((layer, ()))
    return found


def folded(read: npt.NDArray[np.bool_], behind: npt.NDArray[np.int64], axis: int) -> npt.NDArray[np.bool_]:
    """What is read of an up-sampled map, as what is read of the map itself: once, however many copies are read.

    behind: of each place along ``axis`` the place of the map that it shows, in order and each at least once, or -1 for
    none (``Upsample.behind``).
    """
    shown = np.flatnonzero(behind >= 0)
    _, firsts = np.unique(behind[shown], return_index=True)
    return np.logical_or.reduceat(read.take(shown, axis), firsts, axis)


def _shared_kernel_words(window: Window, box: Box, packing: Packing) -> int:
    """Loihi 2: one list for each tap and input channel, of the output channels it reaches in this core."""
    taps = window.rows.kernel * window.columns.kernel
    return taps * sum(
        inputs * list_words(packing, outputs, window.bits) for inputs, outputs in window.pairs(box.channels)
    )


def _population_words(window: Window, box: Box, packing: Packing) -> int:
    """Loihi 1: one list for each different set of taps by which a pixel reaches outputs here, of all channels.

    An axon names the first neuron it reaches in 8 bits; what lies beyond needs lists with an offset of their own
    (nengo-loihi 1.1.0, ``conv.py``, ``conv2d_loihi_weights``, with channels last).
    """
    pairs = sum(inputs * outputs for inputs, outputs in window.pairs(box.channels))
    rows, columns = window.rows.patterns(box.rows), window.columns.patterns(box.columns)
    return _list_words(rows, columns, pairs, box.channels.size, box.columns.size, window.bits, packing)


@lru_cache(maxsize=1 << 16)
def _list_words(
    rows: Pattern, columns: Pattern, pairs: int, channels: int, width: int, bits: int, packing: Packing
) -> int:
    if not rows.taps or not columns.taps:
        return 0
    firsts = (np.array(rows.firsts)[:, None] * width + np.array(columns.firsts)) * channels
    offset = firsts // _NAMED_NEURONS
    kinds = np.array(rows.kinds)[:, None] * len(columns.kinds) + np.array(columns.kinds)
    _, places = np.unique(kinds * (int(offset.max()) + 1) + offset, return_index=True)
    row_taps, column_taps = (np.array(taps) for taps in (rows.taps, columns.taps))
    sizes = (row_taps[:, None] * column_taps * pairs).reshape(-1)[places]
    within = (((row_taps - 1) * width)[:, None] + column_taps) * channels - 1
    index = index_bits(int((offset * _NAMED_NEURONS + within).max()))
    if index is None:
        return _TOO_WIDE
    return sum(list_words(packing, int(size), bits + index) for size in sizes)


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
