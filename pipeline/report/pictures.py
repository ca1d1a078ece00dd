"""Raster pictures of a page: spikes as tiles, and pictures as what stands in the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_SPIKE = (0, 114, 178, 255)
_GRID = (128, 128, 128, 70)
MAX_CHANNELS = 64
"""Channels of a layer that the spike picture shows."""
_QUALITY, _EFFORT = 75, 0
"""Of WebP, to 100 and to 6: at 75 lines of two pixels keep their colours; all effort takes three times as long
for 9 %."""


def spike_tiles(spikes: npt.NDArray[np.uint8]) -> Image.Image:
    """Spikes of one layer (channel, height, width): one tile a channel, blue where a neuron spikes, else transparent.

    The tiles form a grid about as wide as high; channels after the first MAX_CHANNELS are left out.
    """
    shown = spikes[:MAX_CHANNELS]
    channels, height, width = shown.shape
    columns = min(channels, max(1, round(float(np.sqrt(2 * channels * height / width)))))
    rows = -(-channels // columns)
    pixels = np.zeros((rows * (height + 1) + 1, columns * (width + 1) + 1, 4), np.uint8)
    pixels[:: height + 1], pixels[:, :: width + 1] = _GRID, _GRID
    for channel, tile in enumerate(shown):
        row, column = divmod(channel, columns)
        top, left = row * (height + 1) + 1, column * (width + 1) + 1
        pixels[top : top + height, left : left + width][tile != 0] = _SPIKE
    return Image.fromarray(pixels)


def png(picture: Image.Image) -> bytes:
    """``picture`` as a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def photograph(pictures: Sequence[Image.Image], milliseconds: int = 0) -> str:
    """The address of a picture, or of an endless animation of several, each shown for so long: WebP with losses, a
    third of what a GIF or PNG of 224 colours takes, and closer to the colours that there were."""
    file, (first, *others) = io.BytesIO(), pictures
    more: Any = {"save_all": True, "append_images": others, "duration": milliseconds, "loop": 0} if others else {}
    first.save(file, "WEBP", quality=_QUALITY, method=_EFFORT, **more)
    return uri(file.getvalue(), "webp")


def uri(content: bytes, kind: str) -> str:
    """A picture file as an address that holds it. kind: png or webp."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
