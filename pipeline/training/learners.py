"""Learners: who learns together, by which optimiser and schedule."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from pipeline.training import schedule
from pipeline.training.config import MAIN, LearnerConfig, OptimiserConfig, TrainSettings
from pipeline.training.method import Method
from pipeline.training.term import Term, TrainingError


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
        """Learning rate of the next step, without the factors of groups."""
        group = self.optimiser.param_groups[0]
        return float(group["lr"] / group["initial_lr"])

    def slow_down(self, factor: float) -> None:
        """Multiply the learning rate of the next step, and of no other, by ``factor``."""
        for group in self.optimiser.param_groups:
            group["lr"] *= factor  # the schedule sets it anew after the step

    def advance(self) -> None:
        """Go on to the next step's rate."""
        with warnings.catch_warnings():
            # Who stood still in the first step has a schedule that moves before its optimiser did.
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            self.schedule.step()

    def acts(self, step: int) -> bool:
        """Whether the members learn in this step, counted from 0. At a rate of 0 they don't: nor do their momenta
        move."""
        return step % self.every == 0 and self.rate > 0


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
    for member in term.opponents:
        if any(member in learner.members for learner in with_models):
            raise TrainingError(
                f"the loss {term.name!r} has parameters that learn against the models: give them a learner of their "
                f"own, such as 'learners: {{opponent: {{members: [{member}]}}}}'"
            )
