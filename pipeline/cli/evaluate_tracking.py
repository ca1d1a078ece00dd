"""``monospike evaluate BENCHMARK``: a tracker on a benchmark's sequences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer
from rich.console import Console
from rich.table import Table

from netx.errors import MonospikeError
from netx.files import check_places
from pipeline.cli.evaluation_options import EvaluateOptions
from pipeline.cli.options import tracker_called, tracker_settings
from pipeline.core.progress import cell

if TYPE_CHECKING:
    from pipeline.datasets.catalog import AbsentFrames


def evaluate_tracking(options: EvaluateOptions) -> None:
    """Write the scores and the boxes; ends with 1 when a sequence could not be evaluated."""
    from pipeline.core.config import say_deprecated
    from pipeline.core.progress import Progress
    from pipeline.core.workers import workers_asked
    from pipeline.datasets.catalog import find_benchmark, root_of
    from pipeline.tasks.tracking.metrics.evaluate import open_runs, run_all, write_summary
    from pipeline.tasks.tracking.metrics.results import results_beside
    from pipeline.tasks.tracking.metrics.summary import summarise
    from pipeline.tasks.tracking.trackers import REFERENCES, TrackerChoice, engine_called, identity

    single_frame = options.single_frame
    if options.looks is not None:
        say_deprecated("--looks", "--single-frame")
        single_frame = single_frame or options.looks
    chosen, form = find_benchmark(options.benchmark), engine_called(options.engine)
    called, workers = tracker_called(options.tracker), workers_asked(options.jobs, options.address)
    settings = tracker_settings(called, options.config, options.benchmark)
    root, weights = options.root, options.weights
    if options.address is not None:  # workers elsewhere do not run in this folder
        root, weights = (None if path is None else path.resolve() for path in (root, weights))
        called = called if called in REFERENCES else str(Path(called).resolve())
    absent_frames = chosen.absent_frames if options.absent is None else _absent_frames(options.absent)
    if options.out.suffix == ".html":
        raise MonospikeError(f"--out {options.out}: is the page's name; give the JSON file's")
    if options.out.is_dir():
        raise MonospikeError(f"--out {options.out}: is a folder; give the name of a JSON file")
    check_places(options.out)
    videos = open_runs(chosen, root, options.starts, single_frame)
    made = TrackerChoice(called, form, settings, weights).open()
    folder = str(root_of(chosen, root).resolve())
    what = [options.benchmark, folder, settings.model_dump(mode="json"), identity(called, weights)]
    results = results_beside(options.out, options.tracker, options.engine, what)
    progress = Progress()
    finished, failed = run_all(chosen, videos, made, results, progress, workers)
    scores = summarise(chosen, finished, absent_frames)
    asked = {
        "benchmark": options.benchmark,
        "tracker": options.tracker,
        "engine": options.engine,
        "starts": options.starts,
    }
    how = {"single_frame": single_frame, "absent_frames": absent_frames}
    summary = {**asked, **how, **scores, "failed": failed}
    page = write_summary(options.out, summary)
    _show(summary)
    progress.say(f"{options.out}, {page}; boxes in {results.folder}")
    if failed:
        runs = "runs" if options.starts > 1 else "sequences"
        progress.say(f"{len(failed)} of {len(videos)} {runs} could not be evaluated; see 'failed' in {options.out}")
        raise typer.Exit(1)


def _absent_frames(name: str) -> AbsentFrames:
    from pipeline.datasets.catalog import AbsentFrames

    for convention in get_args(AbsentFrames):
        if convention == name:
            return convention
    raise MonospikeError(f"--absent {name!r}: expected {' or '.join(get_args(AbsentFrames))}")


def _show(summary: Mapping[str, Any]) -> None:
    """A table of the sequences, and what they come to."""
    from pipeline.tasks.tracking.metrics.page import columns_of, label, score

    columns = [column for column in columns_of(summary) if not column.startswith("normalised")]  # too wide for a screen
    table = Table(title=cell(f"{summary['tracker']} ({summary['engine']}) on {summary['benchmark']}"), show_footer=True)
    table.add_column("run" if summary["starts"] > 1 else "sequence", footer="all", no_wrap=True)
    for column in columns:
        total = sum(row["frames"] for row in summary["sequences"].values()) if column == "frames" else None
        value = summary.get(column, summary["scores"].get(column, total))
        table.add_column(label(column), justify="right", footer="" if value is None else score(value))
    for name, row in summary["sequences"].items():
        table.add_row(cell(name), *(score(row[column]) for column in columns))
    console = Console()
    console.print(table)
    for name, value in summary["scores"].items():
        console.print(f"{label(name)}: {score(value)}", highlight=False)
