"""Sequences followed from several of their frames, so that one loss of the object does not decide a score.

As VOT's short-term challenge does since 2020 (Kristan et al., "The Eighth Visual Object Tracking VOT2020 Challenge
Results", ECCVW 2020, section 2): from each start the tracker runs to the end of the sequence that is farther away,
forwards or backwards in time, and is never helped. VOT sets a start every 50 frames; here they are evenly spread.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as ManyOf

import numpy as np

from netx.errors import MonospikeError
from pipeline.datasets.sequence import has_box
from pipeline.datasets.video import Entry, Video

_MARK = "@"


def from_several_starts(entries: ManyOf[Entry], starts: int) -> list[Entry]:
    """Each sequence as up to ``starts`` ones, from frames spread evenly from its first to its last.

    A start lies at the nearest frame in which the object has a box and is not flagged as absent; a sequence with fewer
    of them has fewer starts. Names are ``Bird2@0``, ``Bird2@49`` and ``Bird2@98-backwards``, after the frame of the
    start. A sequence whose annotations cannot be read stays as it is, to fail alone.
    """
    return [run for entry in entries for run in _runs(entry, starts)]


def sequence_of(run: str) -> str:
    """Name of the sequence that a run of ``from_several_starts`` is of."""
    return run.rpartition(_MARK)[0] or run


def _runs(entry: Entry, starts: int) -> list[Entry]:
    try:
        video = entry.load()
    except MonospikeError:
        return [entry]
    fit = np.flatnonzero(has_box(video.boxes) & ~video.absent)
    if not len(fit):
        return [entry]
    wanted = np.linspace(0, len(video) - 1, starts)
    chosen = sorted({int(fit[np.argmin(abs(fit - frame))]) for frame in wanted})
    return [_run(entry, frame, backwards=frame > len(video) - 1 - frame) for frame in chosen]


def _run(entry: Entry, frame: int, backwards: bool) -> Entry:
    name = f"{entry.name}{_MARK}{frame}{'-backwards' if backwards else ''}"
    kept = slice(frame, None, -1) if backwards else slice(frame, None)
    return Entry(name, entry.place, _part(entry, name, kept))


def _part(entry: Entry, name: str, kept: slice) -> Callable[[], Video]:
    def load() -> Video:
        whole = entry.load()
        return Video(name, whole.pictures[kept], whole.boxes[kept], whole.absent[kept])

    return load
