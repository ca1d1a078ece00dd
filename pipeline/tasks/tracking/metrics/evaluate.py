"""A whole benchmark: every sequence run or read back, judged, and written down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence as ManyOf
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import jsonschema

from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.core.progress import Progress, Task
from pipeline.core.workers import HERE, Workers, call_all
from pipeline.datasets.catalog import Benchmark, open_benchmark
from pipeline.datasets.errors import DataError
from pipeline.datasets.video import Video
from pipeline.tasks.tracking.metrics.following import followed, followed_by_worker
from pipeline.tasks.tracking.metrics.multi_start import from_several_starts
from pipeline.tasks.tracking.metrics.page import render
from pipeline.tasks.tracking.metrics.results import ResultFolder, stamp
from pipeline.tasks.tracking.metrics.running import Tick
from pipeline.tasks.tracking.metrics.single_frame import single_frames
from pipeline.tasks.tracking.metrics.summary import Finished
from pipeline.tasks.tracking.predictions import Predictions
from pipeline.tasks.tracking.trackers import OpenTracker

_SCHEMA = Path(__file__).with_name("schema.json")

_ITS_OWN = (MonospikeError, OSError, cv2.error)
"""What is wrong with one sequence, and not with the others."""

_FRAME_SECONDS = 0.01
"""What a frame takes, about, with its picture, in a small model."""


def open_runs(benchmark: Benchmark, root: str | Path | None, starts: int = 1, single_frame: int = 0) -> list[Video]:
    """What trackers are run on: the benchmark's sequences, or the runs that ``from_several_starts`` makes of them, or
    those of ``single_frames``; no picture is read yet. root: None for where it usually lies. single_frame: frames to
    search from each start, 0 to follow.

    Raises DataError as ``open_benchmark`` does; and when there can be one start only, as boxes are withheld or trackers
    are started again by VOT's rule.
    """
    if (starts > 1 or single_frame) and (benchmark.withheld or benchmark.protocol == "vot2018"):
        why = "tells only the first frame's box" if benchmark.withheld else "has its own rule for starting again"
        raise DataError(f"{benchmark.name} {why}: it allows neither several starts nor single frames")
    videos = open_benchmark(benchmark, root)
    if single_frame:
        return single_frames(videos, starts, single_frame)
    return videos if starts == 1 else from_several_starts(videos, starts)


def run_all(
    benchmark: Benchmark,
    videos: ManyOf[Video],
    tracker: OpenTracker,
    results: ResultFolder,
    progress: Progress,
    workers: Workers = HERE,
) -> tuple[list[Finished], dict[str, str]]:
    """Every sequence run, or read back where its results are there; and the reasons of those that failed, by name. Both
    in the benchmark's order.

    Scores are always made from the boxes as written, so that an evaluation that was stopped ends with the same ones.
    Raises DataError when every sequence failed, OSError when boxes cannot be written: no other sequence's could be.
    """
    runs = _Runs(videos, results, progress)
    open_ = [video for video in videos if not runs.read_back(video)]
    workers = workers.for_calls(len(open_), sum(map(_length, open_)) * _FRAME_SECONDS, progress)
    if workers.here:
        for video in open_:
            with progress.task(runs.shown(video.name), _length(video)) as task:
                outcome = followed(benchmark, video, tracker.tracker, threads=True, tick=_ticking(task))
            runs.end(video.name, outcome)
    else:
        progress.say(f"{len(open_)} of {len(videos)} are left; they run on {workers}")
        with progress.task("runs", len(open_)) as task:

            def finished(name: str, outcome: Predictions | str) -> None:
                runs.end(name, outcome)
                task.advance()

            calls = {video.name: (benchmark, video, tracker.choice) for video in open_}
            for name, why in call_all(followed_by_worker, calls, workers, finished).items():
                runs.end(name, why)
    return runs.outcome()


class _Runs:
    """What has become of a benchmark's runs; each is written as soon as it has ended."""

    def __init__(self, videos: ManyOf[Video], results: ResultFolder, progress: Progress) -> None:
        self._videos = {video.name: video for video in videos}
        self._numbers = {name: number for number, name in enumerate(self._videos, start=1)}
        self._results, self._progress = results, progress
        self._finished: dict[str, Finished] = {}
        self._failed: dict[str, str] = {}

    def shown(self, name: str) -> str:
        return f"{self._numbers[name]}/{len(self._videos)} {name}"

    def read_back(self, video: Video) -> bool:
        """Whether it needs no running: it was run before, or cannot be."""
        try:
            if not self._results.has(video.name) or self._read(video, stamp(video)) is None:
                return False
        except _ITS_OWN as error:
            self._fail(video.name, error)
            return True
        self._finish(video, "read back")
        return True

    def end(self, name: str, outcome: Predictions | str) -> None:
        """Note what a run has come to: its boxes, or why it failed."""
        video = self._videos[name]
        if isinstance(outcome, str):
            self._fail(name, outcome)
            return
        self._results.write(name, outcome, stamp(video), video.origin)
        try:
            self._finish(video, "done")
        except _ITS_OWN as error:
            self._fail(name, error)

    def outcome(self) -> tuple[list[Finished], dict[str, str]]:
        """All in order. Raises DataError when there is none that ended well."""
        failed = {name: self._failed[name] for name in self._videos if name in self._failed}
        if not self._finished:
            name, reason = next(iter(failed.items()))
            raise DataError(f"none of the {len(failed)} sequences could be evaluated; the first, {name!r}: {reason}")
        return [self._finished[name] for name in self._videos if name in self._finished], failed

    def _finish(self, video: Video, how: str) -> None:
        run = self._read(video)
        assert run is not None, "it has just been written, or read"
        self._progress.say(f"  {self.shown(video.name)}: {how}, {_speed(run)}")
        self._finished[video.name] = Finished(video, run)

    def _read(self, video: Video, of: str | None = None) -> Predictions | None:
        return self._results.read(video.name, len(video), of, video.origin)

    def _fail(self, name: str, why: object) -> None:
        self._failed[name] = " ".join(str(why).split())
        self._progress.say(f"  {self.shown(name)}: failed: {self._failed[name]}")


def write_summary(out: Path, summary: Mapping[str, Any]) -> Path:
    """Write the JSON and, beside it, the page; returns the page's path. Each appears whole or not at all.

    Raises MonospikeError when the summary does not fit its schema.
    """
    text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    problem = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text(encoding="utf-8"))).iter_errors(json.loads(text))
    )
    if problem is not None:
        raise MonospikeError(f"{out}: the summary does not fit its schema: {problem.json_path}: {problem.message}")
    page = out.with_suffix(".html")
    for path, content in ((page, render(summary)), (out, text)):
        with write_whole(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return page


def _length(video: Video) -> int:
    """Frames, as far as they can be known; what is wrong is told when it is run."""
    with suppress(*_ITS_OWN):
        return len(video)
    return 0


def _ticking(task: Task) -> Tick:
    return lambda frame, seconds: task.reach(frame + 1, f"{frame / seconds:.1f} frames/s" if frame and seconds else "")


def _speed(run: Predictions) -> str:
    frames = len(run.seconds)
    return f"{frames} frames, {run.frames_per_second:.1f} frames/s" if frames > 1 else "1 frame"
