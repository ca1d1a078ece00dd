"""Overlap of rotated boxes on the pixel grid, as the VOT toolkits reckon it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Corners = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def polygon_overlap(first: Corners, second: Corners, bound: tuple[int, int]) -> float:
    """Pixels in both over pixels in either, 0..1, of two convex quadrangles.

    first, second: corners x1, y1, ... x4, y4, shape (8,). bound: column and row of the last pixel that counts; the
    first is 0, 0.

    The rules are those of the VOT toolkit's region.c (votchallenge/trax, as STVIR/pysot builds it, without its legacy
    flag): corners are rounded to whole pixels; a row is filled from its leftmost to its rightmost crossing with an
    edge, both included, crossings cut to whole pixels towards zero; a row that is a single pixel wide is not filled;
    regions whose bounds, cut to the picture, share no area overlap by 0. Crossings are cut relative to the regions'
    common corner.
    """
    bounds = [_bounds(corners, bound) for corners in (first, second)]
    (low_x, low_y), (high_x, high_y) = np.max([b[0] for b in bounds], axis=0), np.min([b[1] for b in bounds], axis=0)
    if high_x <= low_x or high_y <= low_y:
        return 0.0
    origin = np.min([b[0] for b in bounds], axis=0)
    extent = np.max([b[1] for b in bounds], axis=0) - origin
    spans = [_spans(corners.reshape(4, 2) - origin, extent) for corners in (first, second)]
    areas = [_length(*span).sum() for span in spans]
    (left1, right1), (left2, right2) = spans
    both = _length(np.maximum(left1, left2), np.minimum(right1, right2)).sum()
    either = sum(areas) - both
    return float(both / either) if either else 0.0


def _bounds(corners: Corners, bound: tuple[int, int]) -> tuple[Rows, Rows]:
    """First and last pixel (x, y) around the corners and within the picture."""
    points = corners.reshape(4, 2)
    low = np.maximum(np.floor(points.min(axis=0)), 0)
    high = np.minimum(np.ceil(points.max(axis=0)), bound)
    return low.astype(np.int64), high.astype(np.int64)


def _spans(points: Corners, extent: Rows) -> tuple[Rows, Rows]:
    """First and last pixel of each row 0..extent[1], cut to columns 0..extent[0]; last < first where none is filled."""
    x, y = np.copysign(np.floor(np.abs(points) + 0.5), points).T
    ends_x, ends_y = np.roll(x, -1), np.roll(y, -1)
    rows = np.arange(extent[1] + 1)[:, None]
    # In region.c's order of operations: a crossing that is a whole number must not be cut to the one before.
    rise = np.where(ends_y != y, ends_y - y, 1)
    crossing = np.trunc(x + (rows - y) / rise * (ends_x - x))
    crosses = (rows >= np.minimum(y, ends_y)) & (rows <= np.maximum(y, ends_y)) & (ends_y != y)
    left = np.where(crosses, crossing, np.inf).min(axis=1)
    right = np.where(crosses, crossing, -np.inf).max(axis=1)
    filled = right > left
    left = np.where(filled, np.maximum(left, 0), 1)
    right = np.where(filled, np.minimum(right, extent[0]), 0)
    return left.astype(np.int64), right.astype(np.int64)


def _length(left: Rows, right: Rows) -> Rows:
    return np.maximum(right - left + 1, 0)
