"""What a detector answers to a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from netx.errors import MonospikeError
from pipeline.core.boxes import Boxes, Values
from pipeline.datasets.images import RGB


@dataclass(frozen=True, eq=False)
class Detections:
    """Objects found in one picture, in any order.

    boxes: float64 (object, 4), x1, y1, x2, y2 in the picture's pixels, edges continuous as of ``DetectionSet``.
    scores: float64 (object,), higher is surer. classes: int64 (object,), indices into the detector's class names.

    Raises MonospikeError when they are not as many, or a number is not finite.
    """

    boxes: Boxes
    scores: Values
    classes: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.scores.shape != (count,) or self.classes.shape != (count,):
            shapes = f"boxes {self.boxes.shape}, scores {self.scores.shape}, classes {self.classes.shape}"
            raise MonospikeError(f"a detector's answer must have a box, a score and a class an object, got {shapes}")
        if not (np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()):
            raise MonospikeError("a detector's answer holds a number that is not finite")

    def __len__(self) -> int:
        return len(self.scores)


NOTHING = Detections(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))
"""The answer to a picture in which nothing was found."""

Detector: TypeAlias = Callable[[RGB], Detections]
"""A model at work: a picture, RGB uint8 (height, width, 3), to what is in it."""


@runtime_checkable
class OpenDetector(Protocol):
    """What the task's ``predictor`` gives: a model at work, which says what its classes are."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by index."""

    def step(self, frame: RGB) -> Detections:
        """See ``Detector``."""
