"""``monospike train``: teachers, students and their pruning."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import yaml

from netx.files import alone_in, write_whole
from pipeline.cli.options import ConfigArgument, RunsOption


@dataclass(frozen=True)
class TrainOptions:
    """Of ``monospike train``."""

    config: ConfigArgument
    runs: RunsOption = Path("runs")
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto"


def train(options: TrainOptions) -> None:
    """Train the models of a configuration; a training that was stopped goes on where its last state was saved.

    Several GPUs: torchrun --nproc-per-node N -m pipeline train CONFIG.
    """
    from pipeline.core.config import ConfigError
    from pipeline.core.progress import Progress
    from pipeline.tasks.config import read_training
    from pipeline.tasks.temporal_pruning import prune
    from pipeline.tasks.train import run_training
    from pipeline.training.distributed import distributed_context

    task, settings = read_training(options.config)
    if options.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {options.device}: expected auto, cpu or cuda")
    folder = options.runs / settings.name
    with distributed_context(options.device) as context, alone_in(folder) if context.leads else nullcontext():
        progress = Progress(quiet=not context.leads)
        if context.leads:
            with write_whole(folder / "config.yaml") as temporary:
                text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
                temporary.write_text(text, encoding="utf-8")
        if settings.pruning is not None:
            prune(task, settings, settings.pruning, folder, context, progress)
            return
        for name, scores in run_training(task, settings, folder, context, progress).items():
            progress.say(f"{name}: {task.headline(scores)}")
