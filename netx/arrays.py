"""Immutable integer arrays, and equality of dataclasses that hold them."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from netx.errors import NetworkError

IntArray: TypeAlias = npt.NDArray[np.int32]


def frozen_int_array(values: npt.ArrayLike, what: str, low: int, high: int) -> IntArray:
    """A read-only int32 copy of ``values``.

    Raises NetworkError, naming ``what`` and the first place, when a value is not an integer in [low, high].
    """
    array = np.asarray(values)
    if array.dtype == object or not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise NetworkError(f"{what}: expected integers, got values of type {array.dtype}")
    if np.issubdtype(array.dtype, np.complexfloating):
        raise NetworkError(f"{what}: expected integers, got complex numbers")
    if np.issubdtype(array.dtype, np.floating):
        whole = np.isfinite(array) & (array == np.floor(array))
        if not whole.all():
            place = _first(~whole)
            raise NetworkError(f"{what}{_at(place)} is {array[place]}: expected an integer")
    outside = (array < low) | (array > high)
    if outside.any():
        place = _first(outside)
        raise NetworkError(f"{what}{_at(place)} is {array[place]}: outside {low}..{high}")
    frozen = np.array(array, dtype=np.int32, order="C")
    frozen.setflags(write=False)
    return frozen


def _first(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def _at(place: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, place))}]" if place else ""


class ArrayEquality:
    """Field-wise equality for dataclasses declared with ``eq=False``; arrays compare by shape and content."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(
            _equal(getattr(self, field.name), getattr(other, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        )

    __hash__ = None  # type: ignore[assignment]


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    return bool(a == b)
