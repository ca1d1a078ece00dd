"""A loss term: a function of what all models answered and of the batch. A method of training is a list of them.

Tensors are called MODEL/NAME, such as ``student/search_features``; what models name is in ``pipeline.models``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from netx.errors import MonospikeError
from pipeline.training.batches import CropBatch


class TrainingError(MonospikeError):
    """A training that cannot go on."""


class NamedTensors(Mapping[str, Tensor]):
    """What all models answered. Raises TrainingError, naming what there is, for a name that nobody answered."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self.read: set[str] = set()  # names that were asked for

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise TrainingError(f"a loss names the tensor {name!r}; there are {', '.join(sorted(self._tensors))}")
        self.read.add(name)
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


@dataclass(frozen=True, eq=False)
class Context:
    """What a term sees of one training step. step: counted from 0."""

    tensors: NamedTensors
    batch: CropBatch
    step: int


class Term(nn.Module):
    """Weighted scalars by name, to be summed.

    Parameters of the term itself, such as an adapter's, are trained and saved with the state of the training; they
    are no part of any model.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @abstractmethod
    def forward(self, context: Context) -> dict[str, Tensor]: ...
