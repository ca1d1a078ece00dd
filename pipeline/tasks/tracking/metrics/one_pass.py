"""One-pass evaluation: success and precision as OTB, UAV123 and LaSOT have them, and GOT-10k's average overlap.

Wu, Lim, Yang, "Object Tracking Benchmark", PAMI 2015: the tracker starts on the true box of the first frame and is
never started again. Huang, Zhao, Huang, "GOT-10k", TPAMI 2019, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence as ManyOf
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from pipeline.core.boxes import Boxes, Values, centre_error, iou, normalised_centre_error
from pipeline.datasets.catalog import AbsentFrames

OVERLAPS = np.linspace(0, 1, 21)
"""Thresholds of the success curve."""
PIXELS = np.arange(51)
"""Thresholds of the precision curve."""
SIZES = np.linspace(0, 0.5, 51)
"""Thresholds of the normalised precision curve, in sizes of the true box."""

PRECISION_PIXELS = 20
NORMALISED_SIZE = 0.2
"""Threshold of pysot's normalised precision (toolkit/evaluation/ope_benchmark.py), for comparison with its tables."""


@dataclass(frozen=True)
class Curves:
    """Share of frames, 0..1, that pass each threshold.

    success: overlap above ``OVERLAPS``, shape (21,). precision: centre error at most ``PIXELS``, shape (51,).
    normalised_precision: normalised centre error at most ``SIZES``, shape (51,).
    """

    success: Values
    precision: Values
    normalised_precision: Values

    @property
    def success_score(self) -> float:
        """Mean of the success curve: area under it (got10k 0.1.3, experiments/otb.py)."""
        return float(self.success.mean())

    @property
    def precision_score(self) -> float:
        """Share of frames whose middle is within 20 pixels."""
        return float(self.precision[PRECISION_PIXELS])

    @property
    def normalised_precision_score(self) -> float:
        """Mean of the normalised precision curve, up to half a size (TrackingNet; video_analyst's LaSOT)."""
        return float(self.normalised_precision.mean())

    @property
    def normalised_precision_at_fifth(self) -> float:
        """Share of frames whose middle is within a fifth of the size (pysot's LaSOT tables)."""
        return float(self.normalised_precision[int(np.argmin(abs(SIZES - NORMALISED_SIZE)))])


def curves(boxes: Boxes, truth: Boxes, absent: npt.NDArray[np.bool_], absent_frames: AbsentFrames) -> Curves:
    """The curves of one sequence. The first frame counts, with its true box in place of the tracker's.

    boxes, truth: shape (frame, 4). absent: frames without the object, shape (frame,).
    absent_frames: ``drop`` leaves these out, as the got10k toolkit does with NaN; ``failure`` counts them, and those
    whose true box has no area, as missed at every threshold, as pysot's success does. (pysot's precision counts them as
    hit, for it gives them an error of -1; that is not followed.)

    Source: got10k 0.1.3, experiments/otb.py and uav123.py: overlap strictly above, error at most the threshold. With
    no frame left every value is NaN.
    """
    boxes = np.concatenate([truth[:1], boxes[1:]])
    if absent_frames == "failure":
        missed = absent | ~(truth[:, 2:] > 0).all(axis=1)
    else:
        boxes, truth = boxes[~absent], truth[~absent]
        missed = np.zeros(len(truth), dtype=bool)
    overlaps = np.where(missed, -1, iou(boxes, truth))
    errors = np.where(missed, np.inf, centre_error(boxes, truth))
    relative = np.where(missed, np.inf, normalised_centre_error(boxes, truth))
    return Curves(
        _share(overlaps[:, None] > OVERLAPS), _share(errors[:, None] <= PIXELS), _share(relative[:, None] <= SIZES)
    )


def average(all_curves: ManyOf[Curves]) -> Curves:
    """The curves of a benchmark: mean over its sequences, long or short."""
    return Curves(*(np.mean([getattr(c, field.name) for c in all_curves], axis=0) for field in fields(Curves)))


def mean_overlap(boxes: Boxes, truth: Boxes, absent: npt.NDArray[np.bool_]) -> float:
    """Mean overlap of the frames with the object after the first, at which the box was given; NaN of none."""
    shown = ~absent[1:]
    return float(iou(boxes[1:], truth[1:])[shown].mean()) if shown.any() else float("nan")


@dataclass(frozen=True)
class Got10kScores:
    """AO: mean overlap. SR50, SR75: share of frames with an overlap strictly above 0.5 and 0.75. All 0..1."""

    ao: float
    sr50: float
    sr75: float


def counted_overlaps(boxes: Boxes, truth: Boxes, absent: npt.NDArray[np.bool_], size: tuple[int, int]) -> Values:
    """Overlaps of the frames that count: those after the first in which something of the object is visible.

    size: width and height of the picture, to which the boxes are cut.
    Source: got10k 0.1.3, experiments/got10k.py report().
    """
    shown = ~absent[1:]
    return iou(boxes[1:][shown], truth[1:][shown], size)


def got10k_scores(overlaps: ManyOf[Values]) -> Got10kScores:
    """Scores of sequences whose counted overlaps are given, all frames alike as the toolkit pools them; NaN of none.

    (The server of the test split averages over classes instead.)
    """
    pooled = np.concatenate([np.empty(0), *overlaps])
    if not len(pooled):
        return Got10kScores(*[float("nan")] * 3)
    return Got10kScores(float(pooled.mean()), float((pooled > 0.5).mean()), float((pooled > 0.75).mean()))


def _share(passed: npt.NDArray[np.bool_]) -> Values:
    return passed.mean(axis=0) if len(passed) else np.full(passed.shape[1], np.nan)
