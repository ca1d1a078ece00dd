"""GOT-10k's scores: average overlap and success rates over all frames of all sequences.

Huang, Zhao, Huang, "GOT-10k", TPAMI 2019, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence as ManyOf
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.core.boxes import Boxes, Values, overlap


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
    return overlap(boxes[1:][shown], truth[1:][shown], size)


def scores(overlaps: ManyOf[Values]) -> Got10kScores:
    """Scores of sequences whose counted overlaps are given, all frames alike as the toolkit pools them; NaN of none.

    (The server of the test split averages over classes instead.)
    """
    pooled = np.concatenate([np.empty(0), *overlaps])
    if not len(pooled):
        return Got10kScores(*[float("nan")] * 3)
    return Got10kScores(float(pooled.mean()), float((pooled > 0.5).mean()), float((pooled > 0.75).mean()))
