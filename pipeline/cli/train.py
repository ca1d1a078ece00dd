"""``monospike train``: teachers, students and their pruning."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
import yaml

from netx.files import alone_in, write_whole
from pipeline.cli.options import ConfigArgument


def train(
    config: ConfigArgument,
    runs: Annotated[Path, typer.Option("--runs", help="Folder that holds the runs' folders.")] = Path("runs"),
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train the models of a configuration; a training that was stopped goes on where its last state was saved.

    Several GPUs: torchrun --nproc-per-node N -m pipeline train CONFIG.
    """
    from pipeline.core.config import ConfigError, read_config
    from pipeline.core.progress import Progress
    from pipeline.tasks.temporal_pruning import prune
    from pipeline.tasks.tracking.training_config import TrainingConfig
    from pipeline.tasks.train import run_training
    from pipeline.training.distributed import this_place

    settings = read_config(config, TrainingConfig)
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {device}: expected auto, cpu or cuda")
    folder = runs / settings.name
    with this_place(device) as place, alone_in(folder) if place.leads else nullcontext():
        progress = Progress(quiet=not place.leads)
        if place.leads:
            with write_whole(folder / "config.yaml") as temporary:
                text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
                temporary.write_text(text, encoding="utf-8")
        if settings.pruning is not None:
            prune(settings, settings.pruning, folder, place, progress)
            return
        for name, judged in run_training(settings, folder, place, progress).items():
            spikes = f", spike rate {judged['spike_rate']:.3f}" if "spike_rate" in judged else ""
            still = f"(a box that never moves: {judged['fixed_box']:.3f})"
            progress.say(f"{name}: mean IoU {judged['mean_iou']:.3f} {still}{spikes}")
