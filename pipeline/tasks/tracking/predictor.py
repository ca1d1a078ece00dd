"""Following one target through a sequence, with any network that takes a template and scores searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.models.pixels import to_pixels
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.crop import (
    Box,
    Colour,
    Image,
    centre,
    context_side,
    crop,
    mean_colour,
    positions,
    to_crop,
)

Pixels = npt.NDArray[np.int8]


@dataclass(frozen=True)
class ScoreMap:
    """What a network says of one search crop, all float64.

    score: 0..1, (row, column). distances: left, top, right, bottom distance in crop pixels, (4, row, column).
    """

    score: npt.NDArray[np.float64]
    distances: npt.NDArray[np.float64]


class Scorer(Protocol):
    """A tracker's network."""

    def program(self, template: Pixels) -> None:
        """Take ``template``, (1, 3, side, side), as the target."""

    def score(self, search: Pixels) -> ScoreMap:
        """Score ``search``, (1, 3, side, side), against the target."""


@dataclass(frozen=True)
class Geometry:
    """Sides of the crops in pixels, pixels between score positions, and bits of an input pixel."""

    template: int
    search: int
    stride: int
    pixel_bits: int


def template_pixels(
    frame: Image, box: Box, geometry: Geometry, settings: TrackerConfig, border: Colour | None = None
) -> Pixels:
    """The template input that shows ``box`` of ``frame``. border: what lies outside the frame; its mean colour."""
    return _pixels(frame, box, geometry.template, geometry, settings, border)


def search_pixels(
    frame: Image, box: Box, geometry: Geometry, settings: TrackerConfig, border: Colour | None = None
) -> Pixels:
    """The search input around ``box`` of the frame before; border as above."""
    return _pixels(frame, box, geometry.search, geometry, settings, border)


def _pixels(
    frame: Image, box: Box, side: int, geometry: Geometry, settings: TrackerConfig, border: Colour | None
) -> Pixels:
    scale = geometry.template / context_side(box, settings.context)
    if settings.whole_pixels:  # crop.py of megvii-research/video_analyst, get_subwindow_tracking
        scale = (side - 1) / max(round(side / scale) - 1, 1)
    return to_pixels(crop(frame, centre(box), scale, side, border)[None], geometry.pixel_bits)


class Siamese:
    """A tracker of one target: a network, its crops, and the post-processing that turns score maps into boxes."""

    def __init__(self, scorer: Scorer, geometry: Geometry, settings: TrackerConfig) -> None:
        self._scorer, self._geometry, self._settings = scorer, geometry, settings
        self._box: Box | None = None
        self._border: Colour | None = None

    @property
    def exact(self) -> bool:
        """Whether all sums are of integers: those of real values depend on how many threads compute them."""
        return bool(getattr(self._scorer, "exact", False))

    def start(self, frame: Image, box: Box) -> None:
        """Take what ``box`` marks in ``frame``, (height, width, 3) RGB, as the target."""
        self._box = np.asarray(box, dtype=np.float64)
        if self._settings.border == "first":
            self._border = [int(mean) for mean in mean_colour(frame)]
        self._scorer.program(template_pixels(frame, self._box, self._geometry, self._settings, self._border))

    def step(self, frame: Image) -> Box:
        """The target's box in the next frame."""
        assert self._box is not None, "start() comes first"
        self._box = self.search(frame, self._box)
        return self._box

    def search(self, frame: Image, box: Box) -> Box:
        """The target's box in a frame, when it was ``box`` in the one before."""
        search = search_pixels(frame, box, self._geometry, self._settings, self._border)
        return _next_box(self._scorer.score(search), box, frame.shape, self._geometry, self._settings)


def track(
    scorer: Scorer,
    frames: Sequence[Image] | Image,
    first_box: Box,
    geometry: Geometry,
    settings: TrackerConfig,
    progress: Callable[[], None] = lambda: None,
) -> npt.NDArray[np.float64]:
    """Boxes (frame, 4) of the target that ``first_box`` marks in the first of ``frames``; the first box is that one."""
    tracker = Siamese(scorer, geometry, settings)
    tracker.start(frames[0], first_box)
    boxes = [np.asarray(first_box, dtype=np.float64)]
    progress()
    for frame in frames[1:]:
        boxes.append(tracker.step(frame))
        progress()
    return np.array(boxes)


def _next_box(result: ScoreMap, box: Box, shape: tuple[int, ...], geometry: Geometry, settings: TrackerConfig) -> Box:
    """SiamFC++'s post-processing (megvii-research/video_analyst, siamfcpp_track.py) with the constants given."""
    scale = geometry.template / context_side(box, settings.context)
    left, top, right, bottom = result.distances
    width, height = left + right, top + bottom
    previous = to_crop(box, centre(box), scale, geometry.search)
    size_change = _change(_padded_size(width, height) / _padded_size(previous[2], previous[3]))
    ratio_change = _change((width / height) / (previous[2] / previous[3]))
    penalty = np.exp(-(size_change * ratio_change - 1) * settings.penalty)
    rows, columns = result.score.shape
    window = np.outer(_cosine(rows, settings), _cosine(columns, settings))
    ranked = penalty * result.score * (1 - settings.window) + window * settings.window
    row, column = np.unravel_index(int(np.argmax(ranked)), ranked.shape)
    at = row, column
    x = positions(columns, geometry.stride, geometry.search)[column] + (right[at] - left[at]) / 2
    y = positions(rows, geometry.stride, geometry.search)[row] + (bottom[at] - top[at]) / 2
    middle = centre(box) + (np.array([x, y]) - geometry.search / 2) / scale
    rate = float(penalty[at] * result.score[at] * settings.size_rate)
    size = (1 - rate) * box[2:] + rate * np.array([width[at], height[at]]) / scale
    return _clipped(middle, size, shape, settings.smallest)


def _cosine(count: int, settings: TrackerConfig) -> npt.NDArray[np.float64]:
    """The window of one axis of the score map."""
    return np.hanning(count) if settings.zero_rim else np.hanning(count + 2)[1:-1]


def _clipped(
    middle: npt.NDArray[np.float64], size: npt.NDArray[np.float64], shape: tuple[int, ...], smallest: float
) -> Box:
    """A box whose middle lies in the frame and whose sides are at least ``smallest`` pixels and at most the frame's."""
    limits = np.array([shape[1], shape[0]], dtype=np.float64)
    size = np.clip(size, smallest, limits)
    return np.concatenate([np.clip(middle, 0, limits) - size / 2, size])


def _change(ratio: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(ratio, 1 / ratio)


def _padded_size(width: npt.ArrayLike, height: npt.ArrayLike) -> npt.NDArray[np.float64]:
    width, height = np.asarray(width), np.asarray(height)
    padding = (width + height) / 2
    return np.sqrt((width + padding) * (height + padding))
