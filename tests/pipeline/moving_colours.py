"""A segmenter for tests that does follow: objects are of colours of their own, which its first mask shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import LabelMask, objects_in, write_labels

HEIGHT, WIDTH = 48, 64
COLOURS = {0: (20, 20, 20), 1: (220, 40, 40), 2: (40, 200, 60)}


class Colours:
    """Each pixel is of the object, or the background, whose mean colour in the first frame it is nearest to."""

    most_objects: int | None = None

    def __init__(self) -> None:
        self.steps = self.starts = 0
        self._labels = np.empty(0, np.uint8)
        self._means = np.empty((0, 3))

    def start(self, frame: RGB, mask: LabelMask) -> None:
        self.starts += 1
        self._labels = np.array([0, *objects_in(mask)], np.uint8)
        self._means = np.stack([frame[mask == label].mean(axis=0) for label in self._labels])

    def step(self, frame: RGB) -> LabelMask:
        self.steps += 1
        distances = ((frame[:, :, None].astype(float) - self._means) ** 2).sum(axis=3)
        return self._labels[distances.argmin(axis=2)]


def scene(t: int, second_from: int = 0, frames: int = 6) -> tuple[RGB, LabelMask]:
    """Frame and mask: object 1 moves right, object 2 below it left, which is there from a frame on."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:20, 4 * t : 4 * t + 20] = 1
    if t >= second_from:
        mask[25:45, 4 * (frames - t) : 4 * (frames - t) + 15] = 2
    return np.array([COLOURS[label] for label in range(3)], np.uint8)[mask], mask


def write_scene(folder: Path, frames: int = 6, second_from: int = 0) -> Path:
    """A sequence as a folder of img/ and mask/."""
    for t in range(frames):
        frame, mask = scene(t, second_from, frames)
        (folder / "img").mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame).save(folder / "img" / f"{t + 1:04}.png")
        write_labels(folder / "mask" / f"{t + 1:04}.png", mask)
    return folder
