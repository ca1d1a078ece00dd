"""``monospike runs``: the runs that there are, and what they have come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import RunsOption
from pipeline.core.progress import echo


@dataclass(frozen=True)
class RunsOptions:
    """Of ``monospike runs``."""

    runs: RunsOption = Path("runs")
    json: Annotated[bool, typer.Option("--json", help="For programs: docs/runs.md has the keys.")] = False


def runs_command(options: RunsOptions) -> None:
    """List runs, trainings, searches and studies: how far they are, their verdicts and scores."""
    from pipeline.core.files import json_text
    from pipeline.viewer.listing import as_json, as_text, runs_in

    found = runs_in(options.runs)
    echo(json_text(as_json(found)).rstrip() if options.json else as_text(found, options.runs))
