"""Clips to train on: frames of one object and its boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Clip(Protocol):
    """Frames of one target, RGB, uint8 (height, width, 3) each, and its boxes (frame, 4)."""

    @property
    def frames(self) -> Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8]: ...

    @property
    def boxes(self) -> npt.NDArray[np.float64]: ...


SMALLEST_SIDE = 8.0


LARGEST_ASPECT = 10.0


LARGEST_AREA = 0.6
"""Boxes that are trained on: sides in pixels (ours); ratio of sides, and share of the picture as in
siamfcpp_alexnet-trn.yaml, where only the ratio acts because the test of the area is never evaluated."""


def _usable(boxes: npt.NDArray[np.float64], size: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Which boxes (box, 4) can be trained on in a picture of this width and height."""
    sides = np.nan_to_num(boxes[:, 2:], nan=0.0)
    thin = sides.min(axis=1) < SMALLEST_SIDE
    long = sides.max(axis=1) > LARGEST_ASPECT * np.maximum(sides.min(axis=1), 1e-9)
    return np.isfinite(boxes).all(axis=1) & ~thin & ~long & (sides.prod(axis=1) <= LARGEST_AREA * size[0] * size[1])
