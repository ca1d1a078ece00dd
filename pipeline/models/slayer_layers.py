"""The layers of ``spiking_layers`` from lava-dl's SLAYER: what is trained wherever it is installed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from netx.errors import MonospikeError
from pipeline.models.config import NeuronConfig, SurrogateConfig
from pipeline.models.slayer import slayer
from pipeline.models.spiking_layers import STATE_SCALE, convolve, slayers_surrogate
from quantize.slayer import WEIGHT_SCALE


class SlayerSynapse(slayer.synapse.Conv):
    """``slayer.synapse.Conv`` on signals of (step, frame, channel, row, column).

    Its weights and their quantiser are SLAYER's. The convolution is the plain layers': SLAYER's own ``conv3d`` of
    kernels one step deep has the same sums, which are exact, but torch adds up its gradients in another order.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, deviation: float, padding: int = 0) -> None:
        # Any neuron lends its quantiser, which depends on the scale of weights alone.
        self._quantiser = slayer.neuron.cuba.Neuron(1.0, 1.0, 1.0).quantize_8bit
        super().__init__(inputs, outputs, kernel, stride, padding, pre_hook_fx=self._quantiser)
        nn.init.normal_(self.weight, std=deviation)

    @property
    def quantised(self) -> bool:
        """Whether the weights are even integers."""
        return self._pre_hook_fx is not None

    @quantised.setter
    def quantised(self, quantised: bool) -> None:
        self._pre_hook_fx = self._quantiser if quantised else None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self._pre_hook_fx is None else self._pre_hook_fx(self.weight)
        return convolve(x, weight, self.stride[:2], self.padding[:2])


class SlayerNeuron(slayer.neuron.cuba.Neuron):
    """``slayer.neuron.cuba.Neuron`` on signals of (step, frame, channel, row, column), of any size at each call."""

    def __init__(self, settings: NeuronConfig, surrogate: SurrogateConfig, threshold: int, norm: nn.Module) -> None:
        super().__init__(
            threshold / WEIGHT_SCALE,
            settings.current_decay,
            settings.voltage_decay,
            **slayers_surrogate(surrogate),
            requires_grad=settings.learn_decays,
        )
        self.norm = norm
        if settings.learn_decays:
            # SLAYER's ``_li_dynamics_bwd`` leaves out the decay's factor of -1/4096 (leaky_integrator.py): a step along
            # its gradient would go the wrong way.
            for decay in (self.current_decay, self.voltage_decay):
                decay.register_hook(lambda gradient: -gradient / STATE_SCALE)

    def forward(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """(spikes, voltages before the reset) of each step of ``current``."""
        self.shape = None
        self.current_state = self.voltage_state = torch.zeros(1, device=current.device)
        _, voltage = self.dynamics(current.movedim(0, -1))
        return self.spike(voltage).movedim(-1, 0), voltage.movedim(-1, 0)

    def spikes(self, voltages: Tensor) -> Tensor:
        """1.0 where a voltage passes the threshold, else 0.0."""
        return self.spike(voltages.movedim(0, -1)).movedim(-1, 0)


class SlayerBlocks:
    """Makes the layers of a student from SLAYER."""

    def __init__(self, settings: NeuronConfig, surrogate: SurrogateConfig) -> None:
        """Raises MonospikeError for what SLAYER's CUBA neurons don't have."""
        if settings.reset != "zero":
            raise MonospikeError(f"neurons.reset: SLAYER's neurons reset to zero, not by {settings.reset!r}")
        if surrogate.shape != "exponential":
            raise MonospikeError(f"surrogate.shape: SLAYER has the exponential one, not {surrogate.shape!r}")
        self._settings, self._surrogate = settings, surrogate

    def synapse(
        self, inputs: int, outputs: int, kernel: int, stride: int, deviation: float, padding: int = 0
    ) -> nn.Module:
        """A convolution with integer weights, whose initial ones have the standard deviation ``deviation``."""
        return SlayerSynapse(inputs, outputs, kernel, stride, deviation, padding)

    def neuron(self, threshold: int, norm: nn.Module) -> nn.Module:
        """Spiking neurons; ``norm`` acts on their current."""
        return SlayerNeuron(self._settings, self._surrogate, threshold, norm)
