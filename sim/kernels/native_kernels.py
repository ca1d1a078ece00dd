"""All that is compiled: neurons in one pass over their states, and sums that follow the spikes.

Neurons: every state is read and written once a step, with Lava's integers to the bit. Time goes on the outside of a
block of neurons that the first-level cache holds. Arrays are (step, neuron), or (neuron,) for states; formulas are
those of netx.neurons. Small loops over few arrays each are what the compiler turns into vector instructions. int32 is
written out wherever a sum is made, since numba widens it.

Sums: the rows of the inputs that sent something are added up; the others cost little. Values and sums have channels
last: (frame, height, width, channel). Weights have a row for each input of a window, a column for each output channel,
and a last row of zeros: (group * tap * channel + 1, channel), int16, which holds every mantissa. Sums of spikes are
int32, exact while the bound of the layer is below 2^31; those of messages int64, below 2^63.

It is one file because numba's cache knows a kernel as stale by the file it stands in alone. Import it only where
``sim.kernels.native.available()``.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from sim.kernels.native import kernel

_INLINE: Any = {"nogil": True, "error_model": "numpy", "boundscheck": False, "no_cfunc_wrapper": True}
_INLINE |= {"no_cpython_wrapper": True, "_nrt": False}
"""Of the functions that only kernels call: without the entry from Python and without counting references."""

_BLOCK = 1024
_HALF, _SPAN, _MOST = np.int32(1 << 23), np.int32(1 << 24), np.int32((1 << 23) - 1)
"""Lava's current wraps at 24 bits and its voltage saturates there (lava-nc 0.10.0 ``proc/lif/models.py``)."""


@njit(**_INLINE)
def _left(state, keep):
    """``sgn(s) * ((|s| * keep) >> 12)`` for a keep in 4096ths: float64 holds the product, and drops what is left of it
    towards zero on its way to an integer."""
    return np.int32(np.float64(state) * keep)


@njit(**_INLINE)
def _wrapped(current):
    """Out of (-2^23, 2^23] moved by 2^24, once."""
    once = np.int32(current - _SPAN) if current > _HALF else current
    return np.int32(current + _SPAN) if once <= -_HALF else once


@njit(**_INLINE)
def _integrate(u, v, activation, bias, keep_u, keep_v):
    """``u <- left(u) + (a << 6)``, wrapped; ``v <- left(v) + u + bias``, saturated."""
    for n in range(len(u)):
        u[n] = _wrapped(np.int32(_left(u[n], keep_u) + np.int32(np.int32(activation[n]) << 6)))
        moved = np.int32(np.int32(_left(v[n], keep_v) + u[n]) + bias[n])
        v[n] = min(max(moved, -_MOST), _MOST)


@njit(**_INLINE)
def _hold(v, wait):
    """Neurons within their refractory period stay at rest."""
    for n in range(len(v)):
        v[n] = 0 if wait[n] > 0 else v[n]


@njit(**_INLINE)
def _fire(v, membrane, spikes, threshold):
    """Spikes where ``v > threshold``, which then rest; the membrane is what v was, in weight units."""
    for n in range(len(v)):
        voltage = v[n]
        fires = voltage > threshold
        membrane[n] = voltage >> 6
        spikes[n] = fires
        v[n] = 0 if fires else voltage


@njit(**_INLINE)
def _wait(wait, spikes, refractory):
    for n in range(len(wait)):
        wait[n] = refractory if spikes[n] else max(np.int32(wait[n] - 1), np.int32(0))


@njit(**_INLINE)
def _clear(values):
    for n in range(len(values)):
        values[n] = 0


@njit(**_INLINE)
def _copy(to, values):
    """``to[:] = values``; both one-dimensional."""
    for n in range(len(to)):
        to[n] = np.int32(values[n])


@njit(**_INLINE)
def _lif_step(activation, bias, u, v, wait, membrane, spikes, numbers, step):
    """One step of netx.LIF; numbers: see ``lif``."""
    threshold, refractory = np.int32(numbers[0]), np.int32(numbers[3])
    interval, offset = numbers[4], numbers[5]
    if interval > 0 and (step - offset) % interval == 0:
        _clear(u)
        _clear(v)
    _integrate(u, v, activation, bias, numbers[1] / 4096.0, numbers[2] / 4096.0)
    if refractory > 0:
        _hold(v, wait)
    _fire(v, membrane, spikes, threshold)
    if refractory > 0:
        _wait(wait, spikes, refractory)


