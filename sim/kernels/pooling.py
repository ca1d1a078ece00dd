"""OR pooling of spikes, which is their max pooling."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from netx import Pool
from sim.kernels.floating import Kernel


def or_pool(pool: Pool) -> Kernel:
    """A kernel that gives 1 where a window of uint8 spikes (frame, channel, height, width) holds any, else 0.

    Windows are taken rows first and columns then: their height and width in operations on whole bytes, where their
    area would be needed at once.
    """
    (height, width), (down, right) = pool.kernel, pool.padding

    def kernel(spikes: Tensor) -> Tensor:
        padded = F.pad(spikes, (right, right, down, down)) if down or right else spikes
        rows = _any(padded, 2, height, pool.stride[0])
        return _any(rows, 3, width, pool.stride[1])

    return kernel


def _any(spikes: Tensor, axis: int, size: int, stride: int) -> Tensor:
    """The OR of each window of ``size`` along one axis."""
    windows = spikes.unfold(axis, size, stride)
    result = windows[..., 0] | windows[..., 1] if size > 1 else windows[..., 0]
    for tap in range(2, size):
        result |= windows[..., tap]
    return result
