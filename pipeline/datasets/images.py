"""Picture files become RGB arrays, or an error that names the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from netx.errors import FormatError

RGB: TypeAlias = npt.NDArray[np.uint8]
"""uint8, last axis red, green, blue."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow's readers raise on files that are cut short or damaged."""


def read_frame(path: Path) -> RGB:
    """One frame of a video, as stored: shape (height, width, 3).

    Greyscale is repeated, transparency dropped, and of 16 bits the upper 8 are kept. Raises FormatError naming the
    file when it is missing, cut short, not a picture, or one of floating point.
    """
    return _read(Path(path), upright=False, longest=None)


def read_photograph(path: Path, longest: int | None = None) -> RGB:
    """``read_frame``, turned upright as its EXIF tag says and, where ``longest`` is given, shrunk so that no side is
    longer."""
    return _read(Path(path), upright=True, longest=longest)


def _read(path: Path, upright: bool, longest: int | None) -> RGB:
    try:
        with Image.open(path) as picture:
            picture.load()
            picture = _eight_bit_rgb(picture, path)
            if upright:
                picture = ImageOps.exif_transpose(picture)
            if longest is not None and max(picture.size) > longest:
                picture.thumbnail((longest, longest), Image.Resampling.BOX)
            return np.array(picture)
    except FileNotFoundError:
        raise FormatError(f"{path}: there is no such picture") from None
    except _BROKEN as error:
        raise FormatError(f"{path}: cannot be read as a picture ({error})") from None


def _eight_bit_rgb(picture: Image.Image, path: Path) -> Image.Image:
    if picture.mode == "F":
        raise FormatError(f"{path}: has floating-point pixels, whose range is unknown; save it with 8 bits a channel")
    if picture.mode.startswith("I"):
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise FormatError(f"{path}: has more than 16 bits a pixel; save it with 8 bits a channel")
        eight_bit = Image.fromarray((values >> 8).astype(np.uint8))
        eight_bit.info = picture.info
        picture = eight_bit
    return picture.convert("RGB")