@kernel(
    "void(int32[:, ::1], float32[:, ::1], int32[::1], int32[::1], int32[::1], int32[::1], int32[:, ::1], uint8[:, ::1],"
    " int32[:, :, ::1], int64[::1], int64, int64)"
)
def lif(whole, real, bias, u, v, wait, membrane, spikes, states, numbers, low, high):
    """Steps of netx.LIF for the neurons low..high.

    whole, real: activations in weight units, integers in either type; the other has no steps. bias: in 1/64 weight
    unit. u, v, wait: states, changed in place; wait: the refractory steps to come. membrane: has one row where nothing
    wants to know. spikes: 0 or 1. states: u and v after each step, (2, step, neuron), or none of it.
    numbers: threshold in 1/64 weight unit, 4096 less each decay, refractory period, reset interval (0 for never), its
    offset, and the number of the first step.
    """
    scratch = np.empty(_BLOCK, np.int32)
    steps, kept = max(len(whole), len(real)), len(membrane) > 1
    for a in range(low, high, _BLOCK):
        b = min(a + _BLOCK, high)
        for t in range(steps):
            row = t if kept else 0
            activation = scratch[: b - a]
            if len(real) > 0:
                _copy(activation, real[t, a:b])
            else:
                activation = whole[t, a:b]
            seen, sent = membrane[row, a:b], spikes[t, a:b]
            _lif_step(activation, bias[a:b], u[a:b], v[a:b], wait[a:b], seen, sent, numbers, numbers[6] + t)
            if len(states) > 0:
                _copy(states[0, t, a:b], u[a:b])
                _copy(states[1, t, a:b], v[a:b])


@njit(**_INLINE)
def _encode(new, act, residue, sent, threshold, shift):
    """``delta = new - act + residue``, sent where it reaches the threshold; what is not sent is the next residue."""
    for n in range(len(new)):
        change = np.int32(np.int32(new[n] - act[n]) + residue[n])
        goes = np.int32(abs(change)) >= threshold
        residue[n] = 0 if goes else change
        sent[n] = change >> shift if goes else 0
        act[n] = new[n]


@kernel(
    "void(int32[:, ::1], int32[::1], int32[::1], int32[::1], int32[::1], int32[:, ::1], int32[:, ::1],"
    " int32[:, :, ::1], int64[::1], int64, int64)"
)
def sigma_delta(activation, bias, sigma, act, residue, membrane, sent, states, numbers, low, high):
    """Steps of netx.Sigma, Delta or SigmaDelta for the neurons low..high, in wrapping 32 bits.

    sigma, act, residue: states, changed in place. membrane, sent: (step, neuron); the membrane is the sum so far, or
    Delta's scaled input. states: sigma, act and residue after each step, (3, step, neuron), or none of it.
    numbers: whether it sums up, whether it sends changes, threshold scaled by both exponents, by how much a Delta's
    input is shifted, the state exponent, whether what is sent is never negative.
    """
    sums, changes, threshold = numbers[0] > 0, numbers[1] > 0, np.int32(numbers[2])
    shift, exponent, relu, kept = numbers[3], np.int32(numbers[4]), numbers[5] > 0, len(membrane) > 1
    scratch = np.empty(_BLOCK, np.int32)
    for a in range(low, high, _BLOCK):
        b = min(a + _BLOCK, high)
        for t in range(len(activation)):
            seen = membrane[t if kept else 0, a:b]
            new = scratch[: b - a]
            for n in range(b - a):
                if sums:
                    sigma[a + n] = np.int32(sigma[a + n] + activation[t, a + n])
                    seen[n] = sigma[a + n]
                else:
                    seen[n] = np.int32(activation[t, a + n] << shift)
                new[n] = np.int32(seen[n] + bias[a + n])
                if relu:
                    new[n] = max(new[n], np.int32(0))
            if changes:
                _encode(new, act[a:b], residue[a:b], sent[t, a:b], threshold, exponent)
            else:
                _copy(sent[t, a:b], seen)
            if len(states) > 0:
                _copy(states[0, t, a:b], sigma[a:b])
                _copy(states[1, t, a:b], act[a:b])
                _copy(states[2, t, a:b], residue[a:b])


