"""A tracker runs over a video: in one pass, frame by frame alone, or started again after each failure as VOT does."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from pipeline.datasets.video import Video
from pipeline.datasets.vot import corners_of
from pipeline.tasks.tracking.crop import Box, Image
from pipeline.tasks.tracking.metrics.vot import SKIPPED_FRAMES, polygon_overlap
from pipeline.tasks.tracking.predictions import Predictions, State
from pipeline.tasks.tracking.tracker import Tracker, check_box

Tick = Callable[[int, float], None]
"""Called after each frame with its number and the seconds the tracker has taken so far."""


def no_tick(_: int, __: float) -> None:
    """Tells nobody."""


def one_pass(tracker: Tracker, video: Video, tick: Tick = no_tick) -> Predictions:
    """Started on the first true box, then never helped; or told at each frame where to search, where the video has
    boxes to search around. The first box of the run is the true one.

    Raises DataError, naming sequence and frame, when there is no such box, it has no area or lies outside the frame, or
    a frame cannot be had; MonospikeError when the tracker cannot be told where to search.
    """
    recorder = _Recorder(tracker, video, tick)
    answer = recorder.step if video.near is None else recorder.search
    for frame, picture in enumerate(video.frames()):
        if frame == 0:
            recorder.start(frame, picture)
            recorder.record(frame, State.TRACKED, video.boxes[0])
        else:
            recorder.record(frame, State.TRACKED, answer(frame, picture))
    return recorder.run()


def supervised(tracker: Tracker, video: Video, tick: Tick = no_tick) -> Predictions:
    """Started on the first true box, and again five frames after each failure: a box that does not overlap the true
    polygon in the picture. Raises DataError as ``one_pass`` does.

    Sources: got10k 0.1.3, experiments/vot.py run_supervised; STVIR/pysot, tools/test.py.
    """
    assert video.polygons is not None, "the supervised protocol needs VOT's polygons"
    recorder, start = _Recorder(tracker, video, tick), 0
    for frame, picture in enumerate(video.frames()):
        if frame < start:
            recorder.record(frame, State.SKIPPED)
        elif frame == start:
            recorder.start(frame, picture)
            recorder.record(frame, State.STARTED)
        else:
            box = recorder.step(frame, picture)
            bound = picture.shape[1], picture.shape[0]
            if polygon_overlap(corners_of(box[None])[0], video.polygons[frame], bound) > 0:
                recorder.record(frame, State.TRACKED, box)
            else:
                recorder.record(frame, State.FAILED)
                start = frame + SKIPPED_FRAMES
    return recorder.run()


class _Recorder:
    """Writes down what the tracker does and how long it takes."""

    def __init__(self, tracker: Tracker, video: Video, tick: Tick) -> None:
        self._tracker, self._video, self._tick = tracker, video, tick
        self._states = np.zeros(len(video), dtype=np.int64)
        self._boxes, self._seconds = np.full((len(video), 4), np.nan), np.full(len(video), np.nan)
        self._total = 0.0

    def start(self, frame: int, picture: Image) -> None:
        where = f"sequence {self._video.name!r}, frame {frame}"
        check_box(self._video.boxes[frame], picture.shape[1], picture.shape[0], where, self._video.origin)
        began = time.perf_counter()
        self._tracker.start(picture, self._video.boxes[frame])
        self._took(frame, time.perf_counter() - began)

    def step(self, frame: int, picture: Image) -> Box:
        return self._timed(frame, lambda: self._tracker.step(picture))

    def search(self, frame: int, picture: Image) -> Box:
        assert self._video.near is not None
        near = self._video.near[frame]
        return self._timed(frame, lambda: self._tracker.search(picture, near))

    def record(self, frame: int, state: State, box: Box | None = None) -> None:
        self._states[frame] = state
        if box is not None:
            self._boxes[frame] = box
        self._tick(frame, self._total)

    def run(self) -> Predictions:
        return Predictions(self._boxes, self._states, self._seconds)

    def _timed(self, frame: int, answer: Callable[[], Box]) -> Box:
        began = time.perf_counter()
        box = answer()
        self._took(frame, time.perf_counter() - began)
        return box

    def _took(self, frame: int, seconds: float) -> None:
        self._seconds[frame] = seconds
        self._total += seconds
