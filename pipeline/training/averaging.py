"""Moving averages of weights, which are validated and saved in place of the last step's."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipeline.models.quantisation import QuantisedModule
from pipeline.training.config import AveragingConfig


class Averages:
    """A model beside each trained one, whose tensors follow those of the trained: after step n (from 1)

        average = d average + (1 - d) weights,    d = decay (1 - exp(-n / warm_up))

    (Megvii-BaseDetection/YOLOX 6ddff48, yolox/utils/ema.py, ModelEMA). Norms' means and variances are averaged too,
    whole numbers are taken as they are. models: by the names of the trained ones, in evaluation mode.
    """

    def __init__(self, trained: Mapping[str, nn.Module], config: AveragingConfig) -> None:
        self._trained, self._config = trained, config
        self.models = {name: copy.deepcopy(model).eval().requires_grad_(False) for name, model in trained.items()}
        self._pairs = [
            (average, weights)
            for name, model in self.models.items()
            for average, weights in zip(model.state_dict().values(), trained[name].state_dict().values(), strict=True)
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights as they are after ``step`` steps."""
        config = self._config
        decay = config.decay * (1 - math.exp(-step / config.warm_up)) if config.warm_up else config.decay
        for average, weights in self._pairs:
            if average.is_floating_point():
                average.lerp_(weights, 1 - decay)
            else:
                average.copy_(weights)
        for model in self.models.values():
            if isinstance(model, QuantisedModule):
                model.project()

    def state(self) -> dict[str, Tensor]:
        """Their tensors as NAME/TENSOR."""
        return {
            f"{name}/{key}": value for name, model in self.models.items() for key, value in model.state_dict().items()
        }
