"""Light and camera: how a frame's brightness, tint and noise come about."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.datasets.images import RGB
from pipeline.datasets.synthetic.motion import wander

_SPARE = 48
"""Pixels by which the table of noise is larger than a frame; each frame takes it from another corner."""


def light_tables(rng: np.random.Generator, frames: int, strength: float) -> RGB:
    """A lookup table for each frame and channel, uint8, shape (frame, 256, 3): a wandering gain, bias, gamma and tint.

    At strength 1 gain is within 1/2..2, bias within +-40, gamma within 1/1.6..1.6 and each channel's tint within
    1/1.25..1.25; at strength 0 the tables change nothing.
    """

    def course(bound: float) -> npt.NDArray[np.float64]:
        return (wander(rng, frames) * strength * bound)[:, None, None]

    tint = np.concatenate([course(np.log(1.25)) for _ in range(3)], axis=2)
    gain, gamma, bias = np.exp(course(np.log(2.0)) + tint), np.exp(course(np.log(1.6))), course(40.0)
    level = np.arange(256)[None, :, None] / 255
    return np.clip(np.rint(255 * gain * level**gamma + bias), 0, 255).astype(np.uint8)


class SensorNoise:
    """Gaussian noise for frames of one size, drawn once as a table larger than a frame and cut anew for each frame."""

    def __init__(self, rng: np.random.Generator, height: int, width: int, sigma: float) -> None:
        """``sigma``: standard deviation in 0..255."""
        self._rng = rng
        table = rng.standard_normal((height + _SPARE, width + _SPARE, 3), dtype=np.float32) * np.float32(sigma)
        self._table = np.rint(table).astype(np.int16)
        self._size = height, width

    def added(self, frame: RGB) -> RGB:
        """A noisy copy of ``frame``."""
        top, left = self._rng.integers(0, _SPARE, size=2)
        cut = self._table[top : top + self._size[0], left : left + self._size[1]]
        return np.asarray(cv2.add(frame.astype(np.int16), cut, dtype=cv2.CV_8U), np.uint8)
