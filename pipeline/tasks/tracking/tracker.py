"""What every tracker can do, and the checks before it starts."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pipeline.datasets.errors import DataError
from pipeline.tasks.tracking.crop import Box, Image


class Tracker(Protocol):
    """Follows one target; ``start`` may be called again for another."""

    def start(self, frame: Image, box: Box) -> None:
        """Take what ``box`` marks in ``frame`` as the target. frame: uint8 RGB, (height, width, 3). box: x, y, width,
        height in pixels, float64."""

    def step(self, frame: Image) -> Box:
        """The target's box in the next frame."""

    def search(self, frame: Image, box: Box) -> Box:
        """The target's box in a frame that is searched around ``box``; what it has followed so far does not count.
        Raises MonospikeError when a tracker cannot be told where to search."""


def check_box(box: Box, width: int, height: int, where: str, origin: float = 0.0) -> None:
    """Raises DataError, saying ``where``, when no target can be taken from ``box`` of a frame of this size: it is not
    finite, has no area, or lies outside. It may reach out of the frame. origin: what the user calls the first pixel,
    for the message (``Video.origin``)."""
    x, y, w, h = (float(value) for value in box)
    text = f"{where}: the box {x + origin:g},{y + origin:g},{w:g},{h:g}"
    if not np.isfinite(box).all():
        raise DataError(f"{where}: has no box to start from (NaN or infinite)")
    if w <= 0 or h <= 0 or not 0 < w * h < np.inf:  # their product is all that a tracker sees of the smallest
        raise DataError(f"{text} has no area; give x,y,width,height with positive width and height")
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise DataError(f"{text} lies outside the frame of {width}x{height} pixels")
