"""The convolution of Lava's ``Conv`` by products of matrices, thousands of times as fast and exact by bound.

numpy and its BLAS only: torch's threads hang in the processes that Lava forks. No Lava in here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netx.arrays import IntArray
from netx.types import Pair

_EXACT = ((np.float32, 1 << 24), (np.float64, 1 << 53))
"""Types of a BLAS, and the integer up to which all are exact (IEEE 754 significands of 24 and 53 bits)."""

_CACHED = 1 << 18
"""Values; 1 MiB of float32."""


class ExactConvolution:
    """The weights of one convolution, packed, in Lava's shapes.

    weight: (out channel, column, row, in channel / groups), the kernel flipped, since Lava's is a true convolution.
    stride, padding, dilation: (column, row).
    """

    def __init__(self, weight: IntArray, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> None:
        self._stride, self._padding, self._dilation, self._groups = stride, padding, dilation, groups
        self._kernel = weight.shape[1:3]
        self._gain = int(np.abs(weight.reshape(len(weight), -1).astype(np.int64)).sum(axis=1).max())
        # (group, column, row, in channel; out channel): the order in which a frame lies in memory.
        taps = weight[:, ::-1, ::-1].reshape(groups, len(weight) // groups, -1).swapaxes(1, 2)
        self._taps = {kind: np.ascontiguousarray(taps, kind) for kind, _ in _EXACT}

    def __call__(self, values: npt.NDArray) -> npt.NDArray[np.floating]:
        """Sums over every window of integers (column, row, channel): integers in floating point, of the same order.

        Computed in the narrowest type that no sum of these values can leave. Raises ValueError when none is exact.
        """
        bound = self._gain * max(int(values.max()), -int(values.min()))
        for kind, limit in _EXACT:
            if bound < limit:
                return self._product(values.astype(kind), self._taps[kind])
        raise ValueError(f"sums of a convolution can reach {bound}, past the 53 bits in which they are exact")

    def _product(self, values: npt.NDArray, taps: npt.NDArray) -> npt.NDArray[np.floating]:
        windows = self._windows(values)
        columns, rows = windows.shape[:2]
        groups, terms, outs = taps.shape
        sums = np.empty((columns, rows, groups, outs), values.dtype)
        # As many columns at a time as lie in the cache once every window is written out.
        step = max(1, _CACHED // (rows * groups * terms))
        for first in range(0, columns, step):
            part = windows[first : first + step]
            apart = part.reshape(part.shape[0] * rows, -1, groups, part.shape[-1] // groups).transpose(2, 0, 1, 3)
            product = apart.reshape(groups, -1, terms) @ taps
            sums[first : first + step] = product.swapaxes(0, 1).reshape(-1, rows, groups, outs)
        return sums.reshape(columns, rows, -1)

    def _windows(self, values: npt.NDArray) -> npt.NDArray:
        """A view of what each window sees: (column, row, kernel column, kernel row, channel)."""
        padded = np.pad(values, [*((p, p) for p in self._padding), (0, 0)])
        reach = [d * (k - 1) + 1 for k, d in zip(self._kernel, self._dilation, strict=True)]
        view = padded
        for axis, size in enumerate(reach):
            view = np.lib.stride_tricks.sliding_window_view(view, size, axis=axis)
        (right, down), (column_step, row_step) = self._stride, self._dilation
        return view[::right, ::down, :, ::column_step, ::row_step].transpose(0, 1, 3, 4, 2)
