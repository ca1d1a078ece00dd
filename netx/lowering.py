"""Every synapse with weights as one plain convolution, which is what both formats hold, and the way back.

Plain means: weight exponent 0, bias in weight units, and no more groups than the reader of the format can take. Each
step is exact or refused; ``raised`` undoes ``lowered`` from the few integers of a ``SynapseRecord``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from netx import limits
from netx.arrays import IntArray, frozen_int_array
from netx.chain import Link
from netx.errors import NetworkError
from netx.neurons import LIF, Neuron
from netx.synapses import Conv2d, Dense, Pool, Synapse, conv_output_size
from netx.types import Pair, Shape

MAX_ELEMENTS = 1 << 27
"""Largest number of weights read from or written to one array (134 million, 512 MiB): larger sizes are a mistake."""


@dataclass(frozen=True)
class SynapseRecord:
    """What the plain convolution of a synapse no longer shows. Pairs are (height, width)."""

    synapse: str
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    weight_exponent: int


class Plain(NamedTuple):
    """A layer as the formats hold it. bias: in weight units, shape (channel,), or (0,) where there is none."""

    synapse: Conv2d
    bias: IntArray


def synapse_record(synapse: Synapse, source: Shape) -> SynapseRecord:
    """The record of a Conv2d, Dense or Pool that reads ``source`` (its shape before any flattening)."""
    kind = type(synapse).__name__
    if isinstance(synapse, Conv2d):
        window = (synapse.stride, synapse.padding, synapse.dilation)
        return SynapseRecord(kind, synapse.kernel, *window, synapse.groups, synapse.weight_exponent)
    if isinstance(synapse, Dense):
        kernel = (source.height, source.width)
        return SynapseRecord(kind, kernel, (1, 1), (0, 0), (1, 1), 1, synapse.weight_exponent)
    if isinstance(synapse, Pool):
        return SynapseRecord(kind, synapse.kernel, synapse.stride, synapse.padding, (1, 1), source.channel, 0)
    raise NetworkError(f"a {kind} has no weights of its own")


def lowered(synapse: Synapse, source: Shape, flattened: bool, max_groups: int) -> Conv2d:
    """The convolution of ``source`` with the same activations, exponent 0 and at most ``max_groups`` groups.

    Groups beyond are merged into block-diagonal kernels; a Dense layer is a kernel as large as ``source``, the shape
    before any flattening. Raises NetworkError where that is not exact, or a weight leaves -256..255.
    """
    if flattened and not isinstance(synapse, Dense) and (source.height, source.width) != (1, 1):
        raise NetworkError("reads flattened values: make it a Dense layer, or do not flatten")
    record = synapse_record(synapse, source)
    groups = merged_groups(record.groups, max_groups)
    weight = _plain_weight(synapse, source)
    if weight.size * (record.groups // groups) > MAX_ELEMENTS:
        raise NetworkError(f"its {record.groups} groups as dense kernels are more than {MAX_ELEMENTS} weights")
    weight = _merged(weight, record.groups, groups)
    return Conv2d(weight, record.stride, record.padding, record.dilation, groups)


def plain(link: Link, max_groups: int) -> Plain:
    """``lowered`` and the bias in weight units of one layer. Raises NetworkError that names the layer."""
    try:
        conv = lowered(link.layer.synapse, link.source, bool(link.flattens), max_groups)
        return Plain(conv, _plain_bias(link.layer.neuron))
    except NetworkError as error:
        raise NetworkError(f"layer {link.layer.name!r}: {error}") from None


def raised(record: SynapseRecord, conv: Conv2d) -> Conv2d | Dense | Pool:
    """The synapse that ``lowered``, and ``squared`` where that was used, turned into ``conv``.

    Raises NetworkError when the record does not fit the sizes of ``conv``; whether it fits the values shows by
    lowering the result again.
    """
    rows, columns = (_crop(record, conv, axis) for axis in (0, 1))
    weight = _split(conv.weight[:, :, rows, columns], conv.groups, record.groups)
    weight = _unfolded(weight, record.weight_exponent)
    if record.synapse == "Dense":
        return Dense(weight.reshape(len(weight), -1), record.weight_exponent)
    if record.synapse == "Pool":
        return Pool(record.kernel, record.stride, record.padding, int(weight.flat[0]))
    if record.synapse == "Conv2d":
        window = (record.stride, record.padding, record.dilation)
        return Conv2d(weight, *window, record.groups, record.weight_exponent)
    raise NetworkError(f"{record.synapse!r} is not a synapse: expected Conv2d, Dense or Pool")


def merged_groups(groups: int, most: int) -> int:
    """The largest divisor of ``groups`` that is at most ``most``."""
    return next(n for n in range(min(groups, most), 0, -1) if groups % n == 0)


def squared(conv: Conv2d, source: Shape) -> Conv2d:
    """``conv`` with zeros around its kernel to make it square, and the same output.

    Padding grows with the zeros before the kernel; a stride that is taken only once may grow as well. Raises
    NetworkError where no placing of the zeros keeps the output's size.
    """
    side = max(conv.kernel)
    if conv.weight.shape[0] * conv.weight.shape[1] * side * side > MAX_ELEMENTS:
        raise NetworkError(f"its kernels of {conv.kernel} made square are more than {MAX_ELEMENTS} weights")
    placed = [_placed(conv, source, axis, side) for axis in (0, 1)]
    margins = [(before, side - conv.kernel[axis] - before) for axis, (before, _) in enumerate(placed)]
    padding = tuple(conv.padding[axis] + conv.dilation[axis] * margins[axis][0] for axis in (0, 1))
    weight = np.pad(conv.weight, [(0, 0), (0, 0), *margins])
    return Conv2d(weight, (placed[0][1], placed[1][1]), padding, conv.dilation, conv.groups)  # type: ignore[arg-type]


def raised_bias(bias: IntArray, exponent: int) -> IntArray:
    """The bias mantissas at ``exponent`` (0..7) of ``bias``, which is in weight units."""
    fine = bias.astype(np.int64) << limits.STATE_SHIFT
    return frozen_int_array(fine >> exponent, "bias", limits.BIAS_MIN, limits.BIAS_MAX)


def _plain_weight(synapse: Synapse, source: Shape) -> IntArray:
    """Kernels (out, in / groups, height, width) of a Conv2d, Dense or Pool with its exponent folded in."""
    if isinstance(synapse, Pool):
        return np.full((source.channel, 1, *synapse.kernel), synapse.weight, np.int32)
    assert isinstance(synapse, (Conv2d, Dense))
    weight = _folded(synapse.weight, synapse.weight_exponent)
    return weight.reshape(-1, *source) if isinstance(synapse, Dense) else weight


def _plain_bias(neuron: Neuron | None) -> IntArray:
    assert neuron is not None
    if not isinstance(neuron, LIF):
        return neuron.bias
    fine = neuron.bias.astype(np.int64) << neuron.bias_exponent
    if (fine % (1 << limits.STATE_SHIFT)).any():
        raise NetworkError(f"bias exponent {neuron.bias_exponent}: a bias is no whole number of weight units")
    return frozen_int_array(fine >> limits.STATE_SHIFT, "bias in weight units", limits.BIAS_MIN, limits.BIAS_MAX)


def _folded(mantissa: IntArray, exponent: int) -> IntArray:
    if exponent >= 0:
        folded = mantissa.astype(np.int64) << exponent
    else:
        if (mantissa % (1 << -exponent)).any():
            raise NetworkError(f"weight exponent {exponent}: a mantissa is no multiple of {1 << -exponent}")
        folded = mantissa.astype(np.int64) >> -exponent
    what = f"weight with its exponent of {exponent} folded in"
    return frozen_int_array(folded, what, limits.WEIGHT_MIN, limits.WEIGHT_MAX)


def _unfolded(weight: IntArray, exponent: int) -> IntArray:
    if not limits.WEIGHT_EXPONENT_MIN <= exponent <= limits.WEIGHT_EXPONENT_MAX:
        raise NetworkError(f"weight exponent {exponent} is outside -8..7")
    wide = weight.astype(np.int64)
    return (wide >> exponent if exponent >= 0 else wide << -exponent).astype(np.int32)


def _merged(weight: IntArray, groups: int, merged: int) -> IntArray:
    """Kernels of ``groups`` groups as block-diagonal kernels of ``merged`` groups."""
    if groups == merged:
        return weight
    per = groups // merged
    out, ins, *kernel = weight.shape
    blocks = np.zeros((merged, per, out // groups, per, ins, *kernel), weight.dtype)
    diagonal = np.arange(per)
    blocks[:, diagonal, :, diagonal] = weight.reshape(merged, per, out // groups, ins, *kernel).swapaxes(0, 1)
    return blocks.reshape(out, per * ins, *kernel)


def _split(weight: IntArray, merged: int, groups: int) -> IntArray:
    """The diagonal blocks of kernels of ``merged`` groups, as kernels of ``groups`` groups."""
    out, ins, *kernel = weight.shape
    per = groups // merged if groups > 0 else 0
    if per < 1 or groups % merged or out % groups or ins % per:
        raise NetworkError(f"weights of shape {weight.shape} in {merged} groups cannot be {groups} groups")
    blocks = weight.reshape(merged, per, out // groups, per, ins // per, *kernel)
    diagonal = np.arange(per)
    return blocks[:, diagonal, :, diagonal].swapaxes(0, 1).reshape(out, ins // per, *kernel)


def _crop(record: SynapseRecord, conv: Conv2d, axis: int) -> slice:
    """Where along ``axis`` of the convolution's kernel the recorded kernel lies."""
    before = (conv.padding[axis] - record.padding[axis]) // max(record.dilation[axis], 1)
    if before < 0 or record.kernel[axis] < 1 or before + record.kernel[axis] > conv.kernel[axis]:
        raise NetworkError(f"a kernel of {record.kernel} does not fit into the {conv.kernel} weights")
    return slice(before, before + record.kernel[axis])


def _placed(conv: Conv2d, source: Shape, axis: int, side: int) -> Pair:
    """(zeros before the kernel, stride) that keep the output's length along ``axis`` with a kernel of ``side``."""
    size = (source.height, source.width)[axis]
    stride, padding, dilation = conv.stride[axis], conv.padding[axis], conv.dilation[axis]
    wanted = conv_output_size(size, conv.kernel[axis], stride, padding, dilation)
    extra = side - conv.kernel[axis]
    for before in (extra // 2, extra - extra // 2):
        grown = padding + dilation * before
        reach = size + 2 * grown - dilation * (side - 1)
        for step in (stride, max(stride, reach)):
            if reach >= 1 and (reach - 1) // step + 1 == wanted:
                return before, step
    raise NetworkError(
        f"NIR takes kernels for square, and a {conv.kernel[0]}x{conv.kernel[1]} kernel cannot be made square with "
        f"zeros at stride {conv.stride}: give both sides the same parity"
    )
