"""``monospike search``: variants of trained models on several chips, and which of them are best."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netx.files import alone_in
from pipeline.cli.options import AddressOption, ConfigArgument, JobsOption


@dataclass(frozen=True)
class SearchOptions:
    """Of ``monospike search``."""

    config: ConfigArgument
    jobs: JobsOption = None
    address: AddressOption = None
    runs: Annotated[Path, typer.Option("--runs", help="Folder that holds the searches' folders.")] = Path("runs")
    workers: Annotated[int | None, typer.Option("--workers", min=0, hidden=True)] = None


def search(options: SearchOptions) -> None:
    """Vary weight bits, thresholds, models, places and chips; weigh accuracy against energy, latency and cores.

    Stopped, the same command goes on with what is not evaluated. Ends with 1 when candidates were lost, or none could
    be built; the report is written of the rest.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.core.config import read_config, say_deprecated
    from pipeline.core.progress import Progress
    from pipeline.core.workers import workers_asked
    from pipeline.experiments.dse.config import SearchConfig
    from pipeline.experiments.dse.results import PAGE, RESULTS, TABLE
    from pipeline.experiments.dse.run import run_search
    from pipeline.experiments.dse.table import lines

    jobs = options.jobs
    if options.workers is not None:
        say_deprecated("--workers", "--jobs")
        jobs = options.workers if jobs is None else jobs
    settings = read_config(options.config, SearchConfig)
    progress, folder = Progress(), options.runs / settings.name
    again = shlex.join(["monospike", "search", str(options.config)])
    with alone_in(folder):
        results = run_search(settings, folder, workers_asked(jobs, options.address), again, progress)
    for line in lines(results):
        progress.say(line)
    refused = [row for row in results["candidates"] if row["reason"] is not None]
    if refused:
        progress.say(f"{len(refused)} of {len(results['candidates'])} candidates cannot be built; {PAGE} says why")
    for name, reason in results["failed"].items():
        progress.say(f"{name}: {reason}")
    progress.say(f"{RESULTS}, {TABLE} and {PAGE} are in {folder}")
    if results["failed"] or len(refused) == len(results["candidates"]):
        raise typer.Exit(1)
