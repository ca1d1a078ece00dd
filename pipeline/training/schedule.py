"""What changes as a training goes on: the learning rate, and which parameters learn."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from pipeline.training.config import OptimiserConfig
from pipeline.training.term import TrainingError


def learning_rate(step: int, steps: int, config: OptimiserConfig) -> float:
    """Learning rate of step ``step``, counted from 0: a line up to ``rate`` or a power of it, half a cosine down, and
    ``last_rate`` where the rest is flat."""
    if step < config.warm_up:
        risen = ((step + 1) / config.warm_up) ** config.warm_up_power
        return config.first_rate + (config.rate - config.first_rate) * risen
    end = steps - round(config.flat * steps)
    done = min((step - config.warm_up) / max(end - config.warm_up, 1), 1)
    return config.last_rate + (config.rate - config.last_rate) * 0.5 * (1 + math.cos(math.pi * done))


def learning_parameters(models: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """The parameters that can learn, by names such as ``student.synapses.conv1.weight``."""
    return {
        f"{model_name}.{name}": parameter
        for model_name, model in models.items()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def build_optimiser(
    parameters: Mapping[str, nn.Parameter], config: OptimiserConfig, key: str = "train.optimiser"
) -> torch.optim.Optimizer:
    """SGD or Adam, with a group for each factor of the learning rate, which stands in the place of its rate until
    ``build_schedule`` multiplies it, and one more where some of its parameters are not decayed.

    key: where the configuration stands. Raises TrainingError at a pattern of ``factors`` or ``freeze`` that is in no
    parameter's name.
    """
    for part, rules in (("factors", config.factors), ("freeze", config.freeze)):
        for rule in rules:
            if not any(re.search(rule.pattern, name) for name in parameters):
                names = ", ".join(list(parameters)[:3])
                raise TrainingError(f"{key}.{part}: {rule.pattern!r} is in no parameter's name; they are {names}, ...")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        factors = [factor.factor for factor in config.factors if re.search(factor.pattern, name)]
        # Biases, and norms' scales, are vectors; whatever multiplies several inputs has more axes.
        decay = config.weight_decay if config.decayed == "all" or parameter.ndim > 1 else 0.0
        groups.setdefault((factors[0] if factors else 1.0, decay), []).append(parameter)
    described = [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()]
    if config.kind == "sgd":
        return torch.optim.SGD(described, 1.0, config.momentum, nesterov=config.nesterov)
    return torch.optim.Adam(described, 1.0, (config.momentum, config.second_moment))


def build_schedule(optimiser: torch.optim.Optimizer, steps: int, config: OptimiserConfig) -> LambdaLR:
    """``learning_rate`` of each step, times each group's factor.

    As a function of the step rather than as torch's LinearLR and CosineAnnealingLR in sequence: those multiply each
    rate by a ratio to have the next, and their last rate doesn't know of groups' factors.
    """
    return LambdaLR(optimiser, lambda step: learning_rate(step, steps, config))


def thaw(
    parameters: Mapping[str, nn.Parameter], step: int, steps: int, config: OptimiserConfig, key: str = "train.optimiser"
) -> None:
    """Let exactly those parameters learn that are not frozen at ``step``. Raises TrainingError where none is left."""
    for name, parameter in parameters.items():
        frozen = any(step < rule.until * steps and re.search(rule.pattern, name) for rule in config.freeze)
        parameter.requires_grad_(not frozen)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise TrainingError(f"step {step + 1}: {key}.freeze leaves no parameter that could learn; freeze fewer")
