"""Pieces of a layer: spans along its axes, boxes of neurons, and which inputs a span of outputs reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netx import Shape


class Span(NamedTuple):
    """Places ``low`` to ``high - 1`` along one axis."""

    low: int
    high: int

    @property
    def size(self) -> int:
        """Number of places."""
        return self.high - self.low


class Box(NamedTuple):
    """Neurons of a layer: all within three spans."""

    channels: Span
    rows: Span
    columns: Span

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return self.channels.size * self.rows.size * self.columns.size

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into (channel, height, width)."""
        return slice(*self.channels), slice(*self.rows), slice(*self.columns)


class Tile(NamedTuple):
    """Size of the boxes that a layer is cut into."""

    channels: int
    rows: int
    columns: int

    def count(self, shape: Shape) -> int:
        """Number of boxes that cover ``shape``."""
        return _ceil(shape.channel, self.channels) * _ceil(shape.height, self.rows) * _ceil(shape.width, self.columns)

    def spans(self, shape: Shape) -> tuple[list[Span], list[Span], list[Span]]:
        """The spans of the boxes along each axis; the last ones may be shorter."""
        channels, rows, columns = (cut(size, step) for size, step in zip(shape, self, strict=True))
        return channels, rows, columns

    def boxes(self, shape: Shape) -> list[Box]:
        """The boxes: columns fastest, channels slowest."""
        return [Box(*spans) for spans in product(*self.spans(shape))]


def cut(size: int, step: int) -> list[Span]:
    """0 to ``size`` in spans of ``step``."""
    return [Span(low, min(low + step, size)) for low in range(0, size, step)]


@dataclass(frozen=True)
class Axis:
    """One axis of a convolution: ``size`` inputs, ``outputs`` outputs, and how windows lie on it."""

    size: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    def taps(self, span: Span) -> npt.NDArray[np.bool_]:
        """Through which taps each input reaches an output of ``span``: shape (input, tap)."""
        return _taps(self, span)

    def read(self, span: Span) -> npt.NDArray[np.bool_]:
        """Which inputs the outputs of ``span`` read."""
        return _taps(self, span).any(axis=1)

    def patterns(self, span: Span) -> Pattern:
        """By which taps each input reaches ``span``, and from which output on: of inputs that reach it at all."""
        return _patterns(self, span)


class Pattern(NamedTuple):
    """For each input that a span reads, in order. kinds: equal for equal lists of taps. taps: how many each list has.

    firsts: the first output it reaches, counted from the span's beginning.
    """

    kinds: tuple[int, ...]
    taps: tuple[int, ...]
    firsts: tuple[int, ...]


@lru_cache(maxsize=4096)
def _patterns(axis: Axis, span: Span) -> Pattern:
    found = _taps(axis, span)
    reads = np.flatnonzero(found.any(axis=1))
    found = found[reads]
    # The last tap of a list reaches its first output.
    last = axis.kernel - 1 - found[:, ::-1].argmax(axis=1)
    firsts = (reads + axis.padding - last * axis.dilation) // axis.stride - span.low
    _, kinds = np.unique(found, axis=0, return_inverse=True)
    columns = (np.asarray(values).reshape(-1).tolist() for values in (kinds, found.sum(axis=1), firsts))
    return Pattern(*(tuple(values) for values in columns))


@lru_cache(maxsize=4096)
def _taps(axis: Axis, span: Span) -> npt.NDArray[np.bool_]:
    found = np.zeros((axis.size, axis.kernel), bool)
    outputs = np.arange(*span)
    for tap in range(axis.kernel):
        reads = outputs * axis.stride + tap * axis.dilation - axis.padding
        found[reads[(reads >= 0) & (reads < axis.size)], tap] = True
    found.setflags(write=False)
    return found


def halvings(size: int) -> list[int]:
    """``size`` and what is left of it when it is halved, rounding up, again and again, down to 1."""
    steps = [size]
    while steps[-1] > 1:
        steps.append(_ceil(steps[-1], 2))
    return steps


def powers_of_two(size: int) -> list[int]:
    """1, 2, 4 ... up to the first that is not below ``size``, largest first."""
    return [1 << exponent for exponent in range((size - 1).bit_length(), -1, -1)]


def equal_parts(size: int) -> list[int]:
    """Every size that cutting ``size`` into one, two, three ... equal parts gives, largest first."""
    return sorted({_ceil(size, parts) for parts in range(1, size + 1)}, reverse=True)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
