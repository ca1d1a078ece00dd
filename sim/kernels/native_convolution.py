"""Sums of convolutions that follow the spikes, compiled: the rows of the inputs that sent something are added up.

Values and sums have channels last: (frame, height, width, channel). Weights have a row for each input of a window, and
a column for each output channel of a group: (group * tap * channel, channel), int16, which holds every mantissa. Sums
of spikes are int16 or int32, exact while the bound of the layer is below 2^15 or 2^31; those of messages int64, below
2^63.

What a kernel calls stands in its file: see ``sim.kernels.native_kernels``.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, import-untyped, call-arg"

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.cpython.unsafe.numbers import trailing_zeros
from numba.extending import intrinsic, overload

from sim.kernels.native import INLINE, kernel

_ALWAYS = INLINE | {"forceinline": True}
"""Of functions so short that their call, of arrays in many registers, takes as long as they do."""
_PIECE = 4
_GATHER = np.uint64(0x0102040810204080)


@njit(**_ALWAYS)
def _ones(words, first, active, count):
    """Append ``first`` + the places of bytes of 1 among bytes of 0, given by eights; how many there are by now."""
    for word in range(0, len(words), 8):
        bits = np.uint64(0)
        for i in range(min(8, len(words) - word)):
            # The product has the lowest bits of all bytes in its uppermost byte.
            bits |= (words[word + i] * _GATHER >> np.uint64(56)) << np.uint64(8 * i)
        while bits:
            active[count] = first + 8 * word + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            count += 1
    return count


@njit(**INLINE)
def _active(values, words, top, bottom, groups, active, starts):
    """Of each row, group and pixel of top..bottom the inputs that are not zero, one list after the other.

    words: the same bytes by eights, of which most are silent; empty where that cannot be. active: ``x * channels +
    channel`` within the group, so that pixels side by side make one list. starts: where each pixel's list starts, and
    where the last one ends.
    """
    width, size = values.shape[1], values.shape[2] // groups
    count = place = 0
    for y in range(top, bottom):
        for group in range(groups):
            for x in range(width):
                starts[place] = count
                place += 1
                if len(words) > 0:
                    count = _ones(words[y, x], x * size, active, count)
                else:
                    for c in range(size):
                        active[count] = x * size + c
                        count += values[y, x, group * size + c] != 0
    starts[place] = count


def _tile(columns):
    """A function ``(sums, weight, active, pieces, count, column)`` that adds some columns of the rows of a window, in
    registers: what LLVM does not see in loops over arrays that might overlap."""

    @intrinsic
    def add(_typing, sums, weight, active, pieces, count, column):  # noqa: ARG001
        def code(context, builder, signature, arguments):
            sums, weight, active, pieces = (
                context.make_array(kind)(context, builder, value)
                for kind, value in zip(signature.args[:4], arguments[:4], strict=True)
            )
            count, column = arguments[4:]
            one, each = (ir.Constant(count.type, number) for number in (1, _PIECE))
            wide, narrow = (ir.VectorType(array.data.type.pointee, columns) for array in (sums, weight))
            first, pitch = builder.gep(weight.data, [column]), cgutils.unpack_tuple(builder, weight.shape)[1]
            total = cgutils.alloca_once_value(builder, ir.Constant(wide, None))
            builder.store(ir.Constant(wide, None), total)
            with cgutils.for_range(builder, count) as piece:
                place = builder.gep(pieces.data, [builder.mul(piece.index, each)])
                begin, end, shift = (builder.load(builder.gep(place, [ir.Constant(count.type, n)])) for n in range(3))
                with cgutils.for_range_slice(builder, begin, end, one) as (i, _):
                    row = builder.add(builder.sext(builder.load(builder.gep(active.data, [i])), shift.type), shift)
                    source = builder.bitcast(builder.gep(first, [builder.mul(row, pitch)]), narrow.as_pointer())
                    values = builder.load(source, align=2)
                    if wide != narrow:
                        values = builder.sext(values, wide)
                    builder.store(builder.add(builder.load(total), values), total)
            place = builder.bitcast(builder.gep(sums.data, [column]), wide.as_pointer())
            builder.store(builder.load(total), place, align=2)
            return context.get_dummy_value()

        return types.void(sums, weight, active, pieces, types.int64, types.int64), code

    return add


_add_64, _add_16 = _tile(64), _tile(16)


@njit(**_ALWAYS)
def _add_spikes(sums, weight, active, pieces, count):
    """``sums = sum of weight[active[begin:end] + shift]`` over the pieces; see ``_band``."""
    column, size = 0, len(sums)
    while column + 64 <= size:
        _add_64(sums, weight, active, pieces, count, column)
        column += 64
    while column + 16 <= size:
        _add_16(sums, weight, active, pieces, count, column)
        column += 16
    for n in range(column, size):
        total = np.int64(0)
        for piece in range(count):
            for i in range(pieces[piece, 0], pieces[piece, 1]):
                total += weight[active[i] + pieces[piece, 2], n]
        sums[n] = total


@njit(**INLINE)
def _add_messages(sums, weight, active, pieces, count, values, channel, size):
    """The same, each row times its message. channel: the first of the group, which has ``size``."""
    for n in range(len(sums)):
        sums[n] = 0
    for piece in range(count):
        for i in range(pieces[piece, 0], pieces[piece, 1]):
            x, c = divmod(active[i], size)
            row, message = weight[active[i] + pieces[piece, 2]], np.int64(values[pieces[piece, 3], x, channel + c])
            for n in range(len(sums)):
                sums[n] += message * row[n]


def _add(sums, weight, active, pieces, count, values, channel, size):
    """``_add_messages`` for sums of 64 bits, ``_add_spikes`` for others; numba compiles the one that is needed."""


@overload(_add, jit_options=INLINE)
def _add_by_type(sums, weight, active, pieces, count, values, channel, size):  # noqa: ARG001
    if sums.dtype == types.int64:
        return lambda sums, weight, active, pieces, count, values, channel, size: _add_messages(
            sums, weight, active, pieces, count, values, channel, size
        )
    return lambda sums, weight, active, pieces, count, values, channel, size: _add_spikes(  # noqa: ARG005
        sums, weight, active, pieces, count
    )


def _sums(row, room):
    """Where the sums of a window are made: in the row itself, or in ``room`` where the row holds spikes."""


@overload(_sums, jit_options=INLINE)
def _sums_by_type(row, room):
    return (lambda row, room: row) if row.dtype == room.dtype else (lambda row, room: room)  # noqa: ARG005


def _fire(row, sums, limits, first):
    """1 in ``row`` where a sum is above its channel's limit, and 0 elsewhere; nothing where the row has the sums."""


