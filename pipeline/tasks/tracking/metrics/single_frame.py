"""Sequences seen in single looks, so that no error of a tracker reaches the next frame. Ours.

A tracker takes its target from one frame and is then shown others, each with a box near the true one, where it would
have believed the target to be. What is measured is a network's answer to one frame, apart from what becomes of its
errors when they are followed.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as ManyOf

import numpy as np

from pipeline.datasets.sequence import has_box
from pipeline.datasets.video import Boxes, Entry, Video
from pipeline.tasks.tracking.metrics.multi_start import from_several_starts

SHIFT = 1.0
"""How far a box may lie from the true one along each axis, in sizes of the target (the root of its area)."""
RESIZED = 0.25
"""Largest |log| of what its sides are multiplied by."""


def in_looks(entries: ManyOf[Entry], starts: int, looks: int) -> list[Entry]:
    """From each of ``starts`` starts of a sequence a run of that first frame and then ``looks`` others to look at.

    These are spread evenly over all in which the object has a box and is not flagged as absent, before the start and
    after it; where there are fewer, some come again. The boxes to look near are drawn at random, for a run of that name
    always the same ones.
    """
    runs = []
    for whole in entries:
        for start in from_several_starts([whole], starts) if starts > 1 else [whole]:
            runs.append(Entry(start.name, start.place, _loader(start, whole, looks)))
    return runs


def _loader(start: Entry, whole: Entry, looks: int) -> Callable[[], Video]:
    def load() -> Video:
        first, video = start.load(), whole.load()
        fit = np.flatnonzero(has_box(video.boxes) & ~video.absent)
        at = fit[np.linspace(0, len(fit) - 1, looks).round().astype(int)] if len(fit) else fit
        boxes = np.concatenate([first.boxes[:1], video.boxes[at]])
        pictures = (first.pictures[0], *(video.pictures[frame] for frame in at))
        absent = np.concatenate([first.absent[:1], video.absent[at]])
        return Video(start.name, pictures, boxes, absent, near=_near(boxes, start.name))

    return load


def _near(boxes: Boxes, name: str) -> Boxes:
    random = np.random.default_rng([*name.encode()])
    sizes = boxes[:, 2:] * np.exp(random.uniform(-RESIZED, RESIZED, (len(boxes), 1)))
    target = np.sqrt(boxes[:, 2:].prod(axis=1, keepdims=True))
    middles = boxes[:, :2] + boxes[:, 2:] / 2 + random.uniform(-SHIFT, SHIFT, (len(boxes), 2)) * target
    return np.concatenate([middles - sizes / 2, sizes], axis=1)
