"""Sums that follow the spikes: rows of the weights, for the inputs that sent something alone."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import limits
from sim.kernels import native
from sim.kernels.convolution import Convolution, Geometry
from sim.kernels.floating import Kernel

_INT16, _INT32, _INT64 = (1 << 15) - 1, 1 << 31, 1 << 63
"""Bounds are below these; one less in 16 bits, so that a sum that no bound reaches has a number as well."""
_RATES = 0.01, 0.05
"""Shares of active inputs at which the trial takes its times."""
_CROSSINGS: dict[tuple[Geometry, int, str], float] = {}


def objection(convolution: Convolution, device: str) -> str:
    """Why these sums cannot follow the spikes; empty where they can."""
    if not native.available():
        return "numba is not installed, without which nothing follows the spikes"
    if device != "cpu":
        return f"what follows the spikes is not for {device}"
    low, high = convolution.values
    if low < limits.GRADED_MIN or high > limits.GRADED_MAX:
        return f"values of {convolution.values} do not fit 32 bits"
    if convolution.bound >= _INT64:
        return f"sums can reach {convolution.bound}, which no integer of 64 bits holds"
    return ""


def build(convolution: Convolution, above: npt.NDArray[np.int64] | None = None) -> Kernel:
    """The sums in the narrowest type that holds their bound, int64 of messages. The weights are packed here, once.

    above: for 1 where a sum is above its channel's number, shape (channel,), and 0 elsewhere, as uint8, in place of the
    sums.
    """
    from sim.kernels import native_convolution, native_kernels

    geometry = convolution.geometry
    columns = geometry.channels // geometry.groups
    weight = convolution.weight.reshape(geometry.groups, columns, *geometry.weight_shape[1:]).astype(np.int16)
    packed = with_silence(weight.transpose(0, 3, 4, 2, 1).reshape(-1, columns))
    windows = (geometry.kernel, geometry.stride, geometry.padding, geometry.dilation)
    _, height, width = geometry.output
    numbers = np.array([*(size for pair in windows for size in pair), geometry.groups, width], np.int64)
    flat = geometry.source[1:] == geometry.kernel == (1, 1) and geometry.groups == 1 and geometry.padding == (0, 0)

    kind = _type(convolution, flat)
    if above is not None and (flat or kind == "int64"):
        sums_of, limits_of = build(convolution), torch.from_numpy(above)[:, None, None]
        return lambda values: (sums_of(values) > limits_of).view(torch.uint8)
    # A limit that no sum of this type reaches is as good as one at its end.
    limits = np.zeros(0, kind) if above is None else above.clip(np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)
    by_type = native_convolution.convolution_by_type if above is None else native_convolution.spikes_by_type
    sums = native_kernels.dense_by_type[kind] if flat else by_type[kind]
    arriving = torch.int32 if kind == "int64" else torch.uint8

    def kernel(values: Tensor) -> Tensor:
        seen = _channels_last(values, arriving)
        out = np.empty((len(seen), height, width, geometry.channels), kind if above is None else np.uint8)
        if flat:
            rows, flat_out = seen.reshape(len(seen), -1), out.reshape(len(out), -1)
            native.spread(lambda low, high: sums(rows, packed, flat_out, low, high), len(seen), rows.shape[1])
        else:
            bands = max(1, min(height, -(-torch.get_num_threads() // len(seen))))
            words, flat_out = _words(seen, geometry.groups), out.reshape(len(out), -1, columns)
            native.spread(
                lambda low, high: sums(seen, words, packed, flat_out, limits, numbers, bands, low, high),
                len(seen) * bands,
                out[0].size // bands,
            )
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    return kernel


def with_silence(rows: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """The rows of a matrix, or of several, and one of zeros behind them, as the compiled kernels want them."""
    return np.ascontiguousarray(np.concatenate([rows, np.zeros_like(rows[..., :1, :])], axis=-2))


def _words(values: npt.NDArray, groups: int) -> npt.NDArray[np.uint64]:
    """The bytes of spikes by eights; none where they do not come so."""
    if values.itemsize == 1 and groups == 1 and values.shape[3] % 8 == 0:
        words = values.view(np.uint64)
        if words.flags.aligned:
            return words
    return np.empty((len(values), 0, 0, 0), np.uint64)


def _type(convolution: Convolution, flat: bool) -> str:
    """The narrowest type of sums that is compiled: of spikes one that holds the bound, of messages int64."""
    if not convolution.values.binary or convolution.bound >= _INT32:
        return "int64"
    return "int16" if convolution.bound < _INT16 and not flat else "int32"


def _channels_last(values: Tensor, dtype: torch.dtype) -> npt.NDArray:
    return values.permute(0, 2, 3, 1).contiguous().to(dtype).numpy()


def crossing(convolution: Convolution, dense: Kernel, name: str) -> float:
    """The share of active inputs up to which following them is faster than the kernel ``dense``, on this machine.

    name: of the type of ``dense``. Measured once a process for every geometry and type: a line through the times at
    two rates against the time of ``dense``.
    """
    key = (convolution.geometry, torch.get_num_threads(), name)
    if key not in _CROSSINGS:
        random, follow = np.random.default_rng(0), build(convolution)
        channels, height, width = convolution.geometry.source
        shape = (convolution.geometry.batch, height, width, channels)
        frames = [
            torch.from_numpy((random.random(shape, np.float32) < rate).astype(np.uint8)).permute(0, 3, 1, 2)
            for rate in _RATES
        ]
        few, many = (_seconds(follow, frame) for frame in frames)
        slope = max(many - few, 1e-9) / (_RATES[1] - _RATES[0])
        _CROSSINGS[key] = min(max(_RATES[0] + (_seconds(dense, frames[1]) - few) / slope, 0.0), 1.0)
    return _CROSSINGS[key]


def _seconds(kernel: Kernel, values: Tensor) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        kernel(values)
        best = min(best, time.perf_counter() - start)
    return best
