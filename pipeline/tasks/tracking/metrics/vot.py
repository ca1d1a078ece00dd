"""VOT2018's supervised scores: accuracy, robustness and expected average overlap.

Kristan et al., "The sixth Visual Object Tracking VOT2018 challenge results", ECCVW 2018; Kristan et al., VOT2015, for
the expected average overlap. A tracker that has lost the object is started again five frames later.
"""

from __future__ import annotations

from collections.abc import Sequence as ManyOf
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.core.boxes import Boxes, Values
from pipeline.datasets.vot import corners_of
from pipeline.tasks.tracking.metrics.polygons import Corners, polygon_overlap

SKIPPED_FRAMES = 5
"""From a failure to the next start (got10k 0.1.3, experiments/vot.py; votchallenge/toolkit, vot2018/shortterm)."""

BURN_IN = 10
"""Frames from each start, that one included, that do not count for accuracy (same sources)."""

EAO_RANGE = (100, 356)
"""Typical lengths of VOT2018's sequences (STVIR/pysot, toolkit/evaluation/eao_benchmark.py; votchallenge/toolkit)."""

Toolkit = Literal["pysot", "vot"]


class State(IntEnum):
    """What happened in a frame; the first three are the codes of VOT's result files."""

    SKIPPED = 0
    STARTED = 1
    FAILED = 2
    TRACKED = 3


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A supervised run over one sequence. states: of ``State``, shape (frame,). boxes: (frame, 4), NaN where not
    tracked."""

    states: npt.NDArray[np.int64]
    boxes: Boxes

    @property
    def failures(self) -> npt.NDArray[np.int64]:
        """Frames in which the tracker lost the object."""
        return np.flatnonzero(self.states == State.FAILED)


def overlaps(trajectory: Trajectory, polygons: Corners, bound: tuple[int, int]) -> Values:
    """Overlap of each tracked frame with the true corners (frame, 8), NaN where nothing was tracked. Shape (frame,)."""
    result = np.full(len(polygons), np.nan)
    predicted = corners_of(trajectory.boxes)
    for frame in np.flatnonzero(trajectory.states == State.TRACKED):
        result[frame] = polygon_overlap(predicted[frame], polygons[frame], bound)
    return result


def settled(trajectory: Trajectory, overlaps: Values) -> Values:
    """The overlaps that count for accuracy: tracked frames, those of each burn-in left out. Shape (counted frame,)."""
    counted = trajectory.states == State.TRACKED
    for start in np.flatnonzero(trajectory.states == State.STARTED):
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


def expected_overlap(trajectories: ManyOf[Trajectory], all_overlaps: ManyOf[Values], toolkit: Toolkit) -> float:
    """EAO, 0..1: mean of the expected overlap curve over ``EAO_RANGE``; NaN when no sequence is that long.

    The curve at length i is the mean, over all runs from a start that reach frame i or have failed before, of the mean
    overlap of their frames 1..i, 0 after a failure. The toolkits differ a little: pysot takes lengths 99..355, gives a
    run the five skipped frames and lets one that fails in the last five frames end with the sequence
    (eao_benchmark.py); vot takes 100..356, counts that one as failed, and ends the curve with the longest run
    (analysis/supervised.py). Every run has weight 1 (pysot gives (n - 1) / n to one of n frames whose skipped frames
    end exactly with the sequence).
    """
    fragments: list[tuple[Values, bool]] = []
    for trajectory, values in zip(trajectories, all_overlaps, strict=True):
        cut = _pysot_fragments if toolkit == "pysot" else _vot_fragments
        fragments += cut(trajectory, np.nan_to_num(values))
    runs = all_overlaps if toolkit == "pysot" else [values for values, _ in fragments]
    curve = _curve(fragments, max(map(len, runs)))
    low, high = EAO_RANGE
    typical = curve[low - 1 : high] if toolkit == "pysot" else curve[low : high + 1]
    return float(np.nanmean(typical)) if np.isfinite(typical).any() else float("nan")


def _pysot_fragments(trajectory: Trajectory, overlaps: Values) -> list[tuple[Values, bool]]:
    frames = len(overlaps)
    starts = [0, *(int(f) + SKIPPED_FRAMES for f in trajectory.failures if f + SKIPPED_FRAMES <= frames)]
    ended = [(overlaps[a : b + 1], True) for a, b in pairwise(starts)]
    return [*ended, (overlaps[starts[-1] :], False)]


def _vot_fragments(trajectory: Trajectory, overlaps: Values) -> list[tuple[Values, bool]]:
    starts, ends = np.flatnonzero(trajectory.states == State.STARTED), trajectory.failures
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
