"""The state of a training on disk: a stopped one goes on to the same weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.models.safetensors_file import check_tensors, read_safetensors
from pipeline.training.averaging import Averages
from pipeline.training.learners import Learner
from pipeline.training.method import Method


@dataclass(frozen=True, eq=False)
class SavedState:
    """What a state file holds. step: steps that are done. architectures: of the trained models, as JSON, by name.
    schedules: of the learners, by name."""

    path: Path
    step: int
    architectures: Mapping[str, str]
    schedules: Mapping[str, Mapping[str, Any]]
    tensors: Mapping[str, Tensor]

    def restore(self, method: Method, learners: Sequence[Learner], averages: Averages | None = None) -> None:
        """Give all that learns, its optimisers and schedules, and the averages, what was saved.

        Raises FormatError where one of these has not the tensors of the file.
        """
        for name, module in method.learning.items():
            theirs = self._under(f"model/{name}/")
            check_tensors(self.path, theirs, module.state_dict())
            module.load_state_dict(theirs)
        if averages is not None:
            for name, model in averages.models.items():
                theirs = self._under(f"average/{name}/")
                check_tensors(self.path, theirs, model.state_dict())
                model.load_state_dict(theirs)
        if set(self.schedules) != {learner.name for learner in learners}:
            raise FormatError(f"{self.path}: has the learners {', '.join(self.schedules)}: this is another training's")
        for learner in learners:
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in self._under(f"optimiser/{learner.name}/").items():
                index, _, part = key.partition("/")
                state.setdefault(int(index), {})[part] = value
            learner.optimiser.load_state_dict({**learner.optimiser.state_dict(), "state": state})
            unsaved = {"lr_lambdas": [None] * len(learner.optimiser.param_groups)}
            learner.schedule.load_state_dict({**self.schedules[learner.name], **unsaved})
            for group, rate in zip(learner.optimiser.param_groups, learner.schedule.get_last_lr(), strict=True):
                group["lr"] = rate

    def _under(self, prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): value for k, value in self.tensors.items() if k.startswith(prefix)}


def save_state(
    path: Path,
    method: Method,
    learners: Sequence[Learner],
    step: int,
    fingerprint: str,
    averages: Averages | None = None,
) -> None:
    """Write the state after ``step`` steps; the file appears whole or not at all.

    Of the trained models the architecture is kept as well, which each of them has as ``config``.
    """
    tensors = {
        f"model/{name}/{key}": value.detach().cpu().contiguous()
        for name, module in method.learning.items()
        for key, value in module.state_dict().items()
    }
    if averages is not None:
        tensors |= {f"average/{key}": value.cpu().contiguous() for key, value in averages.state().items()}
    for learner in learners:
        for index, state in learner.optimiser.state_dict()["state"].items():
            prefix = f"optimiser/{learner.name}/{index}"
            kept = {k: torch.as_tensor(v).cpu().contiguous() for k, v in state.items() if v is not None}
            tensors |= {f"{prefix}/{k}": value for k, value in kept.items()}
    architectures = {name: module.config.model_dump_json() for name, module in method.trained.items()}
    # A schedule is a function of the step, which is no part of what is saved.
    schedules = {
        learner.name: {k: v for k, v in learner.schedule.state_dict().items() if k != "lr_lambdas"}
        for learner in learners
    }
    notes = {
        "step": str(step),
        "fingerprint": fingerprint,
        "architectures": json.dumps(architectures),
        "schedules": json.dumps(schedules),
    }
    with write_whole(path) as temporary:
        temporary.write_bytes(save(tensors, notes))


def load_state(path: Path, wanted: Callable[[str], bool]) -> SavedState | None:
    """The state of the training whose fingerprint is the wanted one, or None where there is none.

    Raises FormatError when the file is not a state, or one of an older format.
    """
    if not path.exists():
        return None
    tensors, notes = read_safetensors(path)
    if "fingerprint" in notes and "schedules" not in notes:
        raise FormatError(
            f"{path}: is a training's state in an older format, with one optimiser and no schedule, which this version "
            "cannot go on from; finish it with the version that began it, or move the file away to train afresh"
        )
    try:
        if not wanted(notes["fingerprint"]):
            return None
        step, architectures = int(notes["step"]), dict(json.loads(notes["architectures"]))
        schedules = dict(json.loads(notes["schedules"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: is no state of a training ({error})") from None
    return SavedState(path, step, architectures, schedules, tensors)
