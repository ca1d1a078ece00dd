"""One or several trackers follow the same object through the same footage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.animation import Animation
from pipeline.benchmarks import Boxes
from pipeline.crop import Box
from pipeline.data import DataError
from pipeline.evaluation.one_pass import mean_overlap
from pipeline.footage import Footage
from pipeline.progress import Progress
from pipeline.trackers import Tracker, check_box


@dataclass(frozen=True, eq=False)
class Followed:
    """Where a tracker saw the object. boxes: (frame, 4), the first as given. seconds: taken for the frames after it."""

    boxes: Boxes
    seconds: float

    @property
    def frames_per_second(self) -> float:
        """NaN where there was one frame only."""
        return (len(self.boxes) - 1) / self.seconds if self.seconds > 0 else float("nan")

    def mean_overlap(self, truth: Boxes) -> float:
        """Mean IoU with the true boxes (frame, 4) of the frames after the first that have one; NaN of none."""
        return mean_overlap(self.boxes, truth, np.isnan(truth).any(axis=1))


def first_box(footage: Footage, given: Box | None) -> Box:
    """The box to start from: the one given, or the first true one. Raises DataError when there is neither."""
    if given is not None:
        return given
    if footage.truth is None:
        raise DataError(
            f"{footage.name}: there is no ground truth, or more than one; give --box x,y,width,height, or in place of "
            "the folder the path of the groundtruth_rect file that is meant"
        )
    return footage.truth[0]


def follow(
    footage: Footage, box: Box, trackers: Mapping[str, Tracker], animation: Animation, progress: Progress
) -> dict[str, Followed]:
    """Run every tracker, by label, from ``box`` in the first frame, and add each frame with its boxes to ``animation``.

    Raises DataError when the box has no area or lies outside, FormatError when a frame cannot be had.
    """
    boxes: dict[str, list[Box]] = {label: [] for label in trackers}
    seconds = dict.fromkeys(trackers, 0.0)
    with progress.task(footage.name, max(footage.length, 1)) as task:
        for number, frame in enumerate(footage.frames()):
            if number == 0:
                check_box(box, frame.shape[1], frame.shape[0], f"sequence {footage.name!r}, frame 0")
            for label, tracker in trackers.items():
                began = time.perf_counter()
                if number == 0:
                    tracker.start(frame, box)
                    boxes[label].append(box)
                else:
                    boxes[label].append(tracker.follow(frame))
                    seconds[label] += time.perf_counter() - began
            truth = {} if footage.truth is None else {"truth": footage.truth[number]}
            animation.add(frame, truth | {label: list_[-1] for label, list_ in boxes.items()})
            task.reach(number + 1, _speed(number, sum(seconds.values())))
    return {label: Followed(np.array(boxes[label]), seconds[label]) for label in trackers}


def _speed(frames: int, seconds: float) -> str:
    return f"{frames / seconds:.1f} frames/s" if seconds > 0 else ""