@overload(_fire, jit_options=INLINE)
def _fire_by_type(row, sums, limits, first):  # noqa: ARG001
    if row.dtype == sums.dtype:
        return lambda row, sums, limits, first: None  # noqa: ARG005

    def fire(row, sums, limits, first):
        for n in range(len(row)):
            row[n] = sums[n] > limits[first + n]

    return fire


@njit(**INLINE)
def _band(values, words, weight, out, limits, geometry, first, end, active, starts, pieces, room):
    """Sums of the output rows first..end of one frame; see ``convolution``.

    room: for the sums of one window where ``out`` is for spikes. pieces: what a window sees, (piece, 4): where it
    begins and ends in ``active``, by how much its rows are shifted there, and its row of the input.
    """
    kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x, step_y, step_x, groups, out_width = geometry
    height, width, channels = values.shape
    size = channels // groups
    # What a window sees of a row is one piece of its list, unless it is dilated.
    run = kernel_x if step_x == 1 else 1
    top = min(max(first * stride_y - pad_y, 0), height)
    bottom = max(min((end - 1) * stride_y - pad_y + (kernel_y - 1) * step_y + 1, height), top)
    _active(values, words, top, bottom, groups, active, starts)
    for oy in range(first, end):
        for ox in range(out_width):
            for group in range(groups):
                count = 0
                for ky in range(kernel_y):
                    y = oy * stride_y - pad_y + ky * step_y
                    if y < 0 or y >= height:
                        continue
                    line, row = ((y - top) * groups + group) * width, (group * kernel_y + ky) * kernel_x
                    tap = 0
                    while tap < kernel_x:  # a range of a step that is not known divides
                        x = ox * stride_x - pad_x + tap * step_x
                        left, right = max(x, 0), min(x + run, width)
                        if left < right:
                            pieces[count, 0], pieces[count, 1] = starts[line + left], starts[line + right]
                            pieces[count, 2], pieces[count, 3] = (row + tap - x) * size, y
                            count += 1
                        tap += run
                row = out[(oy * out_width + ox) * groups + group]
                sums = _sums(row, room)
                _add(sums, weight, active, pieces, count, values, group * size, size)
                _fire(row, sums, limits, group * len(row))


def convolution(values, words, weight, out, limits, geometry, bands, low, high):
    """Sums of a convolution for the parts low..high; part ``frame * bands + band`` is a band of a frame's output rows.

    words: see ``_active``. geometry: kernel, stride, padding and dilation, each (height, width), groups, and the width
    of the output. out: (frame, height * width * group, channel of the group), of the type of ``limits`` for the sums,
    or uint8 for 1 where a sum is above the limit of its output channel, (group * channel,), and 0 elsewhere.
    """
    _, height, width, channels = values.shape
    groups, out_width = geometry[8], geometry[9]
    out_height = out.shape[1] // (out_width * groups)
    active, starts = np.empty(height * width * channels + 1, np.int32), np.empty(height * width * groups + 1, np.int32)
    pieces, room = np.empty((geometry[0] * geometry[1], _PIECE), np.int64), np.empty(out.shape[2], limits.dtype)
    for part in range(low, high):
        f, band = part // bands, part % bands
        first, end = out_height * band // bands, out_height * (band + 1) // bands
        _band(values[f], words[f], weight, out[f], limits, geometry, first, end, active, starts, pieces, room)


def _compiled(values, sums, out):
    arrays = f"{values}[:, :, :, ::1], uint64[:, :, :, ::1], int16[:, ::1], {out}[:, :, ::1], {sums}[::1]"
    return kernel(f"void({arrays}, int64[::1], int64, int64, int64)")(convolution)


convolution_by_type = {
    kind: _compiled(values, kind, kind) for kind, values in (("int16", "uint8"), ("int32", "uint8"), ("int64", "int32"))
}
spikes_by_type = {kind: _compiled("uint8", kind, "uint8") for kind in ("int16", "int32")}
"""Whether sums are above their limits, in place of the sums."""
