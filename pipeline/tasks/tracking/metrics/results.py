"""What a tracker did, as text: a file for each sequence, so that an evaluation goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.core.provenance import kept_beside
from pipeline.datasets.annotations import moved
from pipeline.datasets.video import Video
from pipeline.tasks.tracking.predictions import Predictions, State


class ResultFolder:
    """A folder of ``NAME.txt`` and ``times/NAME_time.txt``, one line a frame, as the got10k toolkit lays results out.

    A line of ``NAME.txt`` is ``x,y,width,height`` in pixels counted as the benchmark's ground truth counts them (OTB:
    from 1), or one of VOT's codes: 0 skipped, 1 started, 2 failed. ``times/NAME_of.txt`` tells of which pictures and
    boxes it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, run: Predictions, of: str = "", origin: float = 0.0) -> None:
        """All files; each appears whole or not at all, the boxes last. of: as ``stamp`` says of the sequence. origin:
        what the benchmark's files call the first pixel (``Video.origin``)."""
        self._boxes(name).unlink(missing_ok=True)  # of other pictures: they must not be found beside the new stamp
        lines = [
            ",".join(f"{value:.4f}" for value in box) if state == State.TRACKED else str(state)
            for state, box in zip(run.states, moved(run.boxes, origin), strict=True)
        ]
        _write(self._times(name), [f"{seconds:.8f}" for seconds in run.seconds])
        _write(self._of(name), [of])
        _write(self._boxes(name), lines)

    def has(self, name: str) -> bool:
        """Whether there are boxes of it, of whatever."""
        return self._boxes(name).exists()

    def read(self, name: str, frames: int, of: str | None = None, origin: float = 0.0) -> Predictions | None:
        """What ``write`` wrote, given ``origin``, for a sequence of that many frames; None when it has not been run, or
        not on what ``of`` stands for.

        Raises FormatError, naming file and line, when the files are not that.
        """
        path = self._boxes(name)
        if not path.exists() or of not in (None, self._stamp(name)):
            return None
        rows = _read(path, frames, (1, 4))
        states = np.array([int(row[0]) if len(row) == 1 else State.TRACKED for row in rows], dtype=np.int64)
        boxes = np.array([row if len(row) == 4 else [np.nan] * 4 for row in rows])
        seconds = np.array([row[0] for row in _read(self._times(name), frames, (1,))])
        return Predictions(moved(boxes, -origin), states, seconds)

    def _stamp(self, name: str) -> str | None:
        path = self._of(name)
        return path.read_text(encoding="utf-8").strip() if path.is_file() else None

    def _of(self, name: str) -> Path:
        return self.folder / "times" / f"{name}_of.txt"

    def _boxes(self, name: str) -> Path:
        return self.folder / f"{name}.txt"

    def _times(self, name: str) -> Path:
        return self.folder / "times" / f"{name}_time.txt"


def stamp(video: Video) -> str:
    """A digest of what a tracker is shown and told of a sequence: the pictures' names, sizes and times of change, the
    boxes that it may be started on (all of them where there are polygons: VOT starts trackers again), and those that it
    is told to search around."""
    seen = [(path.name, (about := path.stat()).st_size, about.st_mtime_ns) for path in video.pictures]
    told = video.boxes[:1] if video.polygons is None else np.concatenate([video.boxes, video.polygons], axis=1)
    if video.near is not None:
        told = np.concatenate([told, video.near[1:]])
    return hashlib.sha256(json.dumps([seen, told.tolist()]).encode()).hexdigest()


def results_beside(out: Path, tracker: str, engine: str, settings: Any) -> ResultFolder:
    """The folder beside the result file ``out`` for one tracker, engine and settings (JSON values)."""
    return ResultFolder(kept_beside(out, "boxes", tracker, engine, settings))


def _write(path: Path, lines: list[str]) -> None:
    with write_whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read(path: Path, frames: int, columns: tuple[int, ...]) -> list[list[float]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) != frames:
        raise FormatError(f"{path}: has {len(lines)} lines for {frames} frames; remove it to run the sequence again")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append([float(word) for word in line.split(",")])
        except ValueError:
            rows.append([])
        if len(rows[-1]) not in columns:
            raise FormatError(f"{path}, line {number}: {line[:80]!r} is no result; remove it to run the sequence again")
    return rows
