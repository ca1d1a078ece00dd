"""An animated GIF of frames with boxes on them, drawn while the frames come by."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.crop import Box
from pipeline.data.images import RGB
from pipeline.report.pictures import FLOAT, INTEGER, TRUTH, shared_palette

COLOURS = {"truth": TRUTH, "integer": INTEGER}
"""By label; every other label has the colour of ``float``."""

LARGEST = 320
"""Longer side of the pictures, in pixels."""

MOST_FRAMES = 120
"""Of longer footage every second, fourth, ... frame is kept, so that memory and file stay small."""

_BAND, _PAPER, _INK = 22, "#f4f4f2", "#16191d"
_MILLISECONDS = 40


class Animation:
    """Collects annotated frames."""

    def __init__(self) -> None:
        self._pictures: list[Image.Image] = []
        self._step, self._seen = 1, 0

    def add(self, frame: RGB, boxes: Mapping[str, Box]) -> None:
        """One frame, (height, width, 3), and the boxes x, y, width, height on it by label; one of NaN is left out."""
        number, self._seen = self._seen, self._seen + 1
        if number % self._step:
            return
        self._pictures.append(_annotated(frame, boxes, number))
        if len(self._pictures) > MOST_FRAMES:
            self._pictures = self._pictures[::2]
            self._step *= 2

    def gif(self) -> bytes:
        """The animation as a GIF file; at least one frame must have been added."""
        palette = shared_palette(self._pictures)
        pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self._pictures]
        file = io.BytesIO()
        pictures[0].save(
            file, "GIF", save_all=True, append_images=pictures[1:], duration=_MILLISECONDS * self._step, loop=0
        )
        return file.getvalue()


def _annotated(frame: RGB, boxes: Mapping[str, Box], number: int) -> Image.Image:
    height, width = frame.shape[:2]
    scale = min(LARGEST / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    shown = Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)
    picture = Image.new("RGB", (size[0], size[1] + _BAND), _PAPER)
    draw = ImageDraw.Draw(shown)
    # Widest first: where boxes lie on each other, each still shows beside the next.
    for line, (label, box) in zip((3, 2, 1), boxes.items(), strict=False):
        if np.isfinite(box).all() and (box[2:] >= 0).all():
            x, y, w, h = (float(value) * scale for value in box)
            half = line // 2
            draw.rectangle((x - half, y - half, x + w + half, y + h + half), None, COLOURS.get(label, FLOAT), line)
    picture.paste(shown, (0, 0))
    _legend(ImageDraw.Draw(picture), size[1], number, boxes)
    return picture


def _legend(draw: ImageDraw.ImageDraw, top: int, number: int, boxes: Mapping[str, Box]) -> None:
    font, left = ImageFont.load_default(12), 4.0
    draw.text((left, top + 4), str(number), _INK, font)
    left += 34
    for label in boxes:
        draw.rectangle((left, top + 6, left + 9, top + 15), COLOURS.get(label, FLOAT), _INK)
        draw.text((left + 13, top + 4), label, _INK, font)
        left += 22 + draw.textlength(label, font)
