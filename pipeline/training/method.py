"""A method of training: what is trained, beside what, by which losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from pipeline.training.gate import Gate
from pipeline.training.term import Term


@dataclass(frozen=True)
class Method:
    """Models, trained and fixed, answer under their names: each takes the batch's inputs and returns tensors by name.

    gate: what holds a teacher back in steps in which it is too far ahead of its student; None for nothing.
    """

    trained: Mapping[str, nn.Module]
    fixed: Mapping[str, nn.Module]
    terms: Sequence[Term]
    gate: Gate | None = None

    @property
    def learning(self) -> dict[str, nn.Module]:
        """All that may have parameters to learn, by name: models, and terms or their parts as ``losses.NAME``."""
        of_terms = (member for term in self.terms for member in term.members.items())
        return {**self.trained, **dict(of_terms)}
