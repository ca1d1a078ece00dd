"""A training is tried on one empty pair before it begins: what a loss names exists, and what it compares fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pipeline.tasks.tracking.checkpoint import build
from pipeline.tasks.tracking.models.config import SiamFCppConfig, SpikingConfig
from pipeline.training.batches import CropBatch
from pipeline.training.term import Context, NamedTensors, Term, TrainingError


def rehearsed_answers(architectures: Mapping[str, SiamFCppConfig | SpikingConfig]) -> NamedTensors:
    """What models of these architectures answer to one pair: only shapes mean anything, values don't."""
    answers: dict[str, Tensor] = {}
    for name, architecture in architectures.items():
        pair = _empty_pair(architecture)
        with torch.no_grad():
            answered = build(architecture).eval()(pair.template, pair.search)
        answers |= {f"{name}/{key}": value for key, value in answered.items()}
    return NamedTensors(answers)


def rehearse(terms: Sequence[Term], answers: NamedTensors, architecture: SiamFCppConfig | SpikingConfig) -> set[str]:
    """Ask each term for its losses of ``rehearsed_answers``; returns the names of the models that they look at.

    architecture: of any of the models, which all see the same crops. Raises TrainingError where a loss names what isn't
    there, or two losses have one name.
    """
    context = Context(answers, _empty_pair(architecture), 0)
    names: Counter[str] = Counter()
    for term in terms:
        try:
            with torch.no_grad():
                names.update(term(context).keys())
        except TrainingError as error:
            raise TrainingError(f"the loss {term.name!r}: {error}") from None
    if twice := [name for name, count in names.items() if count > 1]:
        raise TrainingError(f"losses: two of them are called {twice[0]!r}; give one of the terms another 'name'")
    return {name.split("/")[0] for name in answers.read}


def _empty_pair(architecture: SiamFCppConfig | SpikingConfig) -> CropBatch:
    """One pair of black crops, with a box in the middle."""
    template, search = (
        torch.zeros(1, 3, side, side, dtype=torch.uint8) for side in (architecture.template, architecture.search)
    )
    middle = architecture.search / 2
    return CropBatch(template, search, torch.tensor([[middle - 16, middle - 16, 32.0, 32.0]]), torch.tensor([True]))
