"""``monospike evaluate davis16|davis17|youtube-vos|masks``: a segmenter on videos with masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import typer
from rich.console import Console
from rich.table import Table

from netx.errors import MonospikeError
from netx.files import check_places
from pipeline.cli.evaluation_options import EvaluateOptions
from pipeline.cli.options import open_segmenter, segmenter_identity
from pipeline.core.progress import cell

_COLUMNS = ("j_and_f", "j", "f", "recall", "decay", "frames", "fps")
"""That fit on a screen; the file has more."""


def mask_benchmarks() -> tuple[str, ...]:
    """What stands in a benchmark's place: the layouts."""
    from pipeline.datasets.config import MaskLayout

    return get_args(MaskLayout)


def evaluate_segmentation(options: EvaluateOptions) -> None:
    """Write the scores and the masks; ends with 1 when a sequence could not be scored."""
    from pipeline.core.files import write_json
    from pipeline.core.progress import Progress
    from pipeline.datasets.config import MaskedData
    from pipeline.datasets.masked_layouts import open_masked
    from pipeline.tasks.segmentation.metrics.evaluate import segment_all, summary
    from pipeline.tasks.segmentation.metrics.kept import masks_beside

    name, out = options.benchmark, options.out
    if options.root is None or options.model is None:
        raise MonospikeError(f"evaluate {name} needs --root DIR, the videos with their masks, and --model NAME")
    check_places(out)
    progress = Progress()
    segmenter = open_segmenter(options.model, options.engine)
    data = MaskedData.model_validate({"root": str(options.root), "layout": name, "split": options.split})
    videos = open_masked(data)
    asked = {"benchmark": name, "root": str(options.root), "split": options.split}
    what = [name, str(options.root.resolve()), options.split, segmenter_identity(options.model)]
    kept = masks_beside(out, options.model, options.engine, what)
    evaluated = segment_all(videos, segmenter, kept, progress)
    scored = {**asked, "model": options.model, "engine": options.engine, **summary(evaluated)}
    write_json(out, scored)
    _show(scored)
    progress.say(f"{out}; masks in {kept.folder}")
    if evaluated.failed:
        progress.say(f"{len(evaluated.failed)} of {len(videos)} sequences could not be scored; see 'failed' in {out}")
        raise typer.Exit(1)


def _show(scored: Mapping[str, Any]) -> None:
    """A table of the sequences, and what they come to."""
    title = f"{scored['model']} ({scored['engine']}) on {scored['benchmark']}"
    table = Table(title=cell(title), show_footer=True)
    table.add_column("sequence", footer="all", no_wrap=True)
    for key in _COLUMNS:
        label = {"j_and_f": "J&F", "j": "J", "f": "F"}.get(key, key)
        table.add_column(label, justify="right", footer=_shown(key, scored[key]))
    for name, row in scored["sequences"].items():
        table.add_row(cell(name), *(_shown(key, row[key]) for key in _COLUMNS))
    Console().print(table)


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if key == "frames" else f"{value:.{1 if key == 'fps' else 3}f}"
