"""``monospike selfcheck``: the engine against Lava on drawn networks, or the readers on broken files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netx.files import alone_in
from pipeline.cli.options import AddressOption, JobsOption
from pipeline.core.progress import Progress
from pipeline.core.workers import Workers, workers_asked


@dataclass(frozen=True)
class SelfcheckOptions:
    """Of ``monospike selfcheck``."""

    networks: Annotated[int, typer.Option(min=1, help="How many networks to draw.")] = 1000
    first: Annotated[int, typer.Option("--first", min=0, help="Number of the first one.")] = 0
    simulated: Annotated[int, typer.Option(min=0, help="How many of them also run in Lava's runtime, at 1 s each.")] = (
        20
    )
    folder: Annotated[Path, typer.Option(help="Where the state and a counterexample are kept.")] = Path(
        "runs/selfcheck"
    )
    files: Annotated[int, typer.Option(min=0, help="Read as many damaged and hostile .net and .nir files instead.")] = 0
    jobs: JobsOption = None
    address: AddressOption = None


def selfcheck(options: SelfcheckOptions) -> None:
    """Compare the engine with Lava's stock processes on drawn networks, in every variable at every step.

    Ten thousand take some minutes; stopped, the same command goes on. Ends with 1 at the first network that differs,
    which is left in the folder with its input. With --files it is the readers that are checked: each file has to be
    read or clearly refused within seconds and 1 GiB. What is drawn and found is the same for any number of jobs.
    """
    workers = workers_asked(options.jobs, options.address)
    with alone_in(options.folder):
        if options.files:
            _check_files(options.files, options.first, options.folder, workers)
        else:
            _check_networks(options, workers)


def _check_networks(options: SelfcheckOptions, workers: Workers) -> None:
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.diagnostics import selfcheck as command

    progress = Progress()
    result = command.selfcheck(
        options.networks, options.first, min(options.simulated, options.networks), options.folder, progress, workers
    )
    if not isinstance(result, command.State):
        progress.say(f"{result}\nthe network and its input are in {options.folder / command.COUNTEREXAMPLE}")
        raise typer.Exit(1)
    refused = f"; {result.refused} more leave 32 bits and are refused" if result.refused else ""
    progress.say(f"{result.compared} networks agree in {result.values} values{refused}")


def _check_files(files: int, first: int, folder: Path, workers: Workers) -> None:
    from pipeline.diagnostics.fuzz.check import COUNTEREXAMPLE, Trouble, check

    progress = Progress()
    result = check(files, first, folder, progress, workers)
    if isinstance(result, Trouble):
        progress.say(f"{result}\nthe file is in {folder / COUNTEREXAMPLE}")
        raise typer.Exit(1)
    progress.say(f"{result.done} files: {result.read} read, {result.refused} clearly refused")
