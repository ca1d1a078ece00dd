"""What a segmenter is asked and answers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import LabelMask


@runtime_checkable
class OpenSegmenter(Protocol):
    """What the task's ``predictor`` gives: a model at work, which follows the objects of a mask."""

    @property
    def most_objects(self) -> int | None:
        """How many objects it follows at a time; None for any number."""

    def start(self, frame: RGB, mask: LabelMask) -> None:
        """Begin anew with ``frame``, RGB uint8 (height, width, 3), whose objects ``mask`` marks, uint8 (height, width):
        0 for background, numbers from 1 to 254, not all of which need occur. Neither is the segmenter's to change."""

    def step(self, frame: RGB) -> LabelMask:
        """The mask of the next frame, which is as large, with the numbers of ``start``'s."""
