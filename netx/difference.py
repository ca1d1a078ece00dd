"""The first place at which two networks differ, in words."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from netx.network import Network


def first_difference(expected: Network, got: Network) -> str | None:
    """What differs first, such as ``layer 'conv1', weight[3, 0, 1, 2] is 14, expected 12``; None when equal."""
    for kind in ("inputs", "layers"):
        one, two = getattr(expected, kind), getattr(got, kind)
        names, other_names = [item.name for item in one], [item.name for item in two]
        if names != other_names:
            return f"its {kind} are {', '.join(other_names)}, expected {', '.join(names)}"
        for item, other in zip(one, two, strict=True):
            if found := _difference(item, other, ""):
                return f"{kind[:-1]} {item.name!r}, {found}"
    return None if expected == got else f"its outputs are {', '.join(got.outputs)}, not {', '.join(expected.outputs)}"


def _difference(expected: Any, got: Any, what: str) -> str | None:
    if isinstance(expected, np.ndarray) and isinstance(got, np.ndarray):
        if expected.shape != got.shape:
            return f"{what} has shape {got.shape}, expected {expected.shape}"
        places = np.argwhere(expected != got)
        if len(places) == 0:
            return None
        place = tuple(int(i) for i in places[0])
        return f"{what}{list(place)} is {got[place]}, expected {expected[place]}"
    if dataclasses.is_dataclass(expected) and type(expected) is type(got):
        for field in dataclasses.fields(expected):
            if found := _difference(getattr(expected, field.name), getattr(got, field.name), field.name):
                return found
        return None
    if type(expected) is not type(got):
        return f"{what} is a {type(got).__name__}, expected a {type(expected).__name__}"
    return None if expected == got else f"{what} is {got}, expected {expected}"
