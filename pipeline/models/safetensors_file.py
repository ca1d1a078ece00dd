"""Safetensors files, and whether their tensors are those of an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from netx.errors import FormatError


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, metadata) of a file. Raises FormatError when it is missing or not complete."""
    metadata = read_metadata(path)
    try:
        return load_file(path), metadata
    except (safetensors.SafetensorError, OSError) as error:
        raise FormatError(f"{path}: is not a complete safetensors file ({error})") from None


def read_metadata(path: Path) -> dict[str, str]:
    """What a file says of itself. Raises FormatError when it is missing or not complete."""
    if not path.is_file():
        raise FormatError(f"{path}: there is no such checkpoint")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise FormatError(f"{path}: is not a complete safetensors file ({error})") from None


def check_tensors(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raises FormatError naming ``path`` and the first tensor that is missing, unknown, misshapen or not finite."""
    for name, tensor in expected.items():
        if name not in tensors:
            raise FormatError(f"{path}: tensor {name!r} is missing: this is the checkpoint of another architecture")
        if tensors[name].shape != tensor.shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
            raise FormatError(f"{path}: tensor {name!r} has shape {shapes}: this is another architecture's")
        if not torch.isfinite(tensors[name]).all():
            raise FormatError(f"{path}: tensor {name!r} holds NaN or infinity")
    if unknown := sorted(set(tensors) - set(expected)):
        raise FormatError(f"{path}: tensor {unknown[0]!r} belongs to no part of this architecture")
