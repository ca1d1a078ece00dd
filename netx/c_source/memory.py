"""What generated source keeps: arrays of the state, and constants; each with its C type and size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

SIZES = {"uint8_t": 1, "int8_t": 1, "int16_t": 2, "int32_t": 4}
_VALUES_A_LINE = 24


@dataclass(frozen=True)
class Member:
    """An array of the state, or a plain number where ``count`` is None.

    remembers: it outlives a step, and goes back to zero, or to ``rest``, when the network does.
    """

    name: str
    type: str
    count: int | None
    comment: str
    remembers: bool = False
    rest: int = 0

    @property
    def bytes(self) -> int:
        """Its size."""
        return SIZES[self.type] * (1 if self.count is None else self.count)

    @property
    def declaration(self) -> str:
        """As C declares it."""
        return f"{self.type} {self.name}" + ("" if self.count is None else f"[{self.count}]")


@dataclass(frozen=True)
class Constant:
    """An array of constants."""

    name: str
    type: str
    values: npt.NDArray[np.integer]

    @property
    def bytes(self) -> int:
        """Its size."""
        return SIZES[self.type] * self.values.size

    def lines(self) -> Iterator[str]:
        """Its values, row by row."""
        return number_lines(self.values)


@dataclass
class Constants:
    """All constants of a network; equal ones are one."""

    arrays: list[Constant] = field(default_factory=list)
    _known: dict[tuple[str, bytes], str] = field(default_factory=dict)

    def add(self, name: str, values: npt.NDArray[np.integer], type: str | None = None) -> str:
        """The name of the array that holds ``values``, which may be one that is there."""
        kind = type or narrowest(int(values.min()), int(values.max()))
        key = (kind, values.astype(np.int64).tobytes())
        if key not in self._known:
            self._known[key] = name
            self.arrays.append(Constant(name, kind, values.ravel()))
        return self._known[key]

    @property
    def bytes(self) -> int:
        """Of all of them."""
        return sum(array.bytes for array in self.arrays)


def narrowest(low: int, high: int) -> str:
    """The narrowest C type that holds the integers of a range."""
    for kind in ("uint8_t", "int8_t", "int16_t"):
        info = np.iinfo(kind.removesuffix("_t"))
        if info.min <= low and high <= info.max:
            return kind
    return "int32_t"


def state_bytes(members: list[Member]) -> int:
    """``sizeof`` of a struct of ``members``, the widest first: what is at its end is rounded up to the widest."""
    widest = max(SIZES[member.type] for member in members)
    return -(-sum(member.bytes for member in members) // widest) * widest


def number_lines(values: npt.NDArray[np.integer]) -> Iterator[str]:
    """Integers as C writes them, some a line. The lowest of 32 bits is no literal in C."""
    flat = values.ravel().tolist()
    for start in range(0, len(flat), _VALUES_A_LINE):
        row = flat[start : start + _VALUES_A_LINE]
        yield ", ".join("(-2147483647 - 1)" if value == -(1 << 31) else str(value) for value in row) + ","
