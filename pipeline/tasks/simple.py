"""What simple tasks write alike: one model, samples in memory, one loss, scores on samples held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.core.task import Batch
from pipeline.training.config import OwnTerm
from pipeline.training.term import Context, Term

Outputs = Mapping[str, Tensor]
"""What the model gave, by name."""


class LossSection(OwnTerm):
    """A loss of one model."""

    kind: str = "loss"
    model: str = "student"
    weight: float = Field(1.0, ge=0)


class ModelLoss(Term):
    """``function`` of one model's outputs and the batch, a scalar, times its weight."""

    def __init__(self, config: LossSection, function: Callable[[Outputs, Batch], Tensor]) -> None:
        super().__init__(f"{config.model}/{config.kind}")
        self._config, self._function = config, function

    def teaches(self, loss: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset(self._config.trains)

    def forward(self, context: Context) -> dict[str, Tensor]:
        prefix = f"{self._config.model}/"
        outputs = _Outputs(context.tensors, prefix)
        return {self.name: self._config.weight * self._function(outputs, context.batch)}


class _Outputs(Mapping[str, Tensor]):
    """One model's tensors without its name; what is read is noted where all are."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str) -> None:
        self._tensors, self._prefix = tensors, prefix

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[self._prefix + name]

    def __iter__(self) -> Any:
        return (name.removeprefix(self._prefix) for name in self._tensors if name.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class ArrayBatches:
    """Batches drawn at random, with replacement, from arrays whose first axis is the sample."""

    def __init__(self, config: Any, rank: int, arrays: Mapping[str, npt.NDArray], inputs: tuple[str, ...]) -> None:
        """config: of the training, for its seed, steps and samples a step. rank: as for ``Task.batches``. inputs: names
        of those that the model takes."""
        self._config, self._rank, self._arrays, self._inputs = config, rank, arrays, inputs

    def __len__(self) -> int:
        return int(self._config.train.steps)

    def __getitem__(self, step: int) -> Batch:
        count = len(next(iter(self._arrays.values())))
        random = np.random.default_rng((self._config.seed, self._rank, step))
        drawn = random.integers(0, count, self._config.train.batch)
        return Batch({name: torch.from_numpy(values[drawn]) for name, values in self._arrays.items()}, self._inputs)


class HeldOut:
    """A ``pipeline.core.task.Validator``: a function's scores of the model's outputs on samples held out."""

    def __init__(self, inputs: npt.NDArray, scores: Callable[[Outputs], dict[str, float]]) -> None:
        self._inputs, self._scores = inputs, scores

    @property
    def logged(self) -> tuple[str, ...]:
        """Nothing while a training runs."""
        return ()

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        """The scores."""
        was_training = model.training
        with torch.inference_mode():
            outputs = model.eval()(torch.from_numpy(self._inputs).to(device))
        model.train(was_training)
        return dict(self._scores({name: value.cpu() for name, value in outputs.items()}))

    def rounding(self, model: nn.Module, device: torch.device) -> dict[str, Any]:  # noqa: ARG002
        """Nothing beside what the scores say."""
        return {}
