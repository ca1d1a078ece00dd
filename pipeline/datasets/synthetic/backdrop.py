"""The background of a clip: a window that pans over a photograph."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.datasets.images import RGB
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.datasets.synthetic.cutouts import recoloured
from pipeline.datasets.synthetic.motion import Course, travel, velocity_of
from pipeline.datasets.synthetic.sprites import smeared

ZOOM = (1.15, 2.6)
"""Size of the photograph over the least that covers the frame: how much room there is to pan, how near it looks."""

LARGEST = 6.0
"""Most of the enlarged photograph along either axis, in frames: of a long panorama only the middle is used."""


@dataclass(frozen=True)
class Backdrop:
    """A photograph and the course of the frame's window over it.

    canvas: uint8 RGB, no smaller than the frame.
    centre: of the window, x, y in pixels of the canvas with continuous edges, shape (frame, 2).
    smear: displacement of the picture while the shutter is open, shape (frame, 2).
    size: height and width of the window.
    """

    canvas: RGB
    centre: Course
    smear: Course
    size: tuple[int, int]

    def frame(self, t: int) -> RGB:
        """The background of frame ``t``, a fresh array of shape (height, width, 3)."""
        height, width = self.size
        x, y = self.centre[t] - 0.5
        window = cv2.getRectSubPix(self.canvas, (width, height), (float(x), float(y)))
        return smeared(np.asarray(window, np.uint8), self.smear[t], cv2.BORDER_REFLECT_101)


def backdrop(rng: np.random.Generator, picture: RGB, exposure: float, spec: CompositionSpec) -> Backdrop:
    """A background from a photograph of any size, enlarged where it is smaller than the frame, perhaps mirrored.

    exposure: time the shutter stays open, in frames.
    """
    frame = np.array([spec.width, spec.height])
    zoom = (frame / picture.shape[1::-1]).max() * np.exp(rng.uniform(*np.log(ZOOM)))
    picture = _middle(picture, np.ceil(LARGEST * frame / zoom).astype(int))
    original = np.array(picture.shape[1::-1])
    width, height = np.maximum(np.round(original * zoom).astype(int), frame)
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    canvas = np.asarray(cv2.resize(picture, (int(width), int(height)), interpolation=method), np.uint8)
    if rng.random() < 0.5:
        canvas = np.ascontiguousarray(canvas[:, ::-1])
    canvas = recoloured(rng, canvas, spec.recolour / 2)
    low = np.broadcast_to(frame / 2, (spec.frames, 2))
    high = np.broadcast_to(np.array([width, height]) - frame / 2, (spec.frames, 2))
    centre = travel(rng, low, high, speed=spec.pan * rng.random(), agility=0.0)
    return Backdrop(canvas, centre, velocity_of(centre) * exposure, (spec.height, spec.width))


def _middle(picture: RGB, largest: npt.NDArray[np.int_]) -> RGB:
    """The middle of a photograph, no larger than ``largest`` (width, height)."""
    height, width = picture.shape[:2]
    left, top = np.maximum((width, height) - largest, 0) // 2
    return picture[top : height - top, left : width - left]
