"""Raster pictures of the report: the tracked sequences with their boxes, and spikes as tiles."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pipeline.report.figures import TrackedSequence

TRUTH, FLOAT, INTEGER = "#ffffff", "#56b4e9", "#e66b00"
"""Box colours, after Okabe and Ito (Color universal design, 2008): told apart by colour-blind readers too."""

_INK, _PAPER = "#16191d", "#f4f4f2"
_SPIKE = (0, 114, 178, 255)
_GRID = (128, 128, 128, 70)
_PANEL = 224
"""Height in pixels of one sequence in the animation and the film strip."""
_BAND = 24
_GIF_SEQUENCES, _GIF_FRAMES, _GIF_MILLISECONDS = 3, 60, 110
_PALETTE_SIZE = 128
MAX_CHANNELS = 64
"""Channels of a layer that the spike picture shows."""


def tracking_gif(sequences: Sequence[TrackedSequence]) -> bytes:
    """Animation of the first three sequences side by side, with boxes and a legend; every sequence plays to its end."""
    shown = sequences[:_GIF_SEQUENCES]
    longest = max(len(sequence.frames) for sequence in shown)
    step = -(-longest // _GIF_FRAMES)
    pictures = [_side_by_side(shown, frame) for frame in range(0, longest, step)]
    palette = shared_palette(pictures)
    indexed = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    file = io.BytesIO()
    indexed[0].save(
        file, "GIF", save_all=True, append_images=indexed[1:], duration=_GIF_MILLISECONDS * step, loop=0, optimize=False
    )
    return file.getvalue()


def boxed_frame(sequence: TrackedSequence, frame: int) -> Image.Image:
    """One frame, enlarged or reduced to a common height, with the true, float and integer boxes."""
    height, width = sequence.frames.shape[1:3]
    scale = _PANEL / height
    picture = Image.fromarray(sequence.frames[frame]).resize((round(width * scale), _PANEL), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    # Widest first: where boxes lie on each other, each still shows beside the next.
    for boxes, colour, line in (
        (sequence.truth, TRUTH, 6),
        (sequence.float_boxes, FLOAT, 4),
        (sequence.integer_boxes, INTEGER, 2),
    ):
        _box(draw, boxes[frame] * scale, colour, line)
    return picture


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


def _side_by_side(sequences: Sequence[TrackedSequence], frame: int) -> Image.Image:
    panels = [_panel(sequence, min(frame, len(sequence.frames) - 1)) for sequence in sequences]
    gap = 4
    width = sum(panel.width for panel in panels) + gap * (len(panels) - 1)
    picture = Image.new("RGB", (width, _PANEL + 2 * _BAND), _PAPER)
    left = 0
    for panel in panels:
        picture.paste(panel, (left, 0))
        left += panel.width + gap
    _legend(picture, _PANEL + _BAND)
    return picture


def _panel(sequence: TrackedSequence, frame: int) -> Image.Image:
    picture = boxed_frame(sequence, frame)
    panel = Image.new("RGB", (picture.width, _PANEL + _BAND), _PAPER)
    panel.paste(picture, (0, 0))
    text = f"frame {frame}, IoU {sequence.integer_iou[frame]:.2f}"
    ImageDraw.Draw(panel).text((4, _PANEL + 4), text, _INK, ImageFont.load_default(15))
    return panel


def _legend(picture: Image.Image, top: int) -> None:
    draw, left, font = ImageDraw.Draw(picture), 4, ImageFont.load_default(15)
    for name, colour in (("truth", TRUTH), ("float", FLOAT), ("integer", INTEGER)):
        draw.rectangle((left, top + 4, left + 12, top + 15), colour, _INK)
        draw.text((left + 17, top + 3), name, _INK, font)
        left += 26 + round(draw.textlength(name, font))


def _box(draw: ImageDraw.ImageDraw, box: npt.NDArray[np.float64], colour: str, line: int) -> None:
    """``line`` pixels of colour, centred on the outline of ``box`` (left, top, width, height)."""
    left, top, width, height = (float(value) for value in box)
    if width < 0 or height < 0:
        return
    half = line // 2
    draw.rectangle((left - half, top - half, left + width + half, top + height + half), None, colour, line)


def shared_palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """One palette for the whole animation: boxes and text keep their colours, and the background does not flicker."""
    own = [colour for name in (TRUTH, FLOAT, INTEGER, _INK, _PAPER) for colour in bytes.fromhex(name[1:])]
    sample = np.concatenate([np.asarray(picture)[::2, ::2].reshape(-1, 3) for picture in pictures[::4]])
    counted = Image.fromarray(sample[None]).quantize(_PALETTE_SIZE - len(own) // 3).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette((own + counted)[: 3 * _PALETTE_SIZE])
    return palette
