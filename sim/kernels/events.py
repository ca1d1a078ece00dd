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

_INT32, _INT64 = 1 << 31, 1 << 63
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


def build(convolution: Convolution) -> Kernel:
    """The sums as int32, or int64 where messages or their bound ask for it. The weights are packed here, once."""
    from sim.kernels import native_kernels

    geometry, binary = convolution.geometry, _narrow(convolution)
    columns = geometry.channels // geometry.groups
    weight = convolution.weight.reshape(geometry.groups, columns, *geometry.weight_shape[1:]).astype(np.int16)
    packed = with_silence(weight.transpose(0, 3, 4, 2, 1).reshape(-1, columns))
    windows = (geometry.kernel, geometry.stride, geometry.padding, geometry.dilation)
    _, height, width = geometry.output
    numbers = np.array([*(size for pair in windows for size in pair), geometry.groups, width], np.int64)
    flat = geometry.source[1:] == geometry.kernel == (1, 1) and geometry.groups == 1 and geometry.padding == (0, 0)

    dense = native_kernels.dense_spikes if binary else native_kernels.dense_messages
    convolve = native_kernels.convolution_spikes if binary else native_kernels.convolution_messages

    def kernel(values: Tensor) -> Tensor:
        seen = _channels_last(values, torch.uint8 if binary else torch.int32)
        out = np.empty((len(seen), height, width, geometry.channels), np.int32 if binary else np.int64)
        if flat:
            rows, sums = seen.reshape(len(seen), -1), out.reshape(len(out), -1)
            native.spread(lambda low, high: dense(rows, packed, sums, low, high), len(seen), rows.shape[1])
        else:
            bands = max(1, min(height, -(-torch.get_num_threads() // len(seen))))
            words, sums = _words(seen, geometry.groups), out.reshape(len(out), -1, columns)
            native.spread(
                lambda low, high: convolve(seen, words, packed, sums, numbers, bands, low, high),
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


def _narrow(convolution: Convolution) -> bool:
    """Whether values are spikes and their sums fit 32 bits."""
    return convolution.values.binary and convolution.bound < _INT32


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
