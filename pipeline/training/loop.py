"""The training loop. It knows models, terms and steps, and nothing of what the terms mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from pipeline.models.quantisation import QuantisedModule
from pipeline.tasks.tracking.training_config import TrainSettings
from pipeline.training import schedule
from pipeline.training.batches import CropBatch
from pipeline.training.distributed import Place
from pipeline.training.term import Context, NamedTensors, Term, TrainingError

AnyModel = TypeVar("AnyModel", bound=nn.Module)

AfterStep = Callable[[int, Mapping[str, float], float], None]
"""Called with the number of steps done, the losses by name, and the learning rate."""


@dataclass(frozen=True)
class Method(Generic[AnyModel]):
    """What is trained, beside what, by which terms. Both kinds of models answer, under their names.

    A model takes template and search crops, as in ``CropBatch``, and returns tensors by name.
    """

    trained: Mapping[str, AnyModel]
    fixed: Mapping[str, AnyModel]
    terms: Sequence[Term]

    @property
    def learning(self) -> dict[str, nn.Module]:
        """All that has parameters to learn, by name: models, and terms as ``losses.NAME``."""
        return {**self.trained, **{f"losses.{term.name}": term for term in self.terms}}


@dataclass(frozen=True)
class Learner:
    """The optimiser and the parameters that it may change, by name."""

    parameters: Mapping[str, nn.Parameter]
    optimiser: torch.optim.Optimizer


def learner_of(method: Method[Any], settings: TrainSettings) -> Learner:
    """A learner that has learned nothing yet."""
    parameters = schedule.learning_parameters(method.learning)
    return Learner(parameters, schedule.build_optimiser(parameters, settings.optimiser))


def train(
    method: Method[Any],
    learner: Learner,
    settings: TrainSettings,
    first: int,
    stream: Iterator[CropBatch],
    place: Place,
    after_step: AfterStep,
) -> None:
    """Do the steps ``first`` to ``settings.steps``, on the batches of ``stream``, changing the trained models in place.

    Raises TrainingError naming term and step when a loss is no number, and parameter and step when a gradient is none;
    nothing has then been learned from that step.
    """
    for model in method.trained.values():
        model.train()
    for step in range(first, settings.steps):
        batch = next(stream).to(place.device)
        _prepare(method, learner, settings, step)
        losses = _losses(method, batch, step, settings.mixed_precision and place.has_bfloat16)
        _check(losses, step)
        _learn(method, learner, losses, step, settings, place)
        rate = schedule.rate(step, settings.steps, settings.optimiser)
        after_step(step + 1, {name: float(value.detach()) for name, value in losses.items()}, rate)


def _prepare(method: Method[Any], learner: Learner, settings: TrainSettings, step: int) -> None:
    schedule.set_rate(learner.optimiser, schedule.rate(step, settings.steps, settings.optimiser))
    schedule.thaw(learner.parameters, step, settings.steps, settings.optimiser)
    if step >= settings.steps * (1 - settings.frozen_norms):
        for model in method.trained.values():
            if isinstance(model, QuantisedModule):
                model.freeze_norms()


def _losses(method: Method[Any], batch: CropBatch, step: int, mixed_precision: bool) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    with torch.autocast(batch.search.device.type, torch.bfloat16, enabled=mixed_precision):
        for name, model in method.trained.items():
            tensors |= {f"{name}/{key}": value for key, value in model(batch.template, batch.search).items()}
        with torch.no_grad():
            for name, model in method.fixed.items():
                tensors |= {f"{name}/{key}": value for key, value in model(batch.template, batch.search).items()}
    # Losses are sums of many small terms: they take float32 whatever the models answered in.
    context = Context(NamedTensors({name: value.float() for name, value in tensors.items()}), batch, step)
    return {name: value for term in method.terms for name, value in term(context).items()}


def _check(losses: Mapping[str, Tensor], step: int) -> None:
    for name, value in losses.items():
        if not math.isfinite(float(value.detach())):
            raise TrainingError(
                f"step {step + 1}: the loss {name!r} is {float(value.detach())}. The states saved before are as they "
                "were; lower optimiser.rate or clip_norm, or leave out what is wrong with the term"
            )


def _learn(
    method: Method[Any],
    learner: Learner,
    losses: Mapping[str, Tensor],
    step: int,
    settings: TrainSettings,
    place: Place,
) -> None:
    learner.optimiser.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    gradients = {name: p.grad for name, p in learner.parameters.items() if p.grad is not None}
    place.average(gradients.values())
    _check_slopes(gradients, losses, step)
    nn.utils.clip_grad_norm_(learner.parameters.values(), settings.optimiser.clip_norm)
    learner.optimiser.step()
    for model in method.trained.values():
        if isinstance(model, QuantisedModule):
            model.project()


def _check_slopes(gradients: Mapping[str, Tensor], losses: Mapping[str, Tensor], step: int) -> None:
    """Losses may be finite where their slope is not; clipping would then make every parameter NaN."""
    for name, gradient in gradients.items():
        if not gradient.isfinite().all():
            raise TrainingError(
                f"step {step + 1}: the gradient of {name!r} is no number, though the losses {', '.join(losses)} are. "
                "The states saved before are as they were; leave terms out to find the one that is wrong"
            )
