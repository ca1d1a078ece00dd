"""What every segmenter is held against."""

from __future__ import annotations

import numpy as np

from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import LabelMask

STILL = "still"
"""What the command line calls ``StillMask``."""


class StillMask:
    """The first mask, which never moves."""

    most_objects: int | None = None

    def __init__(self) -> None:
        self._mask: LabelMask = np.zeros((0, 0), np.uint8)

    def start(self, frame: RGB, mask: LabelMask) -> None:
        """Keep ``mask``."""
        del frame
        self._mask = mask.copy()

    def step(self, frame: RGB) -> LabelMask:
        """The mask of ``start``."""
        del frame
        return self._mask.copy()
