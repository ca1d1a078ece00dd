"""Samples of a detector's training, varied: mosaic, turned and scaled, mixup, mirror, colours.

As in Megvii-BaseDetection/YOLOX 6ddff48 (yolox/data/datasets/mosaicdetection.py, yolox/data/data_augment.py), but for
two things. Boxes follow their pixels exactly: their edges, and not their centres, are counted from 0, and both sides
have ratios of their own where they are rounded. And a sample whose objects have all been cut away is a picture of
background, where YOLOX takes the picture as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.datasets.images import RGB
from pipeline.tasks.detection.data_config import AugmentationConfig
from pipeline.tasks.detection.letterbox import GREY, fitting_ratio, letterbox, scaled

LabelledBoxes = npt.NDArray[np.float64]
"""(object, 5): x1, y1, x2, y2 in pixels, then the class's index."""

SMALLEST_SIDE = 1.0
"""Objects that are left with a side of no more pixels are no objects."""

Random = np.random.Generator


@dataclass(frozen=True, eq=False)
class Sample:
    """picture: RGB uint8 (height, width, 3). boxes: of all objects in it."""

    picture: RGB
    boxes: LabelledBoxes


def boxed(sample: Sample, side: int) -> Sample:
    """The sample as its letterbox of side x side."""
    picture, ratio = letterbox(sample.picture, side, side)
    return visible(picture, sample.boxes * [ratio, ratio, ratio, ratio, 1])


def mosaic(samples: Sequence[Sample], side: int, config: AugmentationConfig, random: Random) -> Sample:
    """Four samples around a point, turned, scaled, sheared and moved as one, in side x side.

    Each is scaled to fit into side x side and laid on a sheet of twice that with one corner on the point, which lies in
    the middle half of the sheet. The sheet's upper left corner is what all then turns about.
    """
    x, y = (int(random.uniform(0.5 * side, 1.5 * side)) for _ in range(2))
    sheet, boxes = np.full((2 * side, 2 * side, 3), GREY, np.uint8), []
    for sample, (right, below) in zip(samples, ((0, 0), (1, 0), (0, 1), (1, 1)), strict=True):
        ratio = fitting_ratio(sample.picture, side, side)
        small = _scaled(sample, ratio)
        height, width = small.picture.shape[:2]
        left, top = x - (1 - right) * width, y - (1 - below) * height
        _paste(small.picture, sheet, left, top)
        boxes.append(_moved(small.boxes, left, top))
    matrix = affine_matrix(side, config, random)
    return transformed(visible(sheet, np.concatenate(boxes)), matrix, side)


def affine_matrix(side: int, config: AugmentationConfig, random: Random) -> npt.NDArray[np.float64]:
    """Shape (2, 3): a turn and a scale, then a shear, then a shift, of column vectors x, y, 1 of edges of pixels."""
    angle = np.radians(random.uniform(-config.degrees, config.degrees))
    scale = random.uniform(*config.mosaic_scale)
    shear_x, shear_y = np.tan(np.radians(random.uniform(-config.shear, config.shear, 2)))
    shift = random.uniform(-config.translate, config.translate, (2, 1)) * side
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.hstack([np.array([[1, shear_x], [shear_y, 1]]) @ turn, shift])


def transformed(sample: Sample, matrix: npt.NDArray[np.float64], side: int) -> Sample:
    """What the matrix brings into side x side. A box becomes the bounds of its four corners, cut to what is seen."""
    of_centres = matrix.copy()  # OpenCV counts from the centre of the first pixel
    of_centres[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    picture = cv2.warpAffine(sample.picture, of_centres, (side, side), borderValue=(GREY, GREY, GREY))
    corners = sample.boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2) @ matrix[:, :2].T + matrix[:, 2]
    bounds = np.concatenate([corners.min(axis=1), corners.max(axis=1), sample.boxes[:, 4:]], axis=1)
    return visible(np.asarray(picture, np.uint8), bounds)


def mixup(sample: Sample, other: Sample, config: AugmentationConfig, random: Random) -> Sample:
    """Half of the sample and half of another, which is scaled, mirrored by chance and cut out, or laid upon grey, at
    random; the objects of both."""
    side = sample.picture.shape[0]
    other = _scaled(boxed(other, side), random.uniform(*config.mixup_scale))
    if random.random() < 0.5:
        other = mirrored(other)
    room = other.picture.shape[0] - side
    left, top = (int(random.integers(room + 1)) if room > 0 else 0 for _ in range(2))
    laid = np.full_like(sample.picture, GREY)
    _paste(other.picture, laid, -left, -top)
    second = visible(laid, _moved(other.boxes, -left, -top))
    half = cv2.addWeighted(sample.picture, 0.5, second.picture, 0.5, 0)
    return Sample(np.asarray(half, np.uint8), np.concatenate([sample.boxes, second.boxes]))


def mirrored(sample: Sample) -> Sample:
    """Left is right."""
    boxes = sample.boxes.copy()
    boxes[:, [0, 2]] = sample.picture.shape[1] - boxes[:, [2, 0]]
    return Sample(np.ascontiguousarray(sample.picture[:, ::-1]), boxes)


def recoloured(picture: RGB, config: AugmentationConfig, random: Random) -> RGB:
    """Hue, saturation and brightness moved, each in one of two samples. Hue goes round; the others end at 0 and 255."""
    most = np.array([config.hue, config.saturation, config.value])
    by = (random.uniform(-1, 1, 3) * most * random.integers(0, 2, 3)).astype(np.int16)
    if not by.any():
        return picture
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.int16) + by
    hsv[..., 0] %= 180
    return np.asarray(cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def visible(picture: RGB, boxes: LabelledBoxes) -> Sample:
    """The picture with what of the boxes lies in it, where that is larger than a pixel."""
    height, width = picture.shape[:2]
    cut = np.clip(boxes, [0, 0, 0, 0, -np.inf], [width, height, width, height, np.inf])
    return Sample(picture, cut[((cut[:, 2:4] - cut[:, :2]) > SMALLEST_SIDE).all(axis=1)])


def _scaled(sample: Sample, ratio: float) -> Sample:
    picture = scaled(sample.picture, ratio)
    x, y = (new / old for new, old in zip(picture.shape[1::-1], sample.picture.shape[1::-1], strict=True))
    return Sample(picture, sample.boxes * [x, y, x, y, 1])


def _moved(boxes: LabelledBoxes, right: float, down: float) -> LabelledBoxes:
    return boxes + np.array([right, down, right, down, 0.0])


def _paste(picture: RGB, onto: RGB, left: int, top: int) -> None:
    """Lay ``picture`` with its corner at left, top, as far as it fits."""
    x, y = max(left, 0), max(top, 0)
    right, bottom = min(left + picture.shape[1], onto.shape[1]), min(top + picture.shape[0], onto.shape[0])
    if x < right and y < bottom:
        onto[y:bottom, x:right] = picture[y - top : bottom - top, x - left : right - left]
