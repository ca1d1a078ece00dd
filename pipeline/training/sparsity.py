"""Fewer spikes as a loss: what a chip's energy follows."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.training.config import SpikeRateTerm
from pipeline.training.term import Context, NamedTensors, Term, TrainingError

SPIKES = "spikes/"
"""What the names of a model's tensors begin with that are 1.0 where a neuron has spiked, and 0.0 elsewhere."""


class SpikeRate(Term):
    """``weight * mean over the layers of max(rate - most, 0)^2``, where a layer's rate is the share of its neurons that
    spike, over all samples and time steps: a layer that keeps its target is left alone. Logged as MODEL/spike_rate.

    The gradient reaches the neurons through their surrogate. The form is this project's own.
    """

    def __init__(self, config: SpikeRateTerm, shapes: NamedTensors) -> None:
        """Raises TrainingError where the model has no layer that spikes."""
        super().__init__(f"{config.model}/spike_rate")
        self._config = config
        begins = f"{config.model}/{SPIKES}"
        self._layers = [name for name in shapes if name.startswith(begins)]
        if not self._layers:
            raise TrainingError(f"{config.model!r} has no layer that spikes")

    def teaches(self, loss: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset(self._config.trains)

    def forward(self, context: Context) -> dict[str, Tensor]:
        rates = torch.stack([context.tensors[name].mean() for name in self._layers])
        above = (rates - self._config.most).clamp(min=0)
        return {self.name: self._config.weight * above.square().mean()}
