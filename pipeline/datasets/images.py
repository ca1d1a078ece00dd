"""Picture files become RGB arrays, or an error that names the file; and those of a folder come in order."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from netx.errors import FormatError
from pipeline.datasets.errors import DataError

RGB: TypeAlias = npt.NDArray[np.uint8]
"""uint8, last axis red, green, blue."""

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Of picture files, in either case."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow's readers raise on files that are cut short or damaged."""

_ONE_PICTURE = ("JPEG", "MPO")
"""Formats whose further pictures are a camera's previews of the first."""


def read_frame(path: Path) -> RGB:
    """One frame of a video, as stored: shape (height, width, 3).

    Greyscale is repeated, transparency dropped, and of 16 bits the upper 8 are kept. Raises FormatError naming the
    file when it is missing, cut short, not a picture, one of floating point, or one that holds several.
    """
    return _read(Path(path), upright=False, longest=None)


def read_photograph(path: Path, longest: int | None = None) -> RGB:
    """``read_frame``, turned upright as its EXIF tag says and, where ``longest`` is given, shrunk so that no side is
    longer."""
    return _read(Path(path), upright=True, longest=longest)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels from a picture's header. Raises FormatError when the file is no picture."""
    with opened(path) as picture:
        return picture.size


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A picture file, of which Pillow has read no more than the header. Raises FormatError naming it, within the block
    too, when it is missing, no picture, damaged or cut short."""
    try:
        with Image.open(path) as picture:
            yield picture
    except FileNotFoundError:
        raise FormatError(f"{path}: there is no such picture") from None
    except _BROKEN as error:
        raise FormatError(f"{path}: cannot be read as a picture ({error})") from None


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder as frames of a video, in the order of their numbers: 2.png comes before 10.png.

    Hidden files are left out. Raises DataError when there are none, or when two are of the same number, so that the
    order is anyone's guess: 1.png beside 01.png or 1.jpg, or left_1.png beside right_1.png.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of pictures")
    pictures = in_order(
        file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )
    if not pictures:
        raise DataError(f"{folder}: holds no picture; these are looked for: {' '.join(SUFFIXES)}")
    named: dict[tuple[int | str, ...], Path] = {}
    for picture in pictures:
        numbers = tuple(part for part in _name_key(picture) if isinstance(part, int))
        other = named.setdefault(numbers or (picture.stem.casefold(),), picture)
        if other is not picture:
            what = f"frame {'-'.join(map(str, numbers))}" if numbers else "the same frame"
            raise DataError(f"{folder}: {other.name} and {picture.name} are both {what}; leave one of them")
    return pictures


def in_order(files: Iterable[Path]) -> list[Path]:
    """Files by name, in which numbers count as numbers whatever their width (natural order), and case does not."""
    return sorted(files, key=lambda file: (_name_key(file), file.name))


def _name_key(file: Path) -> list[int | str]:
    """Text and numbers of a name without its suffix, always in turn, so that any two can be compared."""
    parts = re.split(r"([0-9]+)", file.stem.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def _read(path: Path, upright: bool, longest: int | None) -> RGB:
    with opened(path) as picture:
        several = getattr(picture, "n_frames", 1)
        if several > 1 and picture.format not in _ONE_PICTURE:
            raise FormatError(f"{path}: holds {several} pictures; give each frame a file of its own")
        picture.load()
        shown = _eight_bit_rgb(picture, path)
        if upright:
            shown = ImageOps.exif_transpose(shown) or shown
        if longest is not None and max(shown.size) > longest:
            shown.thumbnail((longest, longest), Image.Resampling.BOX)
        return np.array(shown)


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
