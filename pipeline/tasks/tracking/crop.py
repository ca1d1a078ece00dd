"""Crops of a frame around a target, and the geometry of the score map.

Coordinates are continuous: pixel i of an axis spans [i, i + 1). A box is (x, y, width, height), top left corner first.
Crop sizes follow SiamFC: a square of side sqrt((w + p)(h + p)), p = context * (w + h), becomes the template crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Box = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]
Colour: TypeAlias = Sequence[float]


def context_side(box: Box, context: float) -> float:
    """Side in frame pixels of the square around ``box`` that the template crop shows."""
    width, height = float(box[2]), float(box[3])
    padding = context * (width + height)
    return float(np.sqrt((width + padding) * (height + padding)))


def centre(box: Box) -> npt.NDArray[np.float64]:
    """(x, y) of the middle of the box."""
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])


def mean_colour(frame: Image) -> Colour:
    """Mean of each channel, as ``crop`` shows it outside the frame."""
    return cv2.mean(frame)[:3]


def crop(frame: Image, middle: npt.NDArray[np.float64], scale: float, side: int, border: Colour | None = None) -> Image:
    """The square of ``side`` crop pixels around ``middle``, ``scale`` crop pixels to a frame pixel.

    (side, side, 3) uint8; outside the frame it shows ``border``, or the frame's mean colour.
    """
    shift = side / 2 - 0.5 - scale * (np.asarray(middle) - 0.5)
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    border = mean_colour(frame) if border is None else border
    cropped = cv2.warpAffine(
        frame, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=border
    )
    return np.asarray(cropped, dtype=np.uint8)


def to_crop(box: Box, middle: npt.NDArray[np.float64], scale: float, side: int) -> Box:
    """``box`` of the frame in the pixels of the crop that ``crop`` would make."""
    corner = (np.asarray(box[:2]) - middle) * scale + side / 2
    return np.array([*corner, box[2] * scale, box[3] * scale])


def positions(count: int, stride: int, side: int) -> npt.NDArray[np.float64]:
    """Crop coordinate of each of ``count`` rows or columns of the score map, which is centred on the crop."""
    return side / 2 + (np.arange(count) - (count - 1) / 2) * stride
