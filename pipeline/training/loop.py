"""The training loop. It knows models, terms, learners and steps, and nothing of what the terms mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from pipeline.core.task import Batch
from pipeline.models.quantisation import QuantisedModule
from pipeline.training import schedule
from pipeline.training.config import TrainSettings
from pipeline.training.distributed import DistributedContext
from pipeline.training.gate import Gate
from pipeline.training.learners import Learner
from pipeline.training.method import Method
from pipeline.training.term import Context, NamedTensors, Term, TrainingError

AfterStep = Callable[[int, Mapping[str, float], Mapping[str, float]], None]
"""Called with the number of steps done, the losses by name (and what a gate saw), and the learning rates by learner."""


def train(
    method: Method,
    learners: Sequence[Learner],
    settings: TrainSettings,
    first: int,
    stream: Iterator[Batch],
    context: DistributedContext,
    after_step: AfterStep,
) -> None:
    """Do the steps ``first`` to ``settings.steps``, on the batches of ``stream``, changing the trained models in place.

    Raises TrainingError naming term and step when a loss is no number, and parameter and step when a gradient is none;
    nothing has then been learned from that step.
    """
    for model in method.trained.values():
        model.train()
    for step in range(first, settings.steps):
        batch = next(stream).to(context.device)
        _prepare(method, learners, settings, step)
        said = _step(method, learners, batch, step, settings.mixed_precision and context.has_bfloat16, context)
        rates = {learner.name: learner.rate for learner in learners}
        for learner in learners:
            learner.advance()
        after_step(step + 1, said, rates)


def _prepare(method: Method, learners: Sequence[Learner], settings: TrainSettings, step: int) -> None:
    for learner in learners:
        schedule.thaw(learner.parameters, step, settings.steps, learner.settings, learner.key)
    if step >= settings.steps * (1 - settings.frozen_norms):
        for model in method.trained.values():
            if isinstance(model, QuantisedModule):
                model.freeze_norms()


def _step(
    method: Method,
    learners: Sequence[Learner],
    batch: Batch,
    step: int,
    mixed_precision: bool,
    context: DistributedContext,
) -> dict[str, float]:
    """Everyone answers, is judged and learns; the losses, and what a gate saw."""
    seen = _answers(method, batch, step, mixed_precision)
    losses, taught = _losses(method.terms, seen)
    _check(losses, step)
    gated = _gated(method.gate, learners, seen, context) if method.gate else {}
    _learn(method, learners, losses, taught, step, context)
    return {name: float(value.detach()) for name, value in losses.items()} | gated


def _answers(method: Method, batch: Batch, step: int, mixed_precision: bool) -> Context:
    """What all models answer to the batch."""
    tensors: dict[str, Tensor] = {}
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=mixed_precision):
        for name, model in method.trained.items():
            tensors |= {f"{name}/{key}": value for key, value in batch.through(model).items()}
        with torch.no_grad():
            for name, model in method.fixed.items():
                tensors |= {f"{name}/{key}": value for key, value in batch.through(model).items()}
    # Losses are sums of many small terms: they take float32 whatever the models answered in.
    return Context(NamedTensors({name: value.float() for name, value in tensors.items()}), batch, step)


def _losses(terms: Sequence[Term], seen: Context) -> tuple[dict[str, Tensor], dict[str, frozenset[str]]]:
    """The losses by name, and whom each of them teaches."""
    losses: dict[str, Tensor] = {}
    taught: dict[str, frozenset[str]] = {}
    for term in terms:
        of_term: dict[str, Tensor] = term(seen)
        losses |= of_term
        taught |= {name: term.teaches(name) for name in of_term}
    return losses, taught


def _gated(gate: Gate, learners: Sequence[Learner], seen: Context, context: DistributedContext) -> dict[str, float]:
    """Slow the gate's learner down for this step; what the gate saw, for the log."""
    distances = gate.distances(seen, context)
    for learner in learners:
        if learner.name == gate.learner:
            learner.slow_down(gate.factor(distances))
    return {"online/gap": distances.gap, "online/threshold": distances.threshold}


def _check(losses: Mapping[str, Tensor], step: int) -> None:
    for name, value in losses.items():
        if not math.isfinite(float(value.detach())):
            raise TrainingError(
                f"step {step + 1}: the loss {name!r} is {float(value.detach())}. The states saved before are as they "
                "were; lower optimiser.rate or clip_norm, or leave out what is wrong with the term"
            )


def _learn(
    method: Method,
    learners: Sequence[Learner],
    losses: Mapping[str, Tensor],
    taught: Mapping[str, frozenset[str]],
    step: int,
    context: DistributedContext,
) -> None:
    """All gradients are of the weights before the step: no learner sees what another has learned in it."""
    acting = [learner for learner in learners if learner.acts(step)]
    for learner in learners:
        learner.optimiser.zero_grad()
    if len(learners) == 1:
        torch.stack(list(losses.values())).sum().backward()
    else:
        _gradients_apart(acting, losses, taught)
    for learner in acting:
        gradients = {name: p.grad for name, p in learner.parameters.items() if p.grad is not None}
        context.average(gradients.values())
        _check_slopes(gradients, losses, step)
    for learner in acting:
        nn.utils.clip_grad_norm_(learner.parameters.values(), learner.settings.clip_norm)
        learner.optimiser.step()
    for name, model in method.trained.items():
        if isinstance(model, QuantisedModule) and any(name in learner.members for learner in acting):
            model.project()


def _gradients_apart(
    acting: Sequence[Learner], losses: Mapping[str, Tensor], taught: Mapping[str, frozenset[str]]
) -> None:
    """Give each learner's parameters the gradient of the losses that teach one of its members."""
    for learner in acting:
        own = [value for name, value in losses.items() if taught[name] & learner.members and value.requires_grad]
        if not own:
            raise TrainingError(f"learners: no loss teaches a member of {learner.name!r}; leave that learner out")
        parameters = [parameter for parameter in learner.parameters.values() if parameter.requires_grad]
        # The learners' losses share the models' answers, and so the graph that the last of them may take apart.
        shared = learner is not acting[-1]
        gradients = torch.autograd.grad(torch.stack(own).sum(), parameters, retain_graph=shared, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient


def _check_slopes(gradients: Mapping[str, Tensor], losses: Mapping[str, Tensor], step: int) -> None:
    """Losses may be finite where their slope is not; clipping would then make every parameter NaN."""
    for name, gradient in gradients.items():
        if not gradient.isfinite().all():
            raise TrainingError(
                f"step {step + 1}: the gradient of {name!r} is no number, though the losses {', '.join(losses)} are. "
                "The states saved before are as they were; leave terms out to find the one that is wrong"
            )
