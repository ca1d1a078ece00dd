"""Shapes and value ranges: the types of what travels between layers."""

from __future__ import annotations

from typing import Any, NamedTuple

from netx.errors import NetworkError


class Shape(NamedTuple):
    """Size of one frame of neurons: (channel, height, width), all at least 1."""

    channel: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.channel * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channel}x{self.height}x{self.width}"


class Range(NamedTuple):
    """Inclusive range of the integers a neuron or an input may send in one time step."""

    low: int
    high: int

    @property
    def binary(self) -> bool:
        """True for spikes: nothing but 0 and 1."""
        return self.low >= 0 and self.high <= 1

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


SPIKES = Range(0, 1)

Pair = tuple[int, int]
"""(height, width), or rows and columns."""


def _whole(number: Any) -> int:
    """``number`` as an int. Raises TypeError or ValueError where that would change it."""
    if isinstance(number, str) or int(number) != number:
        raise ValueError
    return int(number)


def as_shape(value: object, what: str) -> Shape:
    """``value`` as a Shape of positive integers. Raises NetworkError naming ``what``."""
    try:
        shape = Shape(*(_whole(n) for n in value))  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        raise NetworkError(f"{what}: expected (channel, height, width), got {value!r}") from None
    if min(shape) < 1:
        raise NetworkError(f"{what}: every size must be at least 1, got {shape}")
    return shape


def as_pair(value: object, what: str, low: int) -> Pair:
    """One integer for both axes, or (height, width), each at least ``low``. Raises NetworkError naming ``what``."""
    try:
        pair = (value, value) if isinstance(value, int) else tuple(value)  # type: ignore[arg-type]
        rows, columns = (_whole(n) for n in pair)
    except (TypeError, ValueError, OverflowError):
        raise NetworkError(f"{what}: expected an integer or (height, width), got {value!r}") from None
    if rows < low or columns < low:
        raise NetworkError(f"{what}: must be at least {low}, got ({rows}, {columns})")
    return rows, columns
