"""Who is connected to whom: exact fan-out and fan-in of every neuron, at the borders too.

A window that hangs over the border reads padding, which is no neuron and no connection; a stride may jump over inputs.
Along each axis a connection exists where ``output * stride + tap * dilation - padding == input``; the two axes are
independent, so 0/1 incidence matrices of the axes describe a whole layer. Fan-out is the adjoint (a transposed
convolution) of the layer's kernel with every weight replaced by one.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from netx import Conv2d, Correlation, Dense, NetworkError, Pool, Shape
from netx.synapses import conv_output_size

Counts: TypeAlias = npt.NDArray[np.int64]
Weighted: TypeAlias = Conv2d | Dense | Pool
"""Synapses whose connections are known: a correlation's are only half, until it is programmed."""
Slices: TypeAlias = tuple[slice, slice, slice]
"""Some of a layer's neurons: its channels, rows and columns."""

ALL: Slices = (slice(None), slice(None), slice(None))


def fan_out(synapse: Weighted, source: Shape, effective: bool = False, to: Slices = ALL) -> Counts:
    """Number of connections that leave each input neuron, int64, shape ``source``.

    effective: leave out the connections whose weight is zero. to: count only those that end in these neurons.
    """
    if isinstance(synapse, Dense):
        weight = synapse.weight != 0 if effective else np.ones_like(synapse.weight)
        return weight[to[0]].sum(axis=0, dtype=np.int64).reshape(source)
    rows, columns = _incidences(synapse, source)
    taps = _taps_per_input_channel(synapse, source.channel, effective, to[0])
    # Counts are far below 2**53: exact in float64, of which numpy multiplies matrices many times as fast.
    hit_rows, hit_columns = (
        hits[:, box].sum(axis=1).astype(np.float64) for hits, box in ((rows, to[1]), (columns, to[2]))
    )
    return np.rint(hit_rows.T @ taps.astype(np.float64) @ hit_columns).astype(np.int64)


def connections(synapse: Weighted | Correlation, sources: tuple[Shape, ...]) -> int:
    """Number of connections of a layer, those of weight zero included. A correlation counts every template position."""
    if isinstance(synapse, Correlation):
        _, template = sources
        return synapse.output_shape(sources).size * template.height * template.width
    return int(fan_out(synapse, sources[0]).sum())


def reached(synapse: Weighted, values: npt.NDArray) -> Counts:
    """For each frame how many neurons get at least one non-zero input, int64, shape (frame,).

    values: shape (frame, channel, height, width).
    """
    return np.count_nonzero(which_reached(synapse, values), axis=(1, 2, 3)).astype(np.int64)


def which_reached(synapse: Weighted, values: npt.NDArray) -> npt.NDArray[np.bool_]:
    """Which neurons get at least one non-zero input in each frame, shape (frame, channel, height, width).

    values: shape (frame, channel, height, width).
    """
    source = Shape(*values.shape[1:])
    shape = synapse.output_shape((source,))
    active = values != 0
    if isinstance(synapse, Dense):
        return np.broadcast_to(active.any(axis=(1, 2, 3), keepdims=True), (len(values), *shape))
    groups = synapse.groups if isinstance(synapse, Conv2d) else source.channel
    grouped = active.reshape(len(values), groups, -1, source.height, source.width).any(axis=2)
    # Windows by their taps, not their extent: a dilated one does not see what lies between its taps.
    rows, columns = (taps.sum(axis=0).astype(np.float32) for taps in _incidences(synapse, source))
    windows = rows @ grouped.astype(np.float32) @ columns.T != 0
    return np.repeat(windows, shape.channel // groups, axis=1)


def _incidences(synapse: Conv2d | Pool, source: Shape) -> tuple[Counts, Counts]:
    """For rows and columns: one where output and input are connected through a tap, shape (tap, output, input)."""
    dilation = synapse.dilation if isinstance(synapse, Conv2d) else (1, 1)
    sizes = (source.height, source.width)
    rows, columns = (
        _incidence(size, *geometry)
        for size, *geometry in zip(sizes, synapse.kernel, synapse.stride, synapse.padding, dilation, strict=True)
    )
    return rows, columns


def _incidence(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Counts:
    outputs = np.arange(conv_output_size(size, kernel, stride, padding, dilation))
    reads = outputs[None, :] * stride + np.arange(kernel)[:, None] * dilation - padding
    return (reads[:, :, None] == np.arange(size)).astype(np.int64)


def _taps_per_input_channel(synapse: Conv2d | Pool, channels: int, effective: bool, to: slice) -> Counts:
    """How many output channels among ``to`` each input channel reaches through each tap: (channel, row, column)."""
    outputs = channels if isinstance(synapse, Pool) else len(synapse.weight)
    counted = np.zeros((outputs, 1, 1, 1), np.int64)
    counted[to] = 1
    if isinstance(synapse, Pool):
        return counted[:, 0] * np.ones((1, *synapse.kernel), np.int64)
    weight = counted * (synapse.weight != 0 if effective else np.ones_like(synapse.weight))
    per_group = weight.reshape(synapse.groups, -1, *synapse.weight.shape[1:]).sum(axis=1, dtype=np.int64)
    return per_group.reshape(channels, *synapse.kernel)


def weighted(layer: str, synapse: object) -> Weighted:
    """``synapse``, when its connections are known. Raises NetworkError naming ``layer`` otherwise."""
    if isinstance(synapse, Correlation):
        raise NetworkError(f"layer {layer!r} is a correlation without its template: call Network.programmed first")
    assert isinstance(synapse, (Conv2d, Dense, Pool))
    return synapse
