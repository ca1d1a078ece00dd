"""Convolutions in float32, float64 or int64: exact below 2^24, 2^53 and 2^63."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from netx import Range
from sim.kernels.convolution import Convolution, Geometry

Kernel = Callable[[Tensor], Tensor]

_HALF = 16
"""Bits of the lower half of a value."""


def build(
    convolution: Convolution, offset: npt.NDArray[np.int64], spikes: bool, dtype: torch.dtype, device: str
) -> Kernel:
    """As ``sim.kernels.choose`` says, in the floating-point or integer ``dtype``."""
    if dtype == torch.int64 and (halves := _in_halves(convolution, offset, spikes)):
        return halves
    weight = torch.from_numpy(convolution.weight.astype(np.int64)).to(device, dtype)
    bias = torch.from_numpy(offset).to(device, dtype)
    sums = _sums(convolution.geometry, weight, bias, device)

    def kernel(values: Tensor) -> Tensor:
        result = sums(values.to(device, dtype))
        return (result > 0).view(torch.uint8) if spikes else result

    return kernel


def _in_halves(convolution: Convolution, offset: npt.NDArray[np.int64], spikes: bool) -> Kernel | None:
    """int64 from two products in float64, of the values' upper and lower 16 bits: torch's integers know no dilation.

    None where even a half may leave 53 bits.
    """
    half = Convolution(convolution.weight, convolution.geometry, Range(-(1 << _HALF), 1 << _HALF))
    if half.bound >= 1 << 53 or max(abs(end) for end in convolution.values) > 1 << (2 * _HALF):
        return None
    sums = build(half, np.zeros_like(offset), False, torch.float64, "cpu")
    added = torch.from_numpy(offset)[:, None, None]

    def kernel(values: Tensor) -> Tensor:
        wide = values.to(torch.int64)
        upper, lower = sums(wide >> _HALF), sums(wide & ((1 << _HALF) - 1))
        total = (upper.to(torch.int64) << _HALF) + lower.to(torch.int64) + added
        return (total > 0).view(torch.uint8) if spikes else total

    return kernel


def _sums(geometry: Geometry, weight: Tensor, bias: Tensor, device: str) -> Kernel:
    unpadded = geometry.padding == (0, 0)
    if geometry.source[1:] == geometry.kernel == (1, 1) and geometry.groups == 1 and unpadded:
        flat = weight.flatten(1)
        return lambda values: torch.addmm(bias, values.flatten(1), flat.T)[:, :, None, None]
    if geometry.pointwise:
        # In place, since to touch new memory takes longer than to compute in it.
        return lambda values: (values * weight[:, 0]).add_(bias[:, None, None])
    # torch 2.3.1 may crash on windows that lie in the padding alone, with channels last in memory.
    if device != "cpu" or geometry.blind:
        return lambda values: by_matrices(geometry, weight, bias, values)
    # oneDNN convolves directly and torch's own code by matrix products: plain sums both, in whatever order.
    options = geometry.stride, geometry.padding, geometry.dilation, geometry.groups
    return lambda values: F.conv2d(values, weight, bias, *options)


def by_matrices(geometry: Geometry, weight: Tensor, bias: Tensor, values: Tensor) -> Tensor:
    """The convolution as a product of matrices; on other devices convolutions may be Winograd's or Fourier's."""
    windows = F.unfold(values, geometry.kernel, geometry.dilation, geometry.padding, geometry.stride)
    taps = windows.reshape(len(values), geometry.groups, -1, windows.shape[-1])
    grouped = weight.reshape(geometry.groups, geometry.channels // geometry.groups, -1)
    sums = (grouped @ taps).reshape(len(values), *geometry.output)
    return sums + bias[:, None, None]
