"""Multi-start evaluation: sequences followed from several frames, so that one loss of the object decides less.

As VOT's short-term challenge does since 2020 (Kristan et al., "The Eighth Visual Object Tracking VOT2020 Challenge
Results", ECCVW 2020, section 2): from each start the tracker runs to the end of the sequence that is farther away,
forwards or backwards in time, and is never helped. VOT sets a start every 50 frames; here they are evenly spread.
"""

from __future__ import annotations

from collections.abc import Sequence as ManyOf

import numpy as np

from netx.errors import MonospikeError
from pipeline.datasets.annotations import has_box
from pipeline.datasets.video import Video

_MARK = "@"


def from_several_starts(videos: ManyOf[Video], starts: int) -> list[Video]:
    """Each sequence as up to ``starts`` ones, from frames spread evenly from its first to its last.

    A start lies at the nearest frame in which the object has a box and is not flagged as absent; a sequence with fewer
    of them has fewer starts. Names are ``Bird2@0``, ``Bird2@49`` and ``Bird2@98-backwards``, after the frame of the
    start. A sequence whose annotations cannot be read stays as it is, to fail alone.
    """
    return [run for video in videos for run in _runs(video, starts)]


def sequence_of(run: str) -> str:
    """Name of the sequence that a run of ``from_several_starts`` is of."""
    return run.rpartition(_MARK)[0] or run


def _runs(video: Video, starts: int) -> list[Video]:
    try:
        fit = np.flatnonzero(has_box(video.boxes) & ~video.absent)
    except MonospikeError:
        return [video]
    if not len(fit):
        return [video]
    wanted = np.linspace(0, len(video) - 1, starts)
    chosen = sorted({int(fit[np.argmin(abs(fit - frame))]) for frame in wanted})
    return [_run(video, frame, backwards=frame > len(video) - 1 - frame) for frame in chosen]


def _run(video: Video, start: int, backwards: bool) -> Video:
    name = f"{video.name}{_MARK}{start}{'-backwards' if backwards else ''}"
    kept = range(start, -1, -1) if backwards else range(start, len(video))
    return Video(name, video.folder, lambda: video.annotations.part(kept))
