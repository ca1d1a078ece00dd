"""Models as safetensors files that say what they hold: task, architecture, and the processing around the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import torch
from pydantic import ValidationError
from safetensors.torch import save
from torch import Tensor, nn

from netx.errors import FormatError, MonospikeError
from netx.files import write_whole
from pipeline.core.config import Section
from pipeline.core.task import Processing
from pipeline.models.safetensors_file import check_tensors, read_safetensors

MODEL, TASK, PROCESSING = "model", "task", "processing"
"""Where a file's metadata holds the architecture, the task's name, and pre- and post-processing."""


class Family(Protocol):
    """What of a task its checkpoints need: see ``pipeline.core.task.Task``."""

    name: ClassVar[str]
    processing_type: ClassVar[type[Processing]]
    not_compared: ClassVar[Mapping[str, Literal["checkpoint", "configuration"]]]

    def build_model(self, architecture: Any) -> nn.Module: ...

    def parse_architecture(self, text: str) -> Section: ...


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds."""

    path: Path
    architecture: Section
    processing: Processing
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    def model(self, family: Family, changes: Mapping[str, object] | None = None) -> nn.Module:
        """The model, in evaluation mode. changes: to its architecture. Raises FormatError where tensors don't fit."""
        model = family.build_model(self.architecture.model_copy(update=dict(changes or {})))
        check_tensors(self.path, self.tensors, model.state_dict())
        model.load_state_dict(dict(self.tensors))
        return model.eval()


@torch.no_grad()
def round_to_half(model: nn.Module) -> None:
    """Make of every number, in place, the float16 next to it: what a file of half the size can hold.

    Raises MonospikeError naming the tensor where one is larger than float16 can say.
    """
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            rounded = value.half()
            if not torch.isfinite(rounded).all():
                raise MonospikeError(f"{name}: holds {value.abs().max():g}, and float16 ends at 65504: store float32")
            value.copy_(rounded)


def save_checkpoint(
    model: nn.Module,
    task: str,
    processing: Processing,
    path: Path,
    notes: Mapping[str, str] | None = None,
    half: bool = False,
) -> None:
    """Write weights, ``model.config`` and processing; the file appears whole or not at all.

    half: as float16, of a model that ``round_to_half`` has made ready; it reads back as it is.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if half:
        tensors = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    said = {TASK: task, MODEL: model.config.model_dump_json(), PROCESSING: processing.model_dump_json()}
    with write_whole(path) as temporary:
        temporary.write_bytes(save(tensors, {**said, **(notes or {})}))


def read_checkpoint(path: Path, family: Family) -> Checkpoint:
    """Raises FormatError when the file is missing or incomplete, holds no model of this task, or is of an older format,
    of which the message says how to convert it."""
    tensors, metadata = read_safetensors(path)
    if MODEL not in metadata:
        raise FormatError(
            f"{path}: does not say which model it holds (its metadata has no {MODEL!r}): it is not of monospike "
            "train, or a student of an older release, which has to be trained again"
        )
    if TASK not in metadata or PROCESSING not in metadata:
        raise FormatError(
            f"{path}: is a checkpoint of an older format, which says neither its task nor the processing that it was "
            f"trained with. 'monospike convert {path}' adds both, once, and leaves the weights as they are"
        )
    if metadata[TASK] != family.name:
        raise FormatError(
            f"{path}: holds a model of the task {metadata[TASK]!r}, where one of {family.name!r} is wanted"
        )
    architecture = parse_architecture(metadata[MODEL], family, path)
    try:
        processing = family.processing_type.model_validate_json(metadata[PROCESSING])
    except ValidationError as error:
        raise FormatError(f"{path}: its processing is not that of a model of ours ({_first(error)})") from None
    return Checkpoint(path, architecture, processing, tensors, metadata)


def parse_architecture(text: str, family: Family, path: Path) -> Section:
    """An architecture that ``path`` holds. Raises FormatError naming it."""
    try:
        return family.parse_architecture(text)
    except ValidationError as error:
        raise FormatError(f"{path}: its architecture is not one of ours ({_first(error)})") from None


def start_from(path: Path, architecture: Section, processing: Processing, family: Family) -> nn.Module:
    """The model of a checkpoint for a training of ``architecture`` with ``processing``, in training mode.

    Raises FormatError also where the file holds another architecture, or was trained with other pre-processing.
    """
    checkpoint = read_checkpoint(path, family)
    check_processing(checkpoint, processing)
    stored, wanted = checkpoint.architecture.model_dump(), architecture.model_dump()
    for key, value in wanted.items():
        if key not in family.not_compared and stored.get(key) != value:
            raise FormatError(f"{path}: its model has {key} = {stored.get(key)}, the configuration says {value}")
    changes = {
        key: getattr(architecture, key)
        for key, whose in family.not_compared.items()
        if whose == "configuration" and key in wanted
    }
    return checkpoint.model(family, changes).train()


def check_processing(checkpoint: Checkpoint, wanted: Processing) -> None:
    """Raises FormatError naming the key and both values where ``wanted`` has other pre-processing than the weights were
    trained with."""
    processed(checkpoint.processing, wanted.model_dump(include=set(wanted.trained_with)), str(checkpoint.path))


def processed(stored: Processing, changes: Mapping[str, object], where: str) -> Processing:
    """``stored`` with ``changes``, which may be of post-processing alone.

    where: what ``stored`` was saved with. Raises FormatError naming the key and both values where they are of others.
    """
    for key, value in changes.items():
        if key in stored.trained_with and getattr(stored, key) != value:
            raise FormatError(
                f"{where}: was trained with {key} = {getattr(stored, key)}, and the configuration says {value}. "
                "Pre-processing belongs to the weights: leave that key out, or train with the other value"
            )
    return stored.model_copy(update=dict(changes))


def _first(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"])
