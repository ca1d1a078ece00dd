"""Temporal pruning: fewer and fewer time steps, each stage trained from the models of the one before.

Chowdhury, Rathi, Roy, "Towards Ultra Low Latency Spiking Neural Networks for Vision and Sequential Tasks Using Temporal
Pruning" (ECCV 2022; SayeedChowdhury/IIR-SNN): 5, 3, then 1 step. Weights, biases, thresholds and leaks are all kept;
nothing is removed but time steps. How the S4 tracker divides its stages is not known. What losses learn for themselves
(adapters) begins anew at each stage.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netx.files import write_whole
from pipeline.core.progress import Progress
from pipeline.tasks.tracking.training_config import ModelEntry, PruningConfig, TrainingConfig
from pipeline.tasks.train import run_training
from pipeline.training.distributed import Place

RECORD = "pruning.json"


def prune(config: TrainingConfig, pruning: PruningConfig, folder: Path, place: Place, progress: Progress) -> list[Any]:
    """Train stage after stage, each in its folder ``T<steps>``; finished ones are not trained again.

    Returns, and writes to pruning.json, for each stage its time steps, training steps, and accuracy and spike rates as
    ``pipeline.tasks.tracking.validation.judge`` gives them.
    """
    record: list[Any] = []
    before: Path | None = None
    for index, time_steps in enumerate(pruning.time_steps):
        steps = config.train.steps if pruning.steps is None else pruning.steps[index]
        stage = stage_config(config, pruning.model, time_steps, steps, before)
        place_of_stage = folder / f"T{time_steps}"
        metrics = run_training(stage, place_of_stage, place, progress)
        before = place_of_stage
        record.append({"time_steps": time_steps, "steps": steps, **metrics.get(pruning.model, {})})
        if place.leads:
            judged = record[-1]
            progress.say(
                f"  T = {time_steps}: mean IoU {judged['mean_iou']:.3f}, spike rate {judged['spike_rate']:.3f}"
            )
            with write_whole(folder / RECORD) as temporary:
                temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


def stage_config(
    config: TrainingConfig, model: str, time_steps: int, steps: int, before: Path | None
) -> TrainingConfig:
    """The training of one stage. before: the folder of the stage before, if there is one."""
    models: dict[str, ModelEntry] = dict(config.models)
    if before is not None:
        for name, entry in config.models.items():
            if entry.trained:
                models[name] = entry.model_copy(update={"weights": str(before / f"{name}.safetensors"), "like": None})
    fewer = models[model].architecture.model_copy(update={"time_steps": time_steps})
    models[model] = models[model].model_copy(update={"architecture": fewer})
    train = config.train.model_copy(update={"steps": steps})
    name = f"{config.name}-T{time_steps}"
    return config.model_copy(update={"name": name, "models": models, "train": train, "pruning": None})
