"""Single-frame evaluation: no error of a tracker reaches the next frame. Ours.

A tracker takes its template from one frame and searches others for it, each around a box near the true one, where it
would have believed the target to be. What is measured is a network's answer to one frame, apart from what becomes of
its errors when they are followed.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as ManyOf
from dataclasses import replace

import numpy as np

from pipeline.core.boxes import Boxes
from pipeline.datasets.annotations import has_box
from pipeline.datasets.video import Annotations, Video
from pipeline.tasks.tracking.metrics.multi_start import from_several_starts

SHIFT = 1.0
"""How far a box may lie from the true one along each axis, in sizes of the target (the root of its area)."""
RESIZED = 0.25
"""Largest |log| of what its sides are multiplied by."""


def single_frames(videos: ManyOf[Video], starts: int, searched: int) -> list[Video]:
    """From each of ``starts`` starts of a sequence a run of that first frame and then ``searched`` others.

    These are spread evenly over all in which the object has a box and is not flagged as absent, before the start and
    after it; where there are fewer, some come again. The boxes to search around (``Video.near``) are drawn at random,
    for a run of that name always the same ones.
    """
    return [
        Video(start.name, start.folder, _reader(start, whole, searched))
        for whole in videos
        for start in (from_several_starts([whole], starts) if starts > 1 else [whole])
    ]


def _reader(start: Video, whole: Video, searched: int) -> Callable[[], Annotations]:
    def read() -> Annotations:
        fit = np.flatnonzero(has_box(whole.boxes) & ~whole.absent)
        at = fit[np.linspace(0, len(fit) - 1, searched).round().astype(int)] if len(fit) else fit
        first = whole.pictures.index(start.pictures[0])
        run = whole.annotations.part([first, *at.tolist()])
        return replace(run, near=_near(run.boxes, start.name))

    return read


def _near(boxes: Boxes, name: str) -> Boxes:
    random = np.random.default_rng([*name.encode()])
    sizes = boxes[:, 2:] * np.exp(random.uniform(-RESIZED, RESIZED, (len(boxes), 1)))
    target = np.sqrt(boxes[:, 2:].prod(axis=1, keepdims=True))
    middles = boxes[:, :2] + boxes[:, 2:] / 2 + random.uniform(-SHIFT, SHIFT, (len(boxes), 2)) * target
    return np.concatenate([middles - sizes / 2, sizes], axis=1)
