"""The state of a training on disk: a stopped one goes on to the same weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.models.safetensors_file import check_tensors, read_safetensors
from pipeline.tasks.tracking.checkpoint import parse_architecture
from pipeline.tasks.tracking.models.config import SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp


@dataclass(frozen=True, eq=False)
class SavedState:
    """What a state file holds. step: steps that are done. architectures: of the trained models, by name."""

    path: Path
    step: int
    architectures: Mapping[str, SiamFCppConfig | SpikingConfig]
    tensors: Mapping[str, Tensor]

    def restore(self, learning: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer) -> None:
        """Give all that learns, and the optimiser, the tensors that were saved. Raises FormatError where one of these
        has not the tensors of the file."""
        for name, module in learning.items():
            prefix = f"model/{name}/"
            theirs = {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}
            check_tensors(self.path, theirs, module.state_dict())
            module.load_state_dict(theirs)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in self.tensors.items():
            if name.startswith("optimiser/"):
                _, index, key = name.split("/")
                state.setdefault(int(index), {})[key] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def save_state(
    path: Path, learning: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer, step: int, fingerprint: str
) -> None:
    """Write the state after ``step`` steps; the file appears whole or not at all.

    learning: all that learns, by name; of the models among it the architecture is kept as well.
    """
    tensors = {
        f"model/{name}/{key}": value.detach().cpu().contiguous()
        for name, module in learning.items()
        for key, value in module.state_dict().items()
    }
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{k}": torch.as_tensor(v).cpu() for k, v in state.items() if v is not None}
    architectures = {
        name: module.config.model_dump_json()
        for name, module in learning.items()
        if isinstance(module, (SiamFCpp, SpikingSiamFCpp))
    }
    notes = {"step": str(step), "fingerprint": fingerprint, "architectures": json.dumps(architectures)}
    with write_whole(path) as temporary:
        temporary.write_bytes(save(tensors, notes))


def load_state(path: Path, wanted: Callable[[str], bool]) -> SavedState | None:
    """The state of the training whose fingerprint is the wanted one, or None where there is none.

    Raises FormatError when the file is not a state.
    """
    if not path.exists():
        return None
    tensors, notes = read_safetensors(path)
    try:
        if not wanted(notes["fingerprint"]):
            return None
        step, stored = int(notes["step"]), dict(json.loads(notes["architectures"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: is no state of a training ({error})") from None
    return SavedState(path, step, {name: parse_architecture(text, path) for name, text in stored.items()}, tensors)
