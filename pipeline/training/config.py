"""The configuration of a training: one YAML file, every key checked."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipeline.core.config import Section


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
    """SGD with momentum, or Adam. A linear warm-up from ``first_rate`` to ``rate``, then a cosine to ``last_rate``."""

    kind: Literal["sgd", "adam"] = "adam"
    rate: float = Field(0.005, gt=0, le=1)
    first_rate: float = Field(1e-6, ge=0, le=1)
    last_rate: float = Field(1e-6, gt=0, le=1)
    warm_up: int = Field(100, ge=0, description="steps")
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0, le=1)
    clip_norm: float = Field(10.0, gt=0, description="largest norm of the gradient")
    factors: tuple[RateFactor, ...] = ()
    freeze: tuple[Freeze, ...] = ()
