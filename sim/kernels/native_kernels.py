"""Neurons in one pass over their states, and dense sums that follow the spikes, compiled.

Neurons: every state is read and written once a step, with Lava's integers to the bit. Time goes on the outside of a
block of neurons that the first-level cache holds. Arrays are (step, neuron), or (neuron,) for states; formulas are
those of netx.neurons. Small loops over few arrays each are what the compiler turns into vector instructions. int32 is
written out wherever a sum is made, since numba widens it.

Sums: the rows of the inputs that sent something are added up; the others cost little. Weights have a row for each
input, a column for each output, and a last row of zeros: (input + 1, output), int16, which holds every mantissa. Sums
of spikes are int32, exact while the bound of the layer is below 2^31; those of messages int64, below 2^63.

numba's cache knows a kernel as stale by the file it stands in alone: what a kernel calls stands in the same file.
Import it only where ``sim.kernels.native.available()``.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import numpy as np
from numba import njit, types
from numba.extending import overload

from sim.kernels.native import INLINE, kernel

_BLOCK = 1024
_HALF, _SPAN, _MOST = np.int32(1 << 23), np.int32(1 << 24), np.int32((1 << 23) - 1)
"""Lava's current wraps at 24 bits and its voltage saturates there (lava-nc 0.10.0 ``proc/lif/models.py``)."""


@njit(**INLINE)
def _left(state, keep):
    """``sgn(s) * ((|s| * keep) >> 12)`` for a keep in 4096ths: float64 holds the product, and drops what is left of it
    towards zero on its way to an integer."""
    return np.int32(np.float64(state) * keep)


@njit(**INLINE)
def _wrapped(current):
    """Out of (-2^23, 2^23] moved by 2^24, once."""
    once = np.int32(current - _SPAN) if current > _HALF else current
    return np.int32(current + _SPAN) if once <= -_HALF else once


@njit(**INLINE)
def _moved(v, u, bias, keep):
    """``left(v) + u + bias``, saturated."""
    return min(max(np.int32(np.int32(_left(v, keep) + u) + bias), -_MOST), _MOST)


@njit(**INLINE)
def _integrate(u, v, activation, bias, keep_u, keep_v):
    """``u <- left(u) + (a << 6)``, wrapped; v as moved by it. Of a current of which nothing is left none is read."""
    if keep_u == 0:
        for n in range(len(u)):
            u[n] = _wrapped(np.int32(np.int32(activation[n]) << 6))
            v[n] = _moved(v[n], u[n], bias[n], keep_v)
    else:
        for n in range(len(u)):
            u[n] = _wrapped(np.int32(_left(u[n], keep_u) + np.int32(np.int32(activation[n]) << 6)))
            v[n] = _moved(v[n], u[n], bias[n], keep_v)


@njit(**INLINE)
def _hold(v, wait):
    """Neurons within their refractory period stay at rest."""
    for n in range(len(v)):
        v[n] = 0 if wait[n] > 0 else v[n]


@njit(**INLINE)
def _fire(v, membrane, spikes, threshold):
    """Spikes where ``v > threshold``, which then rest; the membrane is what v was, in weight units."""
    for n in range(len(v)):
        voltage = v[n]
        fires = voltage > threshold
        membrane[n] = voltage >> 6
        spikes[n] = fires
        v[n] = 0 if fires else voltage


@njit(**INLINE)
def _wait(wait, spikes, refractory):
    for n in range(len(wait)):
        wait[n] = refractory if spikes[n] else max(np.int32(wait[n] - 1), np.int32(0))


@njit(**INLINE)
def _clear(values):
    for n in range(len(values)):
        values[n] = 0


@njit(**INLINE)
def _copy(to, values):
    """``to[:] = values``; both one-dimensional."""
    for n in range(len(to)):
        to[n] = np.int32(values[n])


@njit(**INLINE)
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


def lif(activation, bias, u, v, wait, membrane, spikes, states, numbers, low, high):
    """Steps of netx.LIF for the neurons low..high.

    activation: in weight units, integers in any type. bias: in 1/64 weight unit. u, v, wait: states, changed in place;
    wait: the refractory steps to come. membrane: has one row where nothing wants to know. spikes: 0 or 1. states: u and
    v after each step, (2, step, neuron), or none of it.
    numbers: threshold in 1/64 weight unit, 4096 less each decay, refractory period, reset interval (0 for never), its
    offset, and the number of the first step.
    """
    kept = len(membrane) > 1
    for a in range(low, high, _BLOCK):
        b = min(a + _BLOCK, high)
        for t in range(len(activation)):
            seen, sent = membrane[t if kept else 0, a:b], spikes[t, a:b]
            _lif_step(activation[t, a:b], bias[a:b], u[a:b], v[a:b], wait[a:b], seen, sent, numbers, numbers[6] + t)
            if len(states) > 0:
                _copy(states[0, t, a:b], u[a:b])
                _copy(states[1, t, a:b], v[a:b])


_REST = "int32[::1], int32[::1], int32[::1], int32[::1], int32[:, ::1], uint8[:, ::1], int32[:, :, ::1], int64[::1]"
lif_by_type = {
    kind: kernel(f"void({kind}[:, ::1], {_REST}, int64, int64)")(lif) for kind in ("int16", "int32", "float32")
}


@njit(**INLINE)
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


@njit(**INLINE)
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


@njit(**INLINE)
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


@overload(_sum, jit_options=INLINE)
def _sum_by_type(out, weight, rows, factors, count):  # noqa: ARG001
    if out.dtype == types.int64:
        return lambda out, weight, rows, factors, count: _add_scaled_rows(out, weight, rows, factors, count)
    return lambda out, weight, rows, factors, count: _add_rows(out, weight, rows, count)  # noqa: ARG005


@njit(**INLINE)
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


dense_by_type = {
    kind: kernel(f"void({values}[:, ::1], int16[:, ::1], {kind}[:, ::1], int64, int64)")(dense)
    for kind, values in (("int32", "uint8"), ("int64", "int32"))
}


@njit(**INLINE)
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
