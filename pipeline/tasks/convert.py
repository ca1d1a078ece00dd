"""Checkpoints of older formats become such as can be read: weights as they are, with what they lacked beside them."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError
from safetensors.torch import save

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.core.config import parse_config, read_values
from pipeline.core.task import Processing, Task
from pipeline.models.safetensors_file import read_safetensors
from pipeline.tasks import find_task, task_names
from pipeline.tasks.checkpoint import MODEL, PROCESSING, TASK


def convert_checkpoint(path: Path, processing: Path | None = None) -> str:
    """Add task and processing to a checkpoint that lacks them, in place; returns what was done, for people.

    processing: YAML file of the task's pre- and post-processing; None for what trainings of that version had.

    The checkpoint is replaced whole or not at all. Raises FormatError where it is none of ours, ConfigError naming the
    keys of ``processing`` that are wrong.
    """
    tensors, metadata = read_safetensors(path)
    if MODEL not in metadata:
        raise FormatError(f"{path}: does not say which model it holds (its metadata has no {MODEL!r})")
    if TASK in metadata and PROCESSING in metadata:
        return f"has its task, {metadata[TASK]}, and its processing already; left as it is"
    task = _task_of(metadata[MODEL], path)
    said = _processing(task, metadata.get("training"), processing, path)
    with write_whole(path) as temporary:
        temporary.write_bytes(save(tensors, {**metadata, TASK: task.name, PROCESSING: said.model_dump_json()}))
    return f"is of the task {task.name}, with {said.model_dump_json()}"


def _task_of(architecture: str, path: Path) -> Task:
    for name in task_names():
        task = find_task(name)
        try:
            task.parse_architecture(architecture)
        except ValidationError:
            continue
        return task
    raise FormatError(f"{path}: its architecture is not one of {', '.join(task_names())}")


def _processing(task: Task, training: str | None, file: Path | None, path: Path) -> Processing:
    if file is not None:
        values = read_values(file)
        return parse_config(values, task.processing_type, str(file))
    try:
        trained = json.loads(training or "{}")
        return task.processing_of_older(trained if isinstance(trained, dict) else {})
    except ValueError as error:  # pydantic's ValidationError is one as well
        raise FormatError(
            f"{path}: its training's configuration says nothing that could be its processing ({error}); name a file "
            "with --processing"
        ) from None