@njit(**_INLINE)
def _add_rows(out, weight, rows, count):
    """``out = sum of weight[rows[:count]]``, eight at a time: mantissas have nine bits, so that sums of eight fit 16.

    The last row of the weights is zero, and fills up the last four or eight; ``rows`` has room for it.
    """
    for n in range(len(out)):
        out[n] = 0
    while count % 4:
        rows[count] = len(weight) - 1
        count += 1
    for i in range(0, count - 4, 8):
        a, b, c, d = weight[rows[i]], weight[rows[i + 1]], weight[rows[i + 2]], weight[rows[i + 3]]
        e, f, g, h = weight[rows[i + 4]], weight[rows[i + 5]], weight[rows[i + 6]], weight[rows[i + 7]]
        for n in range(len(out)):
            out[n] += np.int16(a[n] + b[n] + c[n] + d[n] + e[n] + f[n] + g[n] + h[n])
    if count % 8:
        a, b, c, d = weight[rows[count - 4]], weight[rows[count - 3]], weight[rows[count - 2]], weight[rows[count - 1]]
        for n in range(len(out)):
            out[n] += np.int16(a[n] + b[n] + c[n] + d[n])


@njit(**_INLINE)
def _add_scaled_rows(out, weight, rows, factors, count):
    """``out = sum of factors[i] * weight[rows[i]]``."""
    size = len(out)
    for n in range(size):
        out[n] = 0
    for i in range(count):
        row, factor = weight[rows[i]], np.int64(factors[i])
        for n in range(size):
            out[n] += factor * row[n]


def _sum(out, weight, rows, factors, count):
    """``_add_scaled_rows`` for sums of 64 bits, ``_add_rows`` for others; numba compiles the one that is needed."""


@overload(_sum, jit_options=_INLINE)
def _sum_by_type(out, weight, rows, factors, count):  # noqa: ARG001
    if out.dtype == types.int64:
        return lambda out, weight, rows, factors, count: _add_scaled_rows(out, weight, rows, factors, count)
    return lambda out, weight, rows, factors, count: _add_rows(out, weight, rows, count)  # noqa: ARG005


@njit(**_INLINE)
def _nonzero(values, places):
    """Write down where ``values`` is not zero; how often it is."""
    count = 0
    for i in range(len(values)):
        places[count] = i
        count += values[i] != 0
    return count


def dense(values, weight, out, low, high):
    """Sums of a fully connected layer for the frames low..high: values (frame, input), out (frame, output)."""
    rows, graded = np.empty(values.shape[1] + 3, np.int32), values.itemsize > 1
    factors = np.empty(values.shape[1], np.int32)
    for f in range(low, high):
        count = _nonzero(values[f], rows)
        if graded:
            for i in range(count):
                factors[i] = values[f, rows[i]]
        _sum(out[f], weight, rows, factors, count)


dense_spikes = kernel("void(uint8[:, ::1], int16[:, ::1], int32[:, ::1], int64, int64)")(dense)
dense_messages = kernel("void(int32[:, ::1], int16[:, ::1], int64[:, ::1], int64, int64)")(dense)


@njit(**_INLINE)
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
                    for word in range(words.shape[2]):
                        if words[y, x, word] != 0:
                            for c in range(8 * word, 8 * word + 8):
                                active[count] = x * size + c
                                count += values[y, x, c] != 0
                else:
                    for c in range(size):
                        active[count] = x * size + c
                        count += values[y, x, group * size + c] != 0
    starts[place] = count


@njit(**_INLINE)
def _append(active, begin, end, shift, rows, count):
    """Append a piece of a list of active inputs as rows of the weights; how much there is by now."""
    for i in range(end - begin):
        rows[count + i] = active[begin + i] + shift
    return count + end - begin


