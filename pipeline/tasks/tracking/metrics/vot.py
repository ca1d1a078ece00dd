"""VOT2018's supervised scores: accuracy, robustness and expected average overlap, of rotated boxes on the pixel grid.

Kristan et al., "The sixth Visual Object Tracking VOT2018 challenge results", ECCVW 2018; Kristan et al., VOT2015, for
the expected average overlap. A tracker that has lost the object is started again five frames later.
"""

from __future__ import annotations

from collections.abc import Sequence as ManyOf
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.core.boxes import Values
from pipeline.datasets.vot import corners_of
from pipeline.tasks.tracking.predictions import Predictions, State

SKIPPED_FRAMES = 5
"""From a failure to the next start (got10k 0.1.3, experiments/vot.py; votchallenge/toolkit, vot2018/shortterm)."""

BURN_IN = 10
"""Frames from each start, that one included, that do not count for accuracy (same sources)."""

EAO_RANGE = (100, 356)
"""Typical lengths of VOT2018's sequences (STVIR/pysot, toolkit/evaluation/eao_benchmark.py; votchallenge/toolkit)."""

Toolkit = Literal["pysot", "vot"]

Corners = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def overlaps(run: Predictions, polygons: Corners, bound: tuple[int, int]) -> Values:
    """Overlap of each tracked frame with the true corners (frame, 8), NaN where nothing was tracked. Shape (frame,)."""
    result = np.full(len(polygons), np.nan)
    predicted = corners_of(run.boxes)
    for frame in np.flatnonzero(run.states == State.TRACKED):
        result[frame] = polygon_overlap(predicted[frame], polygons[frame], bound)
    return result


def settled(run: Predictions, overlaps: Values) -> Values:
    """The overlaps that count for accuracy: tracked frames, those of each burn-in left out. Shape (counted frame,)."""
    counted = run.states == State.TRACKED
    for start in np.flatnonzero(run.states == State.STARTED):
        counted[start : start + BURN_IN] = False
    return overlaps[counted]


def accuracy(counted: ManyOf[Values], lengths: ManyOf[int], toolkit: Toolkit) -> float:
    """A, 0..1, from the settled overlaps and the number of frames of each sequence; NaN where nothing counts.

    pysot: mean over all counted frames of all sequences (ar_benchmark.py). vot: mean of each sequence (0 where nothing
    counts), weighted with its length (votchallenge/toolkit, analysis/supervised.py).
    """
    if toolkit == "pysot":
        pooled = np.concatenate([np.empty(0), *counted])
        return float(pooled.mean()) if len(pooled) else float("nan")
    means = [values.mean() if len(values) else 0.0 for values in counted]
    return float(np.average(means, weights=lengths))


def robustness(failures: ManyOf[int], lengths: ManyOf[int], toolkit: Toolkit) -> float:
    """R: 0 is best. pysot: failures in 100 frames, of all sequences (ar_benchmark.py). vot: failures a sequence,
    weighted with its length (analysis/supervised.py)."""
    if toolkit == "pysot":
        return 100 * sum(failures) / sum(lengths)
    return float(np.average(failures, weights=lengths))


def expected_overlap(runs: ManyOf[Predictions], all_overlaps: ManyOf[Values], toolkit: Toolkit) -> float:
    """EAO, 0..1: mean of the expected overlap curve over ``EAO_RANGE``; NaN when no sequence is that long.

    The curve at length i is the mean, over all runs from a start that reach frame i or have failed before, of the mean
    overlap of their frames 1..i, 0 after a failure. The toolkits differ a little: pysot takes lengths 99..355, gives a
    run the five skipped frames and lets one that fails in the last five frames end with the sequence
    (eao_benchmark.py); vot takes 100..356, counts that one as failed, and ends the curve with the longest run
    (analysis/supervised.py). Every run has weight 1 (pysot gives (n - 1) / n to one of n frames whose skipped frames
    end exactly with the sequence).
    """
    fragments: list[tuple[Values, bool]] = []
    for run, values in zip(runs, all_overlaps, strict=True):
        cut = _pysot_fragments if toolkit == "pysot" else _vot_fragments
        fragments += cut(run, np.nan_to_num(values))
    whole = all_overlaps if toolkit == "pysot" else [values for values, _ in fragments]
    curve = _curve(fragments, max(map(len, whole)))
    low, high = EAO_RANGE
    typical = curve[low - 1 : high] if toolkit == "pysot" else curve[low : high + 1]
    return float(np.nanmean(typical)) if np.isfinite(typical).any() else float("nan")


def _pysot_fragments(run: Predictions, overlaps: Values) -> list[tuple[Values, bool]]:
    frames = len(overlaps)
    starts = [0, *(int(f) + SKIPPED_FRAMES for f in run.failures if f + SKIPPED_FRAMES <= frames)]
    ended = [(overlaps[a : b + 1], True) for a, b in pairwise(starts)]
    return [*ended, (overlaps[starts[-1] :], False)]


def _vot_fragments(run: Predictions, overlaps: Values) -> list[tuple[Values, bool]]:
    starts, ends = np.flatnonzero(run.states == State.STARTED), run.failures
    fragments = [(overlaps[a:b], True) for a, b in zip(starts, ends, strict=False)]
    if len(starts) > len(ends):
        fragments.append((overlaps[starts[-1] :], False))
    return fragments


def _curve(fragments: ManyOf[tuple[Values, bool]], longest: int) -> Values:
    """Expected overlap by length 0..longest - 1, NaN where no fragment tells.

    A fragment: its overlaps, and whether it failed.
    """
    total, count = np.zeros(longest), np.zeros(longest)
    for values, failed in fragments:
        padded = np.zeros(longest)
        padded[: len(values)] = values
        reach = longest if failed else len(values)
        total[1:reach] += (np.cumsum(padded[1:]) / np.arange(1, longest))[: max(reach - 1, 0)]
        count[:reach] += 1
    return np.divide(total, count, out=np.full(longest, np.nan), where=count > 0)


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
