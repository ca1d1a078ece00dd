"""The members of one group of a file, read for linting: what cannot be read is noted, and then counts as missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from netx.hdf5 import Group, Refuse


class Raw:
    """Each member is read at most once. ``refuse`` gets what could not be."""

    def __init__(self, group: Group, refuse: Refuse) -> None:
        self.group = group
        self._refuse = refuse
        self._numbers: dict[str, npt.NDArray | None] = {}
        self._texts: dict[str, str | None] = {}

    @property
    def place(self) -> str:
        """Of the group in the file."""
        return self.group.place

    def has(self, name: str) -> bool:
        """Whether there is a member ``name``, of any kind."""
        try:
            return name in self.group
        except FormatError:
            return False

    def is_group(self, name: str) -> bool:
        """Whether there is a member group ``name``."""
        try:
            return name in self.group and self.group.is_group(name)
        except FormatError:
            return False

    def numbers(self, name: str) -> npt.NDArray | None:
        """The numeric dataset ``name``; None where there is none."""
        if name not in self._numbers:
            self._numbers[name] = self._read_numbers(name)
        return self._numbers[name]

    def number(self, name: str) -> float | None:
        """The dataset ``name`` of a single number; None where there is no such."""
        values = self.numbers(name)
        return None if values is None or values.size != 1 else float(values.flat[0])

    def whole(self, name: str) -> int | None:
        """The dataset ``name`` of a single whole number; None where there is no such."""
        value = self.number(name)
        return int(value) if value is not None and np.isfinite(value) and value == np.floor(value) else None

    def text(self, name: str) -> str | None:
        """The dataset ``name`` of one string; None where there is none."""
        if name not in self._texts:
            self._texts[name] = self._read_text(name)
        return self._texts[name]

    def member(self, name: str) -> Raw | None:
        """The member group ``name``; None where there is none."""
        try:
            return Raw(self.group.group(name), self._refuse) if name in self.group else None
        except FormatError as error:
            self._refuse(error)
            return None

    def names(self) -> list[str]:
        """The names of all members; none where they cannot be listed."""
        try:
            return self.group.names()
        except FormatError as error:
            self._refuse(error)
            return []

    def _read_numbers(self, name: str) -> npt.NDArray | None:
        try:
            if name not in self.group or self.group.is_group(name) or self.group.holds_text(name):
                return None
            return self.group.numbers(name)
        except FormatError as error:
            self._refuse(error)
            return None

    def _read_text(self, name: str) -> str | None:
        try:
            return self.group.text(name) if name in self.group else None
        except FormatError as error:
            self._refuse(error)
            return None


def at(place: tuple[int, ...]) -> str:
    """``[1, 2]`` for the place (1, 2) in an array; nothing for a single value."""
    return f"[{', '.join(map(str, place))}]" if place else ""


def first(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """The first place at which ``mask`` is true."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def nonzero(values: npt.NDArray) -> float:
    """The first of ``values`` that is not zero; zero where all are."""
    return float(values.flat[int(np.argmax(values.ravel() != 0))])


def first_of(
    name: str, mask: npt.NDArray[np.bool_], say: Callable[[tuple[int, ...]], str]
) -> Iterator[tuple[str, str]]:
    """Where the first value of ``name`` stands that ``mask`` marks, and what ``say`` says of that place, if any is."""
    if mask.any():
        place = first(mask)
        yield f"{name}{at(place)}", say(place)


def not_finite(name: str, values: npt.NDArray) -> Iterator[tuple[str, str]]:
    """Where the first of ``values`` stands that is infinite or not a number, and what it is; nothing where all are."""
    return first_of(name, ~np.isfinite(values), lambda place: f"is {values[place]}")


def fractions(values: npt.NDArray) -> npt.NDArray[np.bool_]:
    """Which of ``values`` are finite and no whole numbers."""
    with np.errstate(invalid="ignore"):
        return np.isfinite(values) & (values != np.floor(values))
