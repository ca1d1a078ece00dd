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
from pipeline.datasets.catalog import Benchmark
from pipeline.datasets.errors import DataError
from pipeline.datasets.video import Entry, Video
from pipeline.tasks.tracking.metrics.page import render
from pipeline.tasks.tracking.metrics.results import ResultFolder, stamp
from pipeline.tasks.tracking.metrics.running import Run, one_pass, supervised
from pipeline.tasks.tracking.metrics.summary import Finished
from pipeline.tasks.tracking.tracker import Tracker

_SCHEMA = Path(__file__).with_name("schema.json")


def run_all(
    benchmark: Benchmark, entries: ManyOf[Entry], tracker: Tracker, results: ResultFolder, progress: Progress
) -> tuple[list[Finished], dict[str, str]]:
    """Every sequence run, or read back where its results are there; and the reasons of those that failed, by name.

    Scores are always made from the boxes as written, so that an evaluation that was stopped ends with the same ones.
    Raises DataError when every sequence failed, OSError when boxes cannot be written: no other sequence's could be.
    """
    finished, failed = [], {}
    for number, entry in enumerate(entries, start=1):
        place = f"{number}/{len(entries)} {entry.name}"
        try:
            video, new = _followed(benchmark, entry, tracker, results, progress, place)
        except (MonospikeError, OSError, cv2.error) as error:
            failed[entry.name] = " ".join(str(error).split())
            progress.say(f"  {place}: failed: {failed[entry.name]}")
            continue
        if new is not None:
            results.write(entry.name, new, stamp(video))
        run = results.read(entry.name, len(video))
        assert run is not None, "it has just been written, or read"
        progress.say(f"  {place}: {'read back' if new is None else 'done'}, {_speed(run)}")
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
    benchmark: Benchmark, entry: Entry, tracker: Tracker, results: ResultFolder, progress: Progress, place: str
) -> tuple[Video, Run | None]:
    """A sequence, and what the tracker does on it; None where that has been written before."""
    video = entry.load()
    if results.read(entry.name, len(video), stamp(video)) is not None:
        return video, None
    with progress.task(place, len(video)) as task:

        def tick(frame: int, seconds: float) -> None:
            task.reach(frame + 1, f"{frame / seconds:.1f} frames/s" if frame and seconds else "")

        protocol = supervised if benchmark.protocol == "vot2018" else one_pass
        return video, protocol(tracker, video, tick)


def _speed(run: Run) -> str:
    frames = len(run.seconds)
    return f"{frames} frames, {run.frames_per_second:.1f} frames/s" if frames > 1 else "1 frame"
