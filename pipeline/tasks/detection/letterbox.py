"""Pictures of any size into the square that a detector sees, and its boxes back.

A picture is scaled by the smaller of the two ratios, so that all of it fits, and lies in the upper left corner; right
of it and below is grey. Source: Megvii-BaseDetection/YOLOX 6ddff48, yolox/data/data_augment.py, preproc: sides are
rounded down, and boxes are scaled by the one ratio, although rounding makes the sides' own ratios a little smaller.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.core.boxes import Boxes
from pipeline.datasets.images import RGB

GREY = 114
"""What is seen outside of pictures."""


def letterbox(picture: RGB, height: int, width: int) -> tuple[RGB, float]:
    """The picture in (height, width, 3), uint8, and the ratio by which its boxes are to be multiplied."""
    ratio = fitting_ratio(picture, height, width)
    boxed = np.full((height, width, 3), GREY, np.uint8)
    small = scaled(picture, ratio)
    boxed[: small.shape[0], : small.shape[1]] = small
    return boxed, ratio


def fitting_ratio(picture: RGB, height: int, width: int) -> float:
    """By what to multiply the sides of ``picture`` so that it just fits into height and width."""
    return min(height / picture.shape[0], width / picture.shape[1])


def scaled(picture: RGB, ratio: float) -> RGB:
    """The picture with both sides multiplied by ``ratio`` and rounded down, to 1 at least; bilinear."""
    height, width = (max(int(side * ratio), 1) for side in picture.shape[:2])
    if (height, width) == picture.shape[:2]:
        return picture
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def from_letterbox(boxes: Boxes, ratio: float, size: tuple[int, int]) -> Boxes:
    """Boxes (object, 4), x1, y1, x2, y2 in a letterbox, as those of its picture, cut to it.

    ratio: as ``letterbox`` gave it. size: the picture's width and height.
    """
    return np.asarray(np.clip(boxes / ratio, 0, np.tile(size, 2)))
