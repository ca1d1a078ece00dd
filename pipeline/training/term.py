"""A loss term: a function of what all models answered and of the batch. A method of training is a list of them.

Tensors are called MODEL/NAME, such as ``student/search_features``; what a model names is in the file that defines it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from netx.errors import MonospikeError
from pipeline.core.task import Batch
from pipeline.training.config import TermSection

SectionT = TypeVar("SectionT", bound=TermSection)


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
    batch: Batch
    step: int


class Term(nn.Module):
    """Weighted scalars by name, and whom each of them teaches.

    Parameters of the term itself, such as an adapter's, are trained and saved with the state of the training; they
    are no part of any model.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @property
    def member(self) -> str:
        """What the term's own parameters are called among the members of learners."""
        return f"losses.{self.name}"

    @property
    def members(self) -> Mapping[str, nn.Module]:
        """What has parameters of its own, by the names that learners know it by: the whole term, unless its parts learn
        from different losses."""
        return {self.member: self}

    @property
    def opponents(self) -> frozenset[str]:
        """Those of ``members`` that are taught by other losses than the models are, against them perhaps, and
        therefore need a learner without models."""
        return frozenset()

    @abstractmethod
    def forward(self, context: Context) -> dict[str, Tensor]:
        """The losses of a step by name, each a scalar with its weight in it."""

    @abstractmethod
    def teaches(self, loss: str) -> frozenset[str]:
        """Whom the loss of that name teaches: names of models, and of ``members`` for the term's own parameters. A
        learner's gradient is that of the losses that teach one of its members, and of no other."""


def built(sections: Sequence[SectionT], build: Callable[[SectionT], Term]) -> list[Term]:
    """The terms of a configuration's sections, in order, without those of weight 0. build: one of them.

    Raises TrainingError, saying which term, where one doesn't fit.
    """
    terms = []
    for index, section in enumerate(sections):
        if section.acts:
            try:
                terms.append(build(section))
            except TrainingError as error:
                raise TrainingError(f"losses.{index} ({section.kind}): {error}") from None
    return terms
