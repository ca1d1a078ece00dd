"""Models, a loss and batches of no task at all, for tests of the training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import torch
from torch import Tensor, nn

from pipeline.core.config import Section
from pipeline.core.task import Batch
from pipeline.training.config import OptimiserConfig, TrainSettings
from pipeline.training.distributed import DistributedContext
from pipeline.training.learners import Learner
from pipeline.training.loop import train
from pipeline.training.method import Method
from pipeline.training.term import Context, NamedTensors, Term

CPU = DistributedContext(torch.device("cpu"))
STEPS = 6
SETTINGS = TrainSettings(steps=STEPS, workers=0, optimiser=OptimiserConfig(rate=0.01, warm_up=2, clip_norm=1.0))


class Net(nn.Module):
    """Images (sample, 1, 6, 6) to maps of features and of scores."""

    def __init__(self, seed: int, channels: int = 4) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.config = Section()
        self.first, self.last = nn.Conv2d(1, channels, 3), nn.Conv2d(channels, 1, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.first(images).tanh()
        return {"features": features, "class": self.last(features)}


class Truth(Term):
    """Squared error of a model's scores."""

    def __init__(self, model: str) -> None:
        super().__init__(f"{model}/truth")
        self.model = model

    def teaches(self, loss: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset({self.model})

    def forward(self, context: Context) -> dict[str, Tensor]:
        return {self.name: (context.tensors[f"{self.model}/class"] - context.batch["wanted"]).square().mean()}


def stream(first: int = 0) -> Iterator[Batch]:
    """Batches of steps ``first`` and on."""
    for step in range(first, STEPS):
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(3, 1, 6, 6, generator=generator)
        yield Batch({"images": images, "wanted": images[..., 1:5, 1:5].abs()}, ("images",))


def shapes(student: int = 4, teacher: int = 4) -> NamedTensors:
    """Of both models' features, with so many channels."""
    channels = {"student": student, "teacher": teacher}
    return NamedTensors({f"{name}/features": torch.zeros(1, count, 4, 4) for name, count in channels.items()})


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of its parameters."""
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether parameters are equal to the bit."""
    return all(torch.equal(value, second[name]) for name, value in first.items())


def run(method: Method, learners: list[Learner], first: int = 0, last: int = STEPS) -> list[dict[str, float]]:
    """Steps ``first`` to ``last`` of the training; what each step said, rates as rate/LEARNER."""

    class _StopError(Exception):
        pass

    said: list[dict[str, float]] = []

    def after_step(step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        said.append({**losses, **{f"rate/{name}": rate for name, rate in rates.items()}})
        if step == last:
            raise _StopError

    with suppress(_StopError):
        train(method, learners, SETTINGS, first, stream(first), CPU, after_step)
    return said
