"""Pixels as they enter a chip: signed integers of a few bits."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import Range

RGB: TypeAlias = npt.NDArray[np.uint8]


def pixel_range(bits: int) -> Range:
    """Range of the signed integers that ``to_pixels`` makes."""
    half = 1 << (bits - 1)
    return Range(-half, half - 1)


def to_pixels(pictures: RGB, bits: int) -> npt.NDArray[np.int8]:
    """Pictures (frame, height, width, 3) as the chip's input (frame, 3, height, width): the top ``bits`` bits, centred.

    Channels stay last in memory, which is how convolutions read them.
    """
    # What wraps below zero in 8 bits is the negative integer of the same bits.
    return ((pictures >> (8 - bits)) - np.uint8(1 << (bits - 1))).view(np.int8).transpose(0, 3, 1, 2)


def from_pixels(pixels: npt.NDArray[np.int8], bits: int) -> RGB:
    """One input of the chip (3, height, width) as a picture (height, width, 3)."""
    levels = (pixels.astype(np.int16) + (1 << (bits - 1))) << (8 - bits)
    return np.ascontiguousarray(levels.transpose(1, 2, 0)).astype(np.uint8)


def signed_pixels(pictures: Tensor, bits: int) -> Tensor:
    """The same of a tensor (frame, 3, height, width), 0..255, whole numbers of any type: float32."""
    return (pictures.to(torch.uint8) >> (8 - bits)).float() + pixel_range(bits).low
