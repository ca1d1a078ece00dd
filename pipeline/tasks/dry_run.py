"""A dry run: models and terms are tried on one empty sample before a training begins, so that what a loss names
exists, what it compares fits, and what learns is taught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pipeline.core.config import Section
from pipeline.core.task import Batch, Task
from pipeline.training.distributed import DistributedContext
from pipeline.training.gate import Gate
from pipeline.training.term import Context, NamedTensors, Term, TrainingError


def dry_answers(task: Task, architectures: Mapping[str, Section], example: Batch) -> NamedTensors:
    """What models of these architectures answer to a sample: only shapes mean anything, values don't."""
    answers: dict[str, Tensor] = {}
    for name, architecture in architectures.items():
        with torch.no_grad():
            answered = example.through(task.build_model(architecture).eval())
        answers |= {f"{name}/{key}": value for key, value in answered.items()}
    return NamedTensors(answers)


def dry_run(terms: Sequence[Term], gate: Gate | None, answers: NamedTensors, example: Batch) -> set[str]:
    """Ask each term for its losses of ``dry_answers``, and the gate for what it compares; returns the names of the
    models that they look at.

    Raises TrainingError where a loss names what isn't there, two losses have one name, or none teaches what a term has
    of its own.
    """
    context = Context(answers, example, 0)
    names: Counter[str] = Counter()
    taught: set[str] = set()
    for term in terms:
        try:
            with torch.no_grad():
                losses = list(term(context))
        except TrainingError as error:
            raise TrainingError(f"the loss {term.name!r}: {error}") from None
        names.update(losses)
        taught |= {member for loss in losses for member in term.teaches(loss)}
    if twice := [name for name, count in names.items() if count > 1]:
        raise TrainingError(f"losses: two of them are called {twice[0]!r}; give one of the terms another 'name'")
    for term in terms:
        for member, module in term.members.items():
            if member not in taught and any(True for _ in module.parameters()):
                raise TrainingError(f"the loss {term.name!r} has parameters that none of its losses teaches")
    if gate is not None:
        try:
            gate.distances(context, DistributedContext(example.device))
        except TrainingError as error:
            raise TrainingError(f"online: {error}") from None
    return {name.split("/")[0] for name in answers.read}
