"""``monospike evaluate``: a tracker on a benchmark, or a detector on a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from netx.errors import MonospikeError
from netx.files import check_places
from pipeline.cli.evaluate_detection import DETECTION, DetectionOptions, evaluate_detection
from pipeline.cli.options import (
    AddressOption,
    ConfigOption,
    JobsOption,
    TrackerOption,
    WeightsOption,
    tracker_called,
    tracker_settings,
)

if TYPE_CHECKING:
    from pipeline.datasets.catalog import AbsentFrames


def evaluate(
    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCHMARK",
            help="otb100, uav123, lasot, vot2018, got10k-train, -val or -test, shared-test, or folder (OTB layout); "
            "or detection: pictures with boxes in Pascal VOC's, COCO's or YOLO's layout.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="JSON file of the scores; a page of the same name lies beside it.")
    ],
    root: Annotated[Path | None, typer.Option("--root", help="Where the benchmark lies.", show_default=False)] = None,
    tracker: TrackerOption = "demo",
    engine: Annotated[str, typer.Option("--engine", help="float or integer: the form of a student.")] = "float",
    absent: Annotated[
        str | None,
        typer.Option("--absent", help="Frames without the object: drop or failure.", show_default="the usual one"),
    ] = None,
    starts: Annotated[
        int,
        typer.Option("--starts", min=1, help="Frames to start a sequence from: the first, or as many, spread evenly."),
    ] = 1,
    single_frame: Annotated[
        int,
        typer.Option(
            "--single-frame",
            min=0,
            metavar="N",
            help="Do not follow: from each start search N frames, each around a box near the true one.",
        ),
    ] = 0,
    model: Annotated[
        str | None, typer.Option("--model", help="A detector: a packaged model, or a .safetensors file.")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option("--annotations", help="For detection: COCO's JSON file, where the root has several.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="For detection: which part of the data set, such as val.")
    ] = None,
    looks: Annotated[int | None, typer.Option("--looks", min=0, hidden=True)] = None,
    weights: WeightsOption = None,
    config: ConfigOption = None,
    jobs: JobsOption = None,
    address: AddressOption = None,
) -> None:
    """Run a tracker on every sequence of a benchmark, or a detector on every picture, and write its scores.

    With several starts each runs to the end of the sequence that is farther away, forwards or backwards, as VOT has it
    since 2020; the scores are means over the runs, and one loss of the object decides less.

    In single-frame evaluation a tracker takes its template from each start and searches frames of the whole sequence,
    each around a box near the true one; no error reaches the next frame.

    Several sequences are followed at the same time, each on one core, with the same boxes as one after the other.

    Each finished sequence leaves its boxes beside the result file: the same command goes on where it was stopped. Ends
    with 1 when a sequence could not be evaluated; the others' scores are written all the same.

    For a detector: monospike evaluate detection --root DIR --model NAME. It leaves its detections beside the scores, as
    COCO's results. Bad annotations and pictures are named, and cost the others nothing.
    """
    if benchmark == DETECTION:
        others = (absent, weights, config, jobs, address)
        if tracker != "demo" or starts != 1 or single_frame or any(value is not None for value in others):
            raise MonospikeError("evaluate detection takes --root, --model, --engine, --out, --annotations and --split")
        evaluate_detection(DetectionOptions(root, model, engine, out, annotations, split))
        return
    if model is not None or annotations is not None or split is not None:
        raise MonospikeError(f"--model, --annotations and --split are for {DETECTION!r}; {benchmark!r} takes --tracker")
    from pipeline.core.config import say_deprecated
    from pipeline.core.progress import Progress
    from pipeline.core.workers import workers_asked
    from pipeline.datasets.catalog import find_benchmark, root_of
    from pipeline.tasks.tracking.metrics.evaluate import open_runs, run_all, write_summary
    from pipeline.tasks.tracking.metrics.results import results_beside
    from pipeline.tasks.tracking.metrics.summary import summarise
    from pipeline.tasks.tracking.trackers import REFERENCES, TrackerChoice, engine_called, identity

    if looks is not None:
        say_deprecated("--looks", "--single-frame")
        single_frame = single_frame or looks
    chosen, form = find_benchmark(benchmark), engine_called(engine)
    called, workers = tracker_called(tracker), workers_asked(jobs, address)
    settings = tracker_settings(called, config, benchmark)
    if address is not None:  # workers elsewhere do not run in this folder
        root, weights = (None if path is None else path.resolve() for path in (root, weights))
        called = called if called in REFERENCES else str(Path(called).resolve())
    absent_frames = chosen.absent_frames if absent is None else _absent_frames(absent)
    if out.suffix == ".html":
        raise MonospikeError(f"--out {out}: is the page's name; give the JSON file's")
    if out.is_dir():
        raise MonospikeError(f"--out {out}: is a folder; give the name of a JSON file")
    check_places(out)
    videos = open_runs(chosen, root, starts, single_frame)
    made = TrackerChoice(called, form, settings, weights).open()
    folder = str(root_of(chosen, root).resolve())
    what = [benchmark, folder, settings.model_dump(mode="json"), identity(called, weights)]
    results = results_beside(out, tracker, engine, what)
    progress = Progress()
    finished, failed = run_all(chosen, videos, made, results, progress, workers)
    scores = summarise(chosen, finished, absent_frames)
    asked = {"benchmark": benchmark, "tracker": tracker, "engine": engine, "starts": starts}
    how = {"single_frame": single_frame, "absent_frames": absent_frames}
    summary = {**asked, **how, **scores, "failed": failed}
    page = write_summary(out, summary)
    _show(summary)
    progress.say(f"{out}, {page}; boxes in {results.folder}")
    if failed:
        runs = "runs" if starts > 1 else "sequences"
        progress.say(f"{len(failed)} of {len(videos)} {runs} could not be evaluated; see 'failed' in {out}")
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
    table = Table(
        title=escape(f"{summary['tracker']} ({summary['engine']}) on {summary['benchmark']}"), show_footer=True
    )
    table.add_column("run" if summary["starts"] > 1 else "sequence", footer="all", no_wrap=True)
    for column in columns:
        total = sum(row["frames"] for row in summary["sequences"].values()) if column == "frames" else None
        value = summary.get(column, summary["scores"].get(column, total))
        table.add_column(label(column), justify="right", footer="" if value is None else score(value))
    for name, row in summary["sequences"].items():
        table.add_row(escape(name), *(score(row[column]) for column in columns))
    console = Console()
    console.print(table)
    for name, value in summary["scores"].items():
        console.print(f"{label(name)}: {score(value)}", highlight=False)
