"""The parts of a training's configuration that every task has: optimisers, learners, steps, what a loss term says."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.core.config import Section
from pipeline.models.blocks import BlockChoice


def _regular(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_regular)]
"""Regular expression, searched in parameters' names such as ``student.synapses.conv1.weight``."""


class Freeze(Section):
    """Parameters that stay as they are until a share of training is over; 1 is for ever."""

    pattern: Pattern
    until: float = Field(1.0, gt=0, le=1)


class RateFactor(Section):
    """Parameters that learn at ``factor`` times the learning rate; the first pattern that matches counts."""

    pattern: Pattern
    factor: float = Field(gt=0)


class OptimiserConfig(Section):
    """SGD with momentum, or Adam. A warm-up from ``first_rate`` to ``rate``, then a cosine to ``last_rate``.

    YOLOX has ``kind: sgd``, ``nesterov: true``, ``decayed: weights``, ``warm_up_power: 2``, a ``last_rate`` of .05
    times ``rate``, and as ``flat`` the part without mosaic (yolox/exp/yolox_base.py, yolox/utils/lr_scheduler.py).
    """

    kind: Literal["sgd", "adam"] = "adam"
    rate: float = Field(0.005, gt=0, le=1)
    first_rate: float = Field(1e-6, ge=0, le=1)
    last_rate: float = Field(1e-6, gt=0, le=1)
    warm_up: int = Field(100, ge=0, description="steps")
    warm_up_power: int = Field(1, ge=1, le=4, description="of the share of the warm-up that is over: 1 is a line")
    flat: float = Field(0.0, ge=0, lt=1, description="last part of training that has last_rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD's; Adam's first decay (beta 1)")
    nesterov: bool = Field(False, description="SGD looks ahead along its momentum")
    second_moment: float = Field(0.999, ge=0, lt=1, description="Adam's second decay (beta 2)")
    weight_decay: float = Field(0.0, ge=0, le=1)
    decayed: Literal["all", "weights"] = Field(
        "all", description="parameters that weight_decay acts on: weights are those that are no bias and no norm's"
    )
    clip_norm: float = Field(10.0, gt=0, description="largest norm of the gradient")
    factors: tuple[RateFactor, ...] = ()
    freeze: tuple[Freeze, ...] = ()

    @model_validator(mode="after")
    def _looks_ahead(self) -> OptimiserConfig:
        if self.nesterov and (self.kind != "sgd" or self.momentum == 0):
            raise ValueError("nesterov: is for sgd with momentum")
        return self


MAIN = "main"
"""The learner of all that no other learner has; its optimiser is ``train.optimiser``."""


class LearnerConfig(Section):
    """Models and loss terms that learn apart from the others: by an optimiser and a schedule of their own, from the
    losses that teach them."""

    members: tuple[str, ...] = Field(
        min_length=1, description="names of models, and losses.NAME for the parameters of the loss term NAME"
    )
    optimiser: OptimiserConfig = OptimiserConfig()
    every: int = Field(1, ge=1, description="steps between two of this learner's; the first step is one of them")


_SOFTNESS = 0.05
"""What a file that is written down again says of a gate that has none."""


class OnlineConfig(Section):
    """A student and a teacher that learn in the same steps, and a gate on the teacher's learning rate:
    ``pipeline.training.gate``, whose formulas are SwitOKD's and ours."""

    student: str
    teacher: str
    gate: Literal["switch", "smooth"] = Field(
        "switch", description="switch: the teacher learns or not, as published; smooth: its rate falls with the gap"
    )
    behind: Literal["learns", "pauses"] = Field(
        "learns",
        description="a teacher that is worse than its student: learns (the authors' code), or is held to the gap alone "
        "(as published)",
    )
    softness: float = Field(
        _SOFTNESS, gt=0, le=10, description="of smooth: margin at which the rate is 0.73 of its own"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> OnlineConfig:
        if self.student == self.teacher:
            raise ValueError(f"teacher: is {self.teacher!r}, which is its own student")
        if self.gate == "switch" and self.softness != _SOFTNESS:
            raise ValueError("softness: is for 'gate: smooth'")
        return self


class AveragingConfig(Section):
    """Moving averages of the weights. Defaults are YOLOX's (yolox/core/trainer.py, yolox/utils/ema.py)."""

    decay: float = Field(0.9998, ge=0, lt=1, description="share of the average that a step leaves as it is")
    warm_up: float = Field(2000, ge=0, description="steps after which that is 63 % of decay; less before")


class TrainSettings(Section):
    """How long, and how."""

    steps: int = Field(ge=1)
    batch: int = Field(16, ge=2, description="samples a step, on each GPU")
    optimiser: OptimiserConfig = OptimiserConfig()
    averaging: AveragingConfig | None = Field(
        None, description="moving averages of the weights, validated and saved in their place; None for none"
    )
    blocks: BlockChoice = Field(
        "auto",
        description="layers of spiking models in training: lava-dl's SLAYER, or plain ones of the same bits and "
        "gradients, which are faster; auto: SLAYER's wherever it is installed",
    )
    frozen_norms: float = Field(0.25, ge=0, le=1, description="last part of training with the biases of the chip")
    mixed_precision: bool = Field(False, description="bfloat16 where exactness isn't needed: nothing that spikes")
    workers: int = Field(1, ge=0, le=64, description="processes that prepare batches; the result is the same with any")
    save_every: int = Field(200, ge=1, description="steps between states that a stopped training resumes from")
    log_every: int = Field(20, ge=1)


class TermSection(Section):
    """A loss term. Which models it looks at, and which of them it teaches, is known before there is any tensor."""

    kind: str

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models it looks at."""
        raise NotImplementedError

    @property
    def trains(self) -> tuple[str, ...]:
        """Names of the models it teaches."""
        raise NotImplementedError

    @property
    def acts(self) -> bool:
        """Whether it takes part: a term of weight 0 is left out."""
        return getattr(self, "weight", 1.0) > 0


class OwnTerm(TermSection):
    """A loss that a model learns by itself, without another one."""

    model: str

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models it looks at."""
        return (self.model,)

    @property
    def trains(self) -> tuple[str, ...]:
        """Names of the models it teaches."""
        return (self.model,)


class SpikeRateTerm(OwnTerm):
    """Layers that spike more than wanted: ``pipeline.training.sparsity``. Logged as MODEL/spike_rate."""

    kind: Literal["spike_rate"]
    most: float = Field(0.1, ge=0, lt=1, description="share of a layer's neurons that may spike and cost nothing")
    weight: float = Field(100.0, ge=0)
