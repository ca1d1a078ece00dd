"""Raster pictures of the report: the tracked sequences with their boxes, and spikes as tiles."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pipeline.report.drawing import FLOAT, INK, INTEGER, PAPER, TRUTH, gif, legend, outline
from pipeline.report.figures import TrackedSequence

_SPIKE = (0, 114, 178, 255)
_GRID = (128, 128, 128, 70)
_PANEL = 224
"""Height in pixels of one sequence in the animation and the film strip."""
_BAND, _LETTERS = 24, 15
_GIF_SEQUENCES, _GIF_FRAMES, _GIF_MILLISECONDS = 3, 60, 110
MAX_CHANNELS = 64
"""Channels of a layer that the spike picture shows."""


def tracking_gif(sequences: Sequence[TrackedSequence]) -> bytes:
    """Animation of the first three sequences side by side, with boxes and a legend; every sequence plays to its end."""
    shown = sequences[:_GIF_SEQUENCES]
    longest = max(len(sequence.frames) for sequence in shown)
    step = -(-longest // _GIF_FRAMES)
    pictures = [_side_by_side(shown, frame) for frame in range(0, longest, step)]
    return gif(pictures, _GIF_MILLISECONDS * step)


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
        outline(draw, boxes[frame] * scale, colour, line)
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
    picture = Image.new("RGB", (width, _PANEL + 2 * _BAND), PAPER)
    left = 0
    for panel in panels:
        picture.paste(panel, (left, 0))
        left += panel.width + gap
    legend(ImageDraw.Draw(picture), 4, _PANEL + _BAND + 2, ("truth", "float", "integer"), _LETTERS)
    return picture


def _panel(sequence: TrackedSequence, frame: int) -> Image.Image:
    picture = boxed_frame(sequence, frame)
    panel = Image.new("RGB", (picture.width, _PANEL + _BAND), PAPER)
    panel.paste(picture, (0, 0))
    text = f"frame {frame}, IoU {sequence.integer_iou[frame]:.2f}"
    ImageDraw.Draw(panel).text((4, _PANEL + 4), text, INK, ImageFont.load_default(_LETTERS))
    return panel
