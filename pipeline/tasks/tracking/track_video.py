"""Track a video: one or several trackers follow the same object through the same frames."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from netx.errors import MonospikeError
from pipeline.core.boxes import Boxes
from pipeline.core.progress import Progress
from pipeline.datasets.annotations import moved, no_box
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB
from pipeline.datasets.video import Video
from pipeline.report.animation import Animation
from pipeline.tasks.tracking.crop import Box
from pipeline.tasks.tracking.metrics.one_pass import mean_overlap
from pipeline.tasks.tracking.predictions import Predictions, State
from pipeline.tasks.tracking.tracker import Tracker, check_box


def first_box(video: Video, given: Box | None) -> Box:
    """The box to start from: the one given, or the first true one. Raises DataError when there is neither.

    given: with pixels counted as the video's layout counts them (``Video.origin``).
    """
    if given is not None:
        return moved(given, -video.origin)
    if not video.annotated:
        raise DataError(
            f"{video.name}: there is no ground truth, or more than one; give --box x,y,width,height, or in place of "
            "the folder the path of the groundtruth_rect file that is meant"
        )
    return np.asarray(video.boxes[0])


def parsed_box(box: str | None) -> Box | None:
    """``x,y,width,height`` as numbers. Raises MonospikeError."""
    if box is None:
        return None
    try:
        values = np.array([float(word) for word in box.split(",")])
    except ValueError:
        values = np.empty(0)
    if values.shape != (4,):
        raise MonospikeError(f"--box {box!r}: expected x,y,width,height, such as 120,80,32,48")
    return values


def track_video(
    video: Video, box: Box, trackers: Mapping[str, Tracker], animation: Animation, progress: Progress
) -> tuple[dict[str, Predictions], bool]:
    """Run every tracker, by label, from ``box`` in the first frame, and add each frame with its boxes to ``animation``.

    Returns what all of them have followed, and whether that is the whole video: interrupted (Ctrl-C), it is what came
    before. Within the first frame there is nothing to return, and KeyboardInterrupt passes. Raises DataError when the
    box has no area or lies outside, FormatError when a frame cannot be had.
    """
    boxes: dict[str, list[Box]] = {label: [] for label in trackers}
    seconds: dict[str, list[float]] = {label: [] for label in trackers}
    done, whole = 0, False
    with progress.task(video.name, max(len(video), 1)) as task, suppress(KeyboardInterrupt):
        for number, frame in enumerate(video.frames()):
            if number == 0:
                where = f"sequence {video.name!r}, frame 0"
                check_box(box, frame.shape[1], frame.shape[0], where, video.origin)
            for label, tracker in trackers.items():
                found, taken = _answer(tracker, frame, box if number == 0 else None)
                boxes[label].append(found)
                seconds[label].append(taken)
            truth = {"truth": video.boxes[number]} if video.annotated else {}
            animation.add(frame, truth | {label: list_[-1] for label, list_ in boxes.items()})
            done = number + 1
            task.reach(done, _speed(number, sum(map(sum, seconds.values()))))
        whole = True
    if done == 0 and not whole:
        raise KeyboardInterrupt
    states = np.full(done, State.TRACKED, dtype=np.int64)
    return {
        label: Predictions(np.array(boxes[label][:done]), states, np.array(seconds[label][:done])) for label in trackers
    }, whole


def mean_iou(predictions: Predictions, truth: Boxes) -> float:
    """Mean IoU with the true boxes (frame, 4) of the frames after the first that have one; NaN of none.

    truth: of these frames at least.
    """
    shown = truth[: len(predictions)]
    return mean_overlap(predictions.boxes, shown, no_box(shown))


def _answer(tracker: Tracker, frame: RGB, start: Box | None) -> tuple[Box, float]:
    """The box in ``frame``, ``start`` where that is given, and the seconds that following took."""
    if start is not None:
        tracker.start(frame, start)
        return start, 0.0
    began = time.perf_counter()
    return tracker.follow(frame), time.perf_counter() - began


def _speed(frames: int, seconds: float) -> str:
    return f"{frames / seconds:.1f} frames/s" if seconds > 0 else ""
