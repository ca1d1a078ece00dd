"""The crops that a tracker makes on its way through a video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netx.errors import MonospikeError
from pipeline.datasets.video import Video
from pipeline.tasks.tracking.crop import Box
from pipeline.tasks.tracking.predictor import Pixels, ScoreMap, Scorer, Siamese
from pipeline.tasks.tracking.tracker import check_box


@dataclass(frozen=True, eq=False)
class TargetCrops:
    """One programming of the chip, and the frames that were searched with it.

    taken: number of the frame that the template is from. template: (1, 3, side, side). frames: numbers of those
    searched, all later. searches: a crop of each, (frame, 3, side, side). Pixels are as the tracking loop hands them to
    its network.
    """

    taken: int
    template: Pixels
    frames: tuple[int, ...]
    searches: Pixels


@dataclass(frozen=True)
class Selection:
    """Which frames are kept. most: frames to follow, None for all. every: one in so many is kept.
    reprogram: frames after which the target is taken anew, from the tracker's own box; None for never."""

    most: int | None = None
    every: int = 1
    reprogram: int | None = None


class _RecordingScorer:
    """A scorer that keeps the crops it is given."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.template: Pixels = np.empty(0, np.int8)
        self.search: Pixels = np.empty(0, np.int8)

    def program(self, template: Pixels) -> None:
        self.template = template
        self._scorer.program(template)

    def score(self, search: Pixels) -> ScoreMap:
        self.search = search
        return self._scorer.score(search)


def crops_of_sequence(
    tracker: Callable[[Scorer], Siamese],
    scorer: Scorer,
    video: Video,
    box: Box,
    selection: Selection,
    tick: Callable[[int], None],
) -> list[TargetCrops]:
    """Follow ``box`` through ``video`` and return what the network was given, one ``TargetCrops`` for each programming.

    tracker: makes the tracking loop around a scorer. tick: called with the frames done. Raises DataError for a bad box,
    FormatError for a frame that cannot be had, MonospikeError when there is no frame after the first.
    """
    recorder = _RecordingScorer(scorer)
    loop = tracker(recorder)
    targets: list[TargetCrops] = []
    kept: dict[int, Pixels] = {}
    taken = 0

    def finish() -> None:
        if kept:
            targets.append(TargetCrops(taken, recorder.template, tuple(kept), np.concatenate(list(kept.values()))))
        kept.clear()

    for number, frame in enumerate(video.frames()):
        if selection.most is not None and number > selection.most:
            break
        if number == 0:
            where = f"sequence {video.name!r}, frame 0"
            check_box(box, frame.shape[1], frame.shape[0], where, video.origin)
            loop.start(frame, box)
            continue
        box = loop.step(frame)
        if number % selection.every == 0:
            kept[number] = recorder.search
        if selection.reprogram is not None and number % selection.reprogram == 0:
            finish()
            loop.start(frame, box)
            taken = number
        tick(number)
    finish()
    if not targets:
        raise MonospikeError(f"{video.name}: no frame after the first is left to check; take more frames")
    return targets
