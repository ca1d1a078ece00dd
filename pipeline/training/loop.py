"""The training loop. It knows models, terms, learners and steps, and nothing of what the terms mean."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from pipeline.core.task import Batch
from pipeline.models.quantisation import QuantisedModule
from pipeline.training import schedule
from pipeline.training.config import MAIN, LearnerConfig, OptimiserConfig, TrainSettings
from pipeline.training.distributed import DistributedContext
from pipeline.training.term import Context, NamedTensors, Term, TrainingError

AfterStep = Callable[[int, Mapping[str, float], Mapping[str, float]], None]
"""Called with the number of steps done, the losses by name, and the learning rates by learner."""


@dataclass(frozen=True)
class Method:
    """What is trained, beside what, by which terms. Both kinds of models answer, under their names.

    A model takes the batch's inputs and returns tensors by name.
    """

    trained: Mapping[str, nn.Module]
    fixed: Mapping[str, nn.Module]
    terms: Sequence[Term]

    @property
    def learning(self) -> dict[str, nn.Module]:
        """All that may have parameters to learn, by name: models, and terms as ``losses.NAME``."""
        return {**self.trained, **{term.member: term for term in self.terms}}


@dataclass(frozen=True, eq=False)
class Learner:
    """Members that learn together, from the losses that teach one of them.

    members: names of models and terms, as in ``Method.learning``. parameters: theirs, by name. every: steps between
    two in which they learn; the schedule counts all steps. key: where the optimiser's configuration stands.
    """

    name: str
    members: frozenset[str]
    parameters: Mapping[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    schedule: LambdaLR
    settings: OptimiserConfig
    every: int = 1
    key: str = "train.optimiser"

    @property
    def rate(self) -> float:
        """Learning rate of the next step, without factors."""
        group = self.optimiser.param_groups[0]
        return float(group["lr"] / group["initial_lr"])


def learners_of(
    method: Method, settings: TrainSettings, others: Mapping[str, LearnerConfig] | None = None
) -> list[Learner]:
    """Learners that have learned nothing yet: ``main``, unless the others take all its members, and ``others``.

    Raises TrainingError, naming learner and member, where a member is nothing that learns or has two learners, or where
    a term's own parameters need a learner without models.
    """
    others = others or {}
    modules = {name: module for name, module in method.learning.items() if any(True for _ in module.parameters())}
    owners = Counter(member for config in others.values() for member in config.members)
    for name, config in others.items():
        for member in config.members:
            if member not in modules:
                there = ", ".join(modules)
                raise TrainingError(f"learners.{name}.members: {member!r} is nothing that learns; there are {there}")
            if owners[member] > 1:
                raise TrainingError(f"learners.{name}.members: {member!r} is named more than once")
    left = [name for name in modules if name not in owners]
    learners = []
    if left:
        learners.append(_learner(MAIN, {n: modules[n] for n in left}, settings, settings.optimiser, "train.optimiser"))
    for name, config in others.items():
        members = {member: modules[member] for member in config.members}
        key = f"learners.{name}.optimiser"
        learners.append(_learner(name, members, settings, config.optimiser, key, config.every))
    for term in method.terms:
        _check_apart(term, learners, method)
    return learners


def _learner(
    name: str,
    members: Mapping[str, nn.Module],
    settings: TrainSettings,
    config: OptimiserConfig,
    key: str,
    every: int = 1,
) -> Learner:
    parameters = schedule.learning_parameters(members)
    optimiser = schedule.build_optimiser(parameters, config, key)
    by_step = schedule.build_schedule(optimiser, settings.steps, config)
    return Learner(name, frozenset(members), parameters, optimiser, by_step, config, every, key)


def _check_apart(term: Term, learners: Sequence[Learner], method: Method) -> None:
    with_models = [learner for learner in learners if learner.members & method.trained.keys()]
    if term.apart and any(term.member in learner.members for learner in with_models):
        raise TrainingError(
            f"the loss {term.name!r} has parameters that learn against the models: give them a learner of their own, "
            f"such as 'learners: {{opponent: {{members: [{term.member}]}}}}'"
        )


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
        losses, taught = _losses(method, batch, step, settings.mixed_precision and context.has_bfloat16)
        _check(losses, step)
        _learn(method, learners, losses, taught, step, context)
        rates = {learner.name: learner.rate for learner in learners}
        for learner in learners:
            learner.schedule.step()
        after_step(step + 1, {name: float(value.detach()) for name, value in losses.items()}, rates)


def _prepare(method: Method, learners: Sequence[Learner], settings: TrainSettings, step: int) -> None:
    for learner in learners:
        schedule.thaw(learner.parameters, step, settings.steps, learner.settings, learner.key)
    if step >= settings.steps * (1 - settings.frozen_norms):
        for model in method.trained.values():
            if isinstance(model, QuantisedModule):
                model.freeze_norms()


def _losses(
    method: Method, batch: Batch, step: int, mixed_precision: bool
) -> tuple[dict[str, Tensor], dict[str, frozenset[str]]]:
    """The losses by name, and whom each of them teaches."""
    tensors: dict[str, Tensor] = {}
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=mixed_precision):
        for name, model in method.trained.items():
            tensors |= {f"{name}/{key}": value for key, value in batch.through(model).items()}
        with torch.no_grad():
            for name, model in method.fixed.items():
                tensors |= {f"{name}/{key}": value for key, value in batch.through(model).items()}
    # Losses are sums of many small terms: they take float32 whatever the models answered in.
    context = Context(NamedTensors({name: value.float() for name, value in tensors.items()}), batch, step)
    losses: dict[str, Tensor] = {}
    taught: dict[str, frozenset[str]] = {}
    for term in method.terms:
        of_term: dict[str, Tensor] = term(context)
        losses |= of_term
        taught |= {name: term.teaches(name) for name in of_term}
    return losses, taught


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
    acting = [learner for learner in learners if step % learner.every == 0]
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
