"""``monospike study``: several trainings over several seeds, judged alike."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netx.files import alone_in
from pipeline.cli.options import ConfigArgument


@dataclass(frozen=True)
class StudyOptions:
    """Of ``monospike study``."""

    config: ConfigArgument
    only: Annotated[
        str | None, typer.Option("--only", help="Runs, as in s4,s4_kd, and those they start from; all.")
    ] = None
    seeds: Annotated[str | None, typer.Option("--seeds", help="Seeds, as in 1,2; all.")] = None
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=0,
            help="Trainings, or evaluations, at the same time; 0 is 1.",
            show_default="all cores; 1 while a GPU trains",
        ),
    ] = None
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="A Ray cluster that sees these files, to evaluate on; trainings stay on this machine.",
        ),
    ] = None
    evaluate_only: Annotated[
        bool, typer.Option("--evaluate-only", help="Train nothing; report on the models that are there.")
    ] = False
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda: where to train.")] = "auto"
    runs: Annotated[Path, typer.Option("--runs", help="Folder that holds the studies' folders.")] = Path("runs")


def study(options: StudyOptions) -> None:
    """Train and evaluate everything that a study compares, and write its tables and report.

    Stopped, the same command goes on: trainings from their last state, evaluations from their last sequence. Ends with
    1 when something failed; the report is written of the rest.
    """
    # Imported here because it loads torch, for which --help should not wait.
    import torch

    from pipeline.core.config import ConfigError
    from pipeline.core.progress import Progress
    from pipeline.core.workers import cores
    from pipeline.experiments.study.config import read_study
    from pipeline.experiments.study.run import PAGE, RESULTS, TABLES, StudyRequest, run_study
    from pipeline.experiments.study.tables import goal_lines

    settings = read_study(options.config)
    try:
        chosen = tuple(int(seed) for seed in options.seeds.split(",")) if options.seeds else ()
    except ValueError:
        raise ConfigError(f"--seeds {options.seeds}: expected whole numbers, as in 1,2") from None
    if options.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {options.device}: expected auto, cpu or cuda")
    names = tuple(options.only.split(",")) if options.only else ()
    choices = [
        *(["--only", options.only] if options.only else []),
        *(["--seeds", options.seeds] if options.seeds else []),
    ]
    again = shlex.join(
        ["monospike", "study", str(options.config), *choices]
    )  # what makes all of it, done already or not
    # Trainings that share a GPU share its memory, of which nobody knows how many it holds.
    alone = options.jobs is None and options.device != "cpu" and torch.cuda.is_available()
    at_once = cores() if options.jobs is None else max(options.jobs, 1)
    wanted = StudyRequest(
        chosen,
        names,
        1 if alone else at_once,
        at_once,
        not options.evaluate_only,
        options.device,
        again,
        options.address,
    )
    progress, folder = Progress(), options.runs / settings.name
    with alone_in(folder):
        results = run_study(settings, options.config.parent, folder, wanted, progress)
    for line in goal_lines(results["goals"]):
        progress.say(line)
    for name, reason in results["failed"].items():
        progress.say(f"{name} failed: {reason}")
    progress.say(f"{RESULTS}, {TABLES} and {PAGE} are in {folder}")
    if results["failed"]:
        raise typer.Exit(1)
