"""A picture with the objects that were found in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pipeline.core.boxes import Boxes
from pipeline.datasets.images import RGB
from pipeline.report.drawing import PAPER, font, outline

COLOURS = ("#e66b00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#cc79a7", "#ffffff")
"""Of the classes by index, and again from the first on, after Okabe and Ito (Color universal design, 2008)."""

_INK = "#000000"


def with_objects(
    frame: RGB, boxes: Boxes, classes: Sequence[int], texts: Sequence[str], longest: int | None = None
) -> Image.Image:
    """``frame``, RGB uint8 (height, width, 3), with boxes (object, 4), x1, y1, x2, y2, in their classes' colours and a
    text at each. longest: a side to which larger pictures are shrunk."""
    scale = 1.0 if longest is None else min(longest / max(frame.shape[:2]), 1.0)
    size = max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1)
    picture = Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR) if scale < 1 else Image.fromarray(frame)
    draw, line = ImageDraw.Draw(picture), max(round(min(size) / 250), 1)
    letters = font(min(max(round(min(size) / 30), 10), 32))
    for (x1, y1, x2, y2), index, text in zip(boxes * scale, classes, texts, strict=True):
        colour = COLOURS[index % len(COLOURS)]
        outline(draw, np.array([x1, y1, x2 - x1, y2 - y1]), colour, line)
        left, top, right, bottom = draw.textbbox((x1, y1), text, letters, anchor="lb")
        below = max(-top, 0.0)  # no text above the picture
        draw.rectangle((left - 1, top + below - 1, right + 1, bottom + below + 1), colour, PAPER)
        draw.text((x1, y1 + below), text, _INK, letters, anchor="lb")
    return picture
