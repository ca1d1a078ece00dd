"""``monospike doctor``: what of this machine works, what does not, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from pipeline.core.progress import echo


@dataclass(frozen=True)
class DoctorOptions:
    """Of ``monospike doctor``."""

    json: Annotated[bool, typer.Option("--json", help="For programs: docs/doctor.md has the keys.")] = False
    lava_run: Annotated[
        bool, typer.Option("--lava-run/--without-lava-run", help="Whether to try a small network in Lava.")
    ] = True
    seconds: Annotated[float, typer.Option(min=1, help="How long libraries and Lava may take to answer.")] = 25


def doctor(options: DoctorOptions) -> None:
    """Look at Python, libraries, Lava, memory and disk: what works, what does not, what to do.

    Ends with 1 when something is missing that the demo needs, with 0 otherwise.
    """
    from pipeline.core.files import json_text
    from pipeline.diagnostics.doctor.examination import examine
    from pipeline.diagnostics.doctor.output import as_text

    found = examine(options.seconds, options.lava_run)
    echo(json_text(found.as_json()).rstrip() if options.json else as_text(found))
    if not found.ready:
        raise typer.Exit(1)
