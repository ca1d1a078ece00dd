"""Boxes, their legend, and animations: what the report and followed footage draw alike."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

TRUTH, FLOAT, INTEGER = "#ffffff", "#56b4e9", "#e66b00"
"""Box colours, after Okabe and Ito (Color universal design, 2008): told apart by colour-blind readers too."""

INK, PAPER = "#16191d", "#f4f4f2"
_PALETTE_SIZE = 128
_SPARSE, _SAMPLED = 3, 1 << 17
"""A palette is reckoned from one pixel in three, both ways, and at most so many. From all of them it takes ten times as
long, for a tenth of a decibel."""


def colour_of(label: str) -> str:
    """The colour of what is called ``label``; all that is not the truth or integers has that of ``float``."""
    return {"truth": TRUTH, "integer": INTEGER}.get(label, FLOAT)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Letters of ``size`` pixels, unpacked once."""
    return ImageFont.load_default(size)


def outline(draw: ImageDraw.ImageDraw, box: npt.NDArray[np.float64], colour: str, line: int) -> None:
    """``line`` pixels of colour, centred on the outline of ``box`` (x, y, width, height); nothing where it is NaN."""
    if not np.isfinite(box).all() or (box[2:] < 0).any():
        return
    left, top, width, height = (float(value) for value in box)
    half = line // 2
    draw.rectangle((left - half, top - half, left + width + half, top + height + half), None, colour, line)


def legend(draw: ImageDraw.ImageDraw, left: float, top: int, labels: Iterable[str], size: int) -> None:
    """Names of ``labels`` beside their colours, in letters of ``size`` pixels."""
    letters, side = font(size), round(0.75 * size)
    for label in labels:
        draw.rectangle((left, top + 2, left + side, top + 2 + side), colour_of(label), INK)
        draw.text((left + side + 4, top), label, INK, letters)
        left += side + 13 + draw.textlength(label, letters)


def gif(pictures: Sequence[Image.Image], milliseconds: int) -> bytes:
    """An endless animation with one palette: boxes and text keep their colours, and the background does not flicker."""
    first, *others = _reduced(pictures)
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=False)
    return file.getvalue()


def _reduced(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """``pictures`` with one palette, among whose colours are those of boxes and text."""
    own = [value for name in (TRUTH, FLOAT, INTEGER, INK, PAPER) for value in bytes.fromhex(name[1:])]
    counted = Image.fromarray(_sample(pictures)[None]).quantize(_PALETTE_SIZE - len(own) // 3).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette((own + counted)[: 3 * _PALETTE_SIZE])
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def _sample(pictures: Sequence[Image.Image]) -> npt.NDArray[np.uint8]:
    """Pixels (pixel, 3) of some of the pictures, on a grid."""
    chosen = pictures[::4]
    whole = sum(picture.width * picture.height for picture in chosen)
    step = max(_SPARSE, math.ceil(math.sqrt(whole / _SAMPLED)))
    return np.concatenate([np.asarray(picture)[::step, ::step].reshape(-1, 3) for picture in chosen])
