"""The student of a run: taken from a checkpoint, or trained by the configuration of its training."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.core.config import ConfigError
from pipeline.core.task import Deployable, Task
from pipeline.deploy.run import Run
from pipeline.deploy.stages import StageError
from pipeline.model_zoo.names import checkpoint_path
from pipeline.models.safetensors_file import read_metadata
from pipeline.tasks.checkpoint import TASK
from pipeline.tasks.config import TrainingConfig, read_training
from pipeline.tasks.train import run_training
from pipeline.training.distributed import distributed_context


def train(run: Run) -> str:
    """The student: taken from its checkpoint, or trained by the configuration of its training."""
    if run.training is None:
        source = checkpoint_path(run.config.model)
        again = "; --retrain trains it again" if run.config.training is not None else ""
        summary = f"taken from {source.name}{again}"
    else:
        with distributed_context("auto") as context:
            metrics = run_training(run.task, run.training, run.checkpoint.parent, context, run.progress)
        source = _trained(run, list(metrics))
        summary = f"trained by {run.config.training}"
    check_task(source, run.task)
    deployable = run.task.deployable(source)
    check_processing(run, deployable, source)
    if source != run.checkpoint:
        with write_whole(run.checkpoint) as temporary:
            shutil.copyfile(source, temporary)
    run.deployable = deployable
    return summary


def _trained(run: Run, names: list[str]) -> Path:
    """The checkpoint of the student among the models that a training has trained."""
    name = "student" if "student" in names else names[0]
    if len(names) > 1 and name != "student":
        raise StageError(
            f"{run.config.training}: trains {', '.join(names)}; call the one that is to be deployed 'student'"
        )
    return run.checkpoint.parent / f"{name}.safetensors"


def check_task(checkpoint: Path, task: Task) -> None:
    """Raises FormatError where ``checkpoint`` says that it is another task's."""
    stored = read_metadata(checkpoint).get(TASK, task.name)  # one without is of an older format, and is refused as such
    if stored != task.name:
        raise FormatError(
            f"{checkpoint}: is a checkpoint of the task {stored!r}, and the configuration says {task.name!r}: "
            f"give it 'task: {stored}', or another model"
        )


def check_processing(run: Run, deployable: Deployable, checkpoint: Path) -> None:
    """Raises ConfigError where the configuration expects other pre- or post-processing than comes with the weights."""
    key, saved = run.task.processing_key, deployable.processing.model_dump(mode="json")
    expected: Mapping[str, Any] = getattr(run.config, key)
    for name, value in expected.items():
        if name not in saved:
            raise ConfigError(
                f"{key}.{name}: is not saved with the weights of {checkpoint}, which say "
                f"{', '.join(saved) or 'nothing of pre- and post-processing'}: leave it out"
            )
        if saved[name] != value:
            raise ConfigError(
                f"{key}.{name}: is {value} in the configuration, and {saved[name]} comes with the weights of "
                f"{checkpoint}: leave it out, or train the model with it"
            )


def training_of(file: str | None, task: Task) -> TrainingConfig:
    """The configuration that --retrain trains by. Raises StageError where a run names none, ConfigError where it is
    wrong."""
    if file is None:
        raise StageError(
            "--retrain: the configuration names no training; give it 'training: FILE', a configuration of monospike "
            "train, or train the model with monospike train"
        )
    trained, training = read_training(Path(file))
    if trained.name != task.name:
        raise StageError(f"--retrain: {file} is for the task {trained.name!r}, and the configuration for {task.name!r}")
    if training.pruning is not None:
        raise StageError(
            f"--retrain: {file} prunes time steps in several trainings; run monospike train, and name the last "
            "one's checkpoint with 'model'"
        )
    return training
