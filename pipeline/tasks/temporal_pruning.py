"""Temporal pruning: fewer and fewer time steps, each stage trained from the models of the one before.

Chowdhury, Rathi, Roy, "Towards Ultra Low Latency Spiking Neural Networks for Vision and Sequential Tasks Using Temporal
Pruning" (ECCV 2022; SayeedChowdhury/IIR-SNN): 5, 3, then 1 step. Weights, biases, thresholds and leaks are all kept;
nothing is removed but time steps. How the S4 tracker divides its stages is not known. What losses learn for themselves
(adapters) begins anew at each stage.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from netx.files import write_whole
from pipeline.core.progress import Progress
from pipeline.core.task import Task
from pipeline.tasks.config import PruningConfig, TrainingConfig
from pipeline.tasks.train import run_training
from pipeline.training.distributed import DistributedContext

RECORD = "pruning.json"

AnyConfig = TypeVar("AnyConfig", bound=TrainingConfig)


def prune(
    task: Task,
    config: TrainingConfig,
    pruning: PruningConfig,
    folder: Path,
    context: DistributedContext,
    progress: Progress,
) -> list[Any]:
    """Train stage after stage, each in its folder ``T<steps>``; finished ones are not trained again.

    Returns, and writes to pruning.json, for each stage its time steps, training steps, and the model's scores as
    metrics.json of a training has them.
    """
    record: list[Any] = []
    before: Path | None = None
    for index, time_steps in enumerate(pruning.time_steps):
        steps = config.train.steps if pruning.steps is None else pruning.steps[index]
        stage = stage_config(config, pruning.model, time_steps, steps, before)
        before = folder / f"T{time_steps}"
        metrics = run_training(task, stage, before, context, progress)
        record.append({"time_steps": time_steps, "steps": steps, **metrics.get(pruning.model, {})})
        if context.leads:
            progress.say(f"  T = {time_steps}: {task.headline(metrics[pruning.model])}")
            with write_whole(folder / RECORD) as temporary:
                temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


def stage_config(config: AnyConfig, model: str, time_steps: int, steps: int, before: Path | None) -> AnyConfig:
    """The training of one stage. before: the folder of the stage before, if there is one."""
    models = dict(config.models)
    if before is not None:
        for name, entry in config.models.items():
            if entry.trained:
                models[name] = entry.started_from(str(before / f"{name}.safetensors"))
    fewer = models[model].architecture.model_copy(update={"time_steps": time_steps})
    models[model] = models[model].model_copy(update={"architecture": fewer})
    train = config.train.model_copy(update={"steps": steps})
    name = f"{config.name}-T{time_steps}"
    return config.model_copy(update={"name": name, "models": models, "train": train, "pruning": None})
