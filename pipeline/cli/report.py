"""``monospike report --compare``: several runs on one page, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netx.errors import MonospikeError
from netx.files import check_places
from pipeline.cli.options import RunsOption, run_called
from pipeline.core.progress import echo


@dataclass(frozen=True)
class ReportOptions:
    """Of ``monospike report``."""

    chosen: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs' folders, or their names.")]
    compare: Annotated[bool, typer.Option("--compare", help="Put two runs or more side by side.")] = False
    out: Annotated[Path, typer.Option("--out", help="Page to write.")] = Path("comparison.html")
    runs: RunsOption = Path("runs")


def report_command(options: ReportOptions) -> None:
    """Write one page that shows deployments side by side: verdicts, scores, activity, energy, chips, what differs.

    A run's own page is report.html in its folder, which monospike deploy writes.
    """
    from pipeline.core.files import write_text
    from pipeline.report.comparison.page import render
    from pipeline.report.comparison.read import read_report

    if not options.compare:
        raise MonospikeError(
            "report: give --compare and two runs or more; a run's own page is report.html in its folder, "
            "which monospike deploy writes"
        )
    if len(options.chosen) < 2:
        raise MonospikeError("--compare: takes two runs or more")
    check_places(options.out)
    folders = [run_called(run, options.runs) for run in options.chosen]
    write_text(options.out, render([read_report(folder) for folder in folders]))
    echo(f"{options.out}: {len(folders)} runs side by side")
