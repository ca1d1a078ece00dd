"""Label masks: which object each pixel of a frame belongs to, and the palette PNGs that hold them.

A mask is uint8 (height, width): 0 for background, an object's number from 1 on, and ``VOID`` for pixels of which nobody
says what they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from netx.errors import FormatError, MonospikeError
from netx.files import write_whole
from pipeline.datasets.images import opened

LabelMask: TypeAlias = npt.NDArray[np.uint8]

VOID = 255
"""The label of pixels that are neither background nor of any object."""

_INDEXED = ("P", "L", "1")
"""Pillow's modes of one number a pixel of at most 8 bits."""

_WHY = {
    "I;16": "has 16 bits a pixel",
    "I;16B": "has 16 bits a pixel",
    "I": "has 32 bits a pixel",
    "F": "has floating-point pixels",
    "LA": "has transparency",
    "PA": "has transparency",
}
"""What is wrong with a mask of another mode; others have several channels."""


def read_labels(path: Path) -> LabelMask:
    """The numbers in a mask's file as they are stored, uint8 (height, width): of a palette PNG the indices, of a grey
    one the values, of one of 1 bit 0 and 1.

    Raises FormatError naming the file when it is missing, damaged, or has several channels or more than 8 bits a pixel:
    which of its colours were which object is not known.
    """
    with opened(path) as picture:
        if picture.mode not in _INDEXED:
            why = _WHY.get(picture.mode, f"has {len(picture.getbands())} channels ({picture.mode})")
            raise FormatError(f"{path}: {why}; a mask holds an object's number a pixel: save it as a PNG of 8 bits")
        return np.array(picture).astype(np.uint8)


def write_labels(path: Path, mask: LabelMask) -> None:
    """Write a mask as a palette PNG; the file appears whole or not at all. ``read_labels`` gives the same mask back.

    The palette has all 256 colours: from a shorter one Pillow takes 1, 2 or 4 bits a pixel, and 255 becomes 3.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise MonospikeError(f"{path}: a mask is uint8 (height, width), got {mask.dtype} of shape {mask.shape}")
    picture = Image.fromarray(mask, mode="L")
    picture.putpalette(PALETTE.ravel().tolist())
    with write_whole(path) as temporary:
        picture.save(temporary, format="PNG")


def objects_in(mask: LabelMask) -> tuple[int, ...]:
    """Numbers of the objects that a mask shows, ascending."""
    present = np.bincount(mask.ravel(), minlength=256) > 0
    present[[0, VOID]] = False
    return tuple(np.flatnonzero(present).tolist())


def _palette() -> npt.NDArray[np.uint8]:
    """Pascal VOC's colours, which DAVIS has too: bits 0, 3, 6 of a label are the highest of red, 1, 4, 7 of green,
    2, 5 of blue, and so on (VOC2012 development kit, VOClabelcolormap.m)."""
    labels = np.arange(256)
    colours = np.zeros((256, 3), np.int64)
    for level in range(8):
        for channel in range(3):
            bit = 3 * level + channel
            colours[:, channel] |= ((labels >> bit) & 1) << (7 - level)
    return colours.astype(np.uint8)


PALETTE = _palette()
"""Colours of the labels, uint8 (256, 3)."""
