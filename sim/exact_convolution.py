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

    def __call__(self, values: npt.NDArray) -> npt.NDArray[np.float64]:
        """Sums over every window of integers (column, row, channel): integers in float64, (column, row, channel).

        Computed in the narrowest type that no sum of these values can leave. Raises ValueError when none is exact.
        """
        bound = self._gain * int(np.abs(values.astype(np.int64)).max())
        for kind, limit in _EXACT:
            if bound < limit:
                return self._product(values.astype(kind), self._taps[kind])
        raise ValueError(f"sums of a convolution can reach {bound}, past the 53 bits in which they are exact")

    def _product(self, values: npt.NDArray, taps: npt.NDArray) -> npt.NDArray[np.float64]:
        windows = self._windows(values)
        columns, rows, channels = windows.shape[0], windows.shape[1], windows.shape[-1]
        grouped = windows.reshape(columns * rows, -1, self._groups, channels // self._groups)
        matrices = grouped.transpose(2, 0, 1, 3).reshape(self._groups, columns * rows, -1)
        sums = matrices @ taps
        return sums.swapaxes(0, 1).reshape(columns, rows, -1).astype(np.float64)

    def _windows(self, values: npt.NDArray) -> npt.NDArray:
        """A view of what each window sees: (column, row, kernel column, kernel row, channel)."""
        padded = np.pad(values, [*((p, p) for p in self._padding), (0, 0)])
        reach = [d * (k - 1) + 1 for k, d in zip(self._kernel, self._dilation, strict=True)]
        view = padded
        for axis, size in enumerate(reach):
            view = np.lib.stride_tricks.sliding_window_view(view, size, axis=axis)
        (right, down), (column_step, row_step) = self._stride, self._dilation
        return view[::right, ::down, :, ::column_step, ::row_step].transpose(0, 1, 3, 4, 2)
