"""A whole benchmark: every sequence run or read back, judged, and written down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence as ManyOf
from pathlib import Path
from typing import Any

import cv2
import jsonschema

from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.core.progress import Progress
from pipeline.datasets.catalog import Benchmark, open_benchmark
from pipeline.datasets.errors import DataError
from pipeline.datasets.video import Video
from pipeline.tasks.tracking.metrics.multi_start import from_several_starts
from pipeline.tasks.tracking.metrics.page import render
from pipeline.tasks.tracking.metrics.results import ResultFolder, stamp
from pipeline.tasks.tracking.metrics.running import one_pass, supervised
from pipeline.tasks.tracking.metrics.single_frame import single_frames
from pipeline.tasks.tracking.metrics.summary import Finished
from pipeline.tasks.tracking.predictions import Predictions
from pipeline.tasks.tracking.tracker import Tracker

_SCHEMA = Path(__file__).with_name("schema.json")


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
    benchmark: Benchmark, videos: ManyOf[Video], tracker: Tracker, results: ResultFolder, progress: Progress
) -> tuple[list[Finished], dict[str, str]]:
    """Every sequence run, or read back where its results are there; and the reasons of those that failed, by name.

    Scores are always made from the boxes as written, so that an evaluation that was stopped ends with the same ones.
    Raises DataError when every sequence failed, OSError when boxes cannot be written: no other sequence's could be.
    """
    finished, failed = [], {}
    for number, video in enumerate(videos, start=1):
        shown = f"{number}/{len(videos)} {video.name}"
        try:
            new = _followed(benchmark, video, tracker, results, progress, shown)
        except (MonospikeError, OSError, cv2.error) as error:
            failed[video.name] = " ".join(str(error).split())
            progress.say(f"  {shown}: failed: {failed[video.name]}")
            continue
        if new is not None:
            results.write(video.name, new, stamp(video), video.origin)
        run = results.read(video.name, len(video), origin=video.origin)
        assert run is not None, "it has just been written, or read"
        progress.say(f"  {shown}: {'read back' if new is None else 'done'}, {_speed(run)}")
        finished.append(Finished(video, run))
    if not finished:
        name, reason = next(iter(failed.items()))
        raise DataError(f"none of the {len(failed)} sequences could be evaluated; the first, {name!r}: {reason}")
    return finished, failed


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


def _followed(
    benchmark: Benchmark, video: Video, tracker: Tracker, results: ResultFolder, progress: Progress, shown: str
) -> Predictions | None:
    """What the tracker does on a sequence; None where that has been written before."""
    if results.read(video.name, len(video), stamp(video)) is not None:
        return None
    with progress.task(shown, len(video)) as task:

        def tick(frame: int, seconds: float) -> None:
            task.reach(frame + 1, f"{frame / seconds:.1f} frames/s" if frame and seconds else "")

        protocol = supervised if benchmark.protocol == "vot2018" else one_pass
        return protocol(tracker, video, tick)


def _speed(run: Predictions) -> str:
    frames = len(run.seconds)
    return f"{frames} frames, {run.frames_per_second:.1f} frames/s" if frames > 1 else "1 frame"
