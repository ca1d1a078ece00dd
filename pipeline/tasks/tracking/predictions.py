"""What a tracker answers over a video."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from pipeline.core.boxes import Boxes, Values


class State(IntEnum):
    """What happened in a frame; the first three are the codes of VOT's result files."""

    SKIPPED = 0
    STARTED = 1
    FAILED = 2
    TRACKED = 3


@dataclass(frozen=True, eq=False)
class Predictions:
    """Boxes of a tracker over a video, in the convention of ``pipeline.datasets.annotations``.

    boxes: (frame, 4), NaN where it gave none; where it was started it is the box that it was given, except in a
        supervised run. states: of ``State``, shape (frame,). seconds: taken for each frame, reading not included, NaN
        where the tracker was not asked, shape (frame,).
    """

    boxes: Boxes
    states: npt.NDArray[np.int64]
    seconds: Values

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.boxes)

    @property
    def failures(self) -> npt.NDArray[np.int64]:
        """Frames in which the tracker lost the object."""
        return np.flatnonzero(self.states == State.FAILED)

    @property
    def frames_per_second(self) -> float:
        """Frames followed over the seconds they took; NaN when none was (a video of one frame)."""
        followed = self.states == State.TRACKED
        followed[:1] = False
        total = float(self.seconds[followed].sum())
        return int(followed.sum()) / total if total > 0 else float("nan")
