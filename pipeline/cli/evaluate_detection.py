"""``monospike evaluate detection``: a detector on pictures with boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from netx.errors import MonospikeError
from netx.files import check_places
from pipeline.cli.evaluation_options import EvaluateOptions
from pipeline.cli.options import open_detector
from pipeline.core.progress import cell

DETECTION = "detection"
"""What stands in a benchmark's place."""

_MOST_ISSUES = 20
"""That are shown; the file has all."""

_COLUMNS = {"map": "mAP", "map50": "mAP50", "map75": "mAP75", "voc07": "VOC07", "voc": "VOC", "objects": "objects"}


def evaluate_detection(options: EvaluateOptions) -> None:
    """Write the scores and the detections; ends with 1 when a picture could not be answered."""
    from pipeline.core.files import file_digest, write_json
    from pipeline.core.progress import Progress
    from pipeline.datasets.config import DetectionData
    from pipeline.datasets.detection import open_detections
    from pipeline.model_zoo.names import checkpoint_path
    from pipeline.tasks.detection.coco_json import results
    from pipeline.tasks.detection.metrics.answers import answers_beside
    from pipeline.tasks.detection.metrics.evaluate import answer_all, summary

    if not options.roots or options.model is None:
        raise MonospikeError("evaluate detection needs --root DIR, the pictures with their boxes, and --model NAME")
    if options.annotations is not None and len(options.roots) > 1:
        raise MonospikeError("--annotations: is of one data set, and several were given with --root")
    out = options.out
    listed = out.with_name(f"{out.stem}-detections.json")
    check_places(out, listed)
    checkpoint, progress = checkpoint_path(options.model), Progress()
    detector = open_detector(checkpoint, options.engine)
    annotations = None if options.annotations is None else str(options.annotations)
    sets = [DetectionData(root=str(root), annotations=annotations, split=options.split) for root in options.roots]
    pictures = open_detections(sets, detector.classes)
    for issue in pictures.issues[:_MOST_ISSUES]:
        progress.say(f"  {issue}")
    if len(pictures.issues) > _MOST_ISSUES:
        progress.say(f"  ... and {len(pictures.issues) - _MOST_ISSUES} more; see 'issues' in {out}")
    kept = answers_beside(out, options.model, options.engine, file_digest(checkpoint))
    answers = answer_all(pictures, detector.step, kept, progress)
    root = ", ".join(map(str, options.roots))
    asked = {"benchmark": DETECTION, "root": root, "model": options.model, "engine": options.engine}
    scored = {**asked, **summary(pictures, answers)}
    write_json(listed, results(pictures, answers.found))
    write_json(out, scored)
    _show(scored)
    progress.say(f"{out}; detections in {listed}")
    if answers.failed:
        progress.say(f"{len(answers.failed)} of {len(pictures)} pictures could not be answered; see 'failed' in {out}")
        raise typer.Exit(1)


def _show(scored: Mapping[str, Any]) -> None:
    """A table of the classes, and what they come to."""
    title = f"{scored['model']} ({scored['engine']}) on {scored['images']} pictures of {scored['root']}"
    table = Table(title=cell(title), show_footer=True)
    table.add_column("class", footer="all", no_wrap=True)
    for key, label in _COLUMNS.items():
        table.add_column(label, justify="right", footer=_shown(scored[key]))
    for name, row in scored["per_class"].items():
        table.add_row(cell(name), *(_shown(row[key]) for key in _COLUMNS))
    console = Console()
    console.print(table)
    if scored["fps"] is not None:
        console.print(f"{scored['fps']:.1f} pictures/s", highlight=False)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
