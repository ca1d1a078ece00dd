"""An animated GIF of frames with boxes on them, drawn while the frames come by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from pipeline.datasets.images import RGB
from pipeline.report.drawing import INK, PAPER, colour_of, font, gif, legend, outline

LARGEST = 320
"""Longer side of the pictures, in pixels."""

MOST_FRAMES = 120
"""Of longer footage every second, fourth, ... frame is kept, so that memory and file stay small."""

_BAND, _LETTERS = 22, 12
_MILLISECONDS = 40


class Animation:
    """Collects annotated frames."""

    def __init__(self) -> None:
        self._pictures: list[Image.Image] = []
        self._step, self._seen = 1, 0

    def add(self, frame: RGB, boxes: Mapping[str, npt.NDArray[np.float64]]) -> None:
        """One frame, (height, width, 3), and the boxes x, y, width, height on it by label; one of NaN is left out."""
        self.add_drawn(lambda number: _annotated(frame, boxes, number))

    def add_drawn(self, draw: Callable[[int], Image.Image]) -> None:
        """One frame that ``draw`` makes of its number; it is not asked for frames that are left out."""
        number, self._seen = self._seen, self._seen + 1
        if number % self._step:
            return
        self._pictures.append(draw(number))
        if len(self._pictures) > MOST_FRAMES:
            self._pictures = self._pictures[::2]
            self._step *= 2

    def gif(self) -> bytes:
        """The animation as a GIF file; at least one frame must have been added."""
        return gif(self._pictures, _MILLISECONDS * self._step)


def _annotated(frame: RGB, boxes: Mapping[str, npt.NDArray[np.float64]], number: int) -> Image.Image:
    height, width = frame.shape[:2]
    scale = min(LARGEST / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    shown = Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)
    picture = Image.new("RGB", (size[0], size[1] + _BAND), PAPER)
    draw = ImageDraw.Draw(shown)
    # Widest first: where boxes lie on each other, each still shows beside the next.
    for line, (label, box) in zip((3, 2, 1), boxes.items(), strict=False):
        outline(draw, box * scale, colour_of(label), line)
    picture.paste(shown, (0, 0))
    band = ImageDraw.Draw(picture)
    band.text((4, size[1] + 4), str(number), INK, font(_LETTERS))
    legend(band, 38, size[1] + 4, boxes, _LETTERS)
    return picture