@njit(**_INLINE)
def _band(values, words, weight, out, geometry, first, end, active, starts, rows, factors):
    """Sums of the output rows first..end of one frame; see ``convolution``."""
    kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x, step_y, step_x, groups, out_width = geometry
    height, width, channels = values.shape
    size, graded = channels // groups, len(factors) > 0
    # What a window sees of a row is one piece of its list, unless it is dilated.
    run = kernel_x if step_x == 1 else 1
    top = min(max(first * stride_y - pad_y, 0), height)
    bottom = max(min((end - 1) * stride_y - pad_y + (kernel_y - 1) * step_y + 1, height), top)
    _active(values, words, top, bottom, groups, active, starts)
    for oy in range(first, end):
        for ox in range(out_width):
            for group in range(groups):
                count = seen = 0
                for ky in range(kernel_y):
                    y = oy * stride_y - pad_y + ky * step_y
                    if y < 0 or y >= height:
                        continue
                    line, row = ((y - top) * groups + group) * width, (group * kernel_y + ky) * kernel_x
                    for tap in range(0, kernel_x, run):
                        x = ox * stride_x - pad_x + tap * step_x
                        left, right = max(x, 0), min(x + run, width)
                        if left < right:
                            begin, ending = starts[line + left], starts[line + right]
                            count = _append(active, begin, ending, (row + tap - x) * size, rows, count)
                    if graded:
                        for i in range(seen, count):
                            tap, channel = divmod(rows[i] - row * size, size)
                            x = ox * stride_x - pad_x + tap * step_x
                            factors[i] = values[y, x, group * size + channel]
                        seen = count
                _sum(out[(oy * out_width + ox) * groups + group], weight, rows, factors, count)


def convolution(values, words, weight, out, geometry, bands, low, high):
    """Sums of a convolution for the parts low..high; part ``frame * bands + band`` is a band of a frame's output rows.

    words: see ``_active``. geometry: kernel, stride, padding and dilation, each (height, width), groups, and the width
    of the output. out: (frame, height * width * group, channel of the group).
    """
    _, height, width, channels = values.shape
    groups, out_width = geometry[8], geometry[9]
    out_height = out.shape[1] // (out_width * groups)
    active, starts = np.empty(height * width * channels, np.int32), np.empty(height * width * groups + 1, np.int32)
    rows = np.empty(geometry[0] * geometry[1] * (channels // groups) + 3, np.int32)
    factors = np.empty(len(rows) if values.itemsize > 1 else 0, np.int32)
    for part in range(low, high):
        f, band = part // bands, part % bands
        first, end = out_height * band // bands, out_height * (band + 1) // bands
        _band(values[f], words[f], weight, out[f], geometry, first, end, active, starts, rows, factors)


_REST = "uint64[:, :, :, ::1], int16[:, ::1], {}[:, :, ::1], int64[::1], int64, int64, int64)"
convolution_spikes = kernel("void(uint8[:, :, :, ::1], " + _REST.format("int32"))(convolution)
convolution_messages = kernel("void(int32[:, :, :, ::1], " + _REST.format("int64"))(convolution)


@njit(**_INLINE)
def _add_shifted(activation, sums, exponent):
    """``activation += sums << exponent`` in 32 bits, to the right where it is negative."""
    if exponent >= 0:
        for n in range(len(activation)):
            activation[n] = np.int32(activation[n] + np.int32(sums[n] << exponent))
    else:
        for n in range(len(activation)):
            activation[n] = np.int32(activation[n] + np.int32(sums[n] >> -exponent))


@kernel(
    "void(int32[:, :, ::1], int16[:, :, ::1], int64[::1], int64, int32[::1], int32[:, ::1], int32[:, ::1],"
    " int32[:, ::1], int32[:, :, ::1], uint8[:, :, ::1], int32[:, :, :, ::1], int64[::1], int64, int64)"
)
def recurrent(activation, weight, delays, exponent, bias, u, v, wait, membrane, spikes, states, numbers, low, high):
    """Steps of LIF neurons that read their own spikes of the step before, for the sequences low..high.

    activation: of the forward synapses, (step, sequence, neuron); that of the feedback is added in place. weight: of
    each delay in ``delays``, (delay, from + 1, to). spikes: (earlier + step, sequence, neuron), those of the earlier
    steps given, one more than the longest delay. The rest as in ``lif``, with a sequence before the neuron.
    """
    steps, _, size = activation.shape
    earlier = len(spikes) - steps
    rows, sums = np.empty(size + 3, np.int32), np.empty(size, np.int32)
    for s in range(low, high):
        for t in range(steps):
            for d in range(len(delays)):
                count = _nonzero(spikes[earlier + t - 1 - delays[d], s], rows)
                _add_rows(sums, weight[d], rows, count)
                _add_shifted(activation[t, s], sums, exponent)
            seen, sent = membrane[t if len(membrane) > 1 else 0, s], spikes[earlier + t, s]
            _lif_step(activation[t, s], bias, u[s], v[s], wait[s], seen, sent, numbers, numbers[6] + t)
            if len(states) > 0:
                _copy(states[0, t, s], u[s])
                _copy(states[1, t, s], v[s])
