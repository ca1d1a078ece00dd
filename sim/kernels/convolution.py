"""What a kernel computes: one convolution of integers, and the bound of its sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netx import Conv2d, Dense, Direct, NetworkError, Pool, Range, Shape, Synapse
from netx.arrays import IntArray
from netx.types import Pair


class Geometry(NamedTuple):
    """Sizes of a convolution of ``batch`` frames at a time; pairs are (height, width)."""

    batch: int
    source: Shape
    channels: int
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """(out channel, in channel / groups, kernel height, kernel width)."""
        return (self.channels, self.source.channel // self.groups, *self.kernel)

    @property
    def output(self) -> Shape:
        """Shape of one frame of sums."""
        sizes = zip(self.source[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True)
        height, width = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes)
        return Shape(self.channels, height, width)

    @property
    def pointwise(self) -> bool:
        """True when every value is multiplied with one weight of its channel, and that is all."""
        alone = self.weight_shape[1:] == (1, 1, 1) and self.groups == self.channels
        return alone and self.stride == (1, 1) and self.padding == (0, 0)

    @property
    def reach(self) -> Pair:
        """Rows and columns that a window spans."""
        rows, columns = (step * (size - 1) + 1 for size, step in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    @property
    def blind(self) -> bool:
        """True where some window sees nothing but padding."""
        return any(padding >= reach for padding, reach in zip(self.padding, self.reach, strict=True))

    @property
    def single(self) -> tuple[bool, bool]:
        """Whether there is one row of outputs, and one column, and yet a stride."""
        down, across = (size == 1 and step > 1 for size, step in zip(self.output[1:], self.stride, strict=True))
        return down, across

    @property
    def multiplications(self) -> int:
        """Of all frames together, those with padding included."""
        return self.batch * self.output.size * int(np.prod(self.weight_shape[1:]))


@dataclass(frozen=True, eq=False)
class Convolution:
    """``sum(weight * value)`` over each window, where every value is an integer within ``values``.

    weight: int32, shape ``geometry.weight_shape``, not flipped.
    """

    weight: IntArray
    geometry: Geometry
    values: Range

    @cached_property
    def bound(self) -> int:
        """The largest magnitude of any sum, and of any sum of a part of its terms, whatever the order.

        Each term lies between the extremes of zero, weight * low and weight * high; a part of the terms has the same
        sum as all of them with the others at zero, which is within these extremes.
        """
        weight = self.weight.reshape(len(self.weight), -1).astype(np.int64)
        low, high = min(self.values.low, 0), max(self.values.high, 0)
        positive, negative = np.maximum(weight, 0).sum(axis=1), np.minimum(weight, 0).sum(axis=1)
        most = (int(p) * high + int(n) * low for p, n in zip(positive, negative, strict=True))
        least = (int(p) * low + int(n) * high for p, n in zip(positive, negative, strict=True))
        return max(*most, *(-value for value in least), 0)


def seen_alone(convolution: Convolution) -> tuple[Convolution, Callable[[Tensor], Tensor]]:
    """The same sums with a stride of 1 where there is one output, and what cuts its input to what that output sees.

    With a stride torch's 8-bit operators read outside of the input there (found in 2.3.1, 2.13.0 and 2.14.1).
    """
    geometry, single = convolution.geometry, convolution.geometry.single
    if not any(single) or geometry.blind:
        return convolution, lambda values: values
    axes = zip(single, geometry.source[1:], geometry.reach, geometry.padding, geometry.stride, strict=True)
    kept = [(reach, 0, 1) if alone else (size, pad, step) for alone, size, reach, pad, step in axes]
    (height, width), padding, stride = ((one, other) for one, other in zip(*kept, strict=True))
    axes = zip(single, geometry.source[1:], geometry.reach, geometry.padding, geometry.stride, strict=True)
    (top, bottom), (left, right) = (
        (pad, reach - pad - size) if alone else (0, 0) for alone, size, reach, pad, _ in axes
    )

    def cut(values: Tensor) -> Tensor:
        seen = F.pad(values, (left, right, top, bottom))  # less than nothing is cut off
        return seen.contiguous(memory_format=torch.channels_last)

    source = Shape(geometry.source.channel, height, width)
    alone = geometry._replace(source=source, padding=padding, stride=stride)
    return Convolution(convolution.weight, alone, convolution.values), cut


def as_convolution(synapse: Synapse, source: Shape, values: Range, batch: int = 1) -> Convolution:
    """The sums of a synapse, before any weight exponent, as a convolution over ``batch`` frames of shape ``source``.

    A Dense, of whose delays nothing is known here, is one of 1x1 pixels; a Pool has one weight in each channel, and a
    Direct has ones. Raises NetworkError for other synapses.
    """
    if isinstance(synapse, Conv2d):
        weight = synapse.weight
        windows: tuple[Pair, Pair, Pair] = (synapse.stride, synapse.padding, synapse.dilation)
        groups = synapse.groups
    elif isinstance(synapse, Dense):
        weight, windows, groups = synapse.effective_weight[:, :, None, None], ((1, 1), (0, 0), (1, 1)), 1
    elif isinstance(synapse, Pool):
        weight = np.full((source.channel, 1, *synapse.kernel), synapse.weight, np.int32)
        windows, groups = (synapse.stride, synapse.padding, (1, 1)), source.channel
    elif isinstance(synapse, Direct):
        weight, windows = np.ones((source.channel, 1, 1, 1), np.int32), ((1, 1), (0, 0), (1, 1))
        groups = source.channel
    else:
        raise NetworkError(f"a {type(synapse).__name__} is no convolution")
    kernel = (weight.shape[2], weight.shape[3])
    return Convolution(weight, Geometry(batch, source, len(weight), kernel, *windows, groups), values)
