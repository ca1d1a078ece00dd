"""A chain of spiking convolutions that ends in a read-out: the smallest model that a task can have."""

from __future__ import annotations

import math

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from netx import limits
from pipeline.core.config import Section
from pipeline.models.blocks import Blocks
from pipeline.models.config import EXPECTED_RATE, INITIAL_DEVIATION, LayerRole, NeuronConfig, Part, SurrogateConfig
from pipeline.models.quantisation import ChannelBias, QuantisedModule
from pipeline.models.spiking_layers import PlainBlocks
from quantize.slayer import WEIGHT_SCALE

_ROOM = limits.ACTIVATION_MAX + limits.LOIHI_BIAS_MIN
"""Weight units that the weighted inputs of a channel may come to, beside the largest bias."""

_MEAN_MAGNITUDE = math.sqrt(2 / math.pi)
"""Of a normal variable, in standard deviations."""


class LayerConfig(Section):
    """One convolution without padding. part: of the model, to which it belongs."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    channels: int = Field(ge=1, le=512)
    kernel: int = Field(ge=1, le=15)
    stride: int = Field(1, ge=1, le=8)
    part: Part = "backbone"


class ChainConfig(Section):
    """Layers in order, of which all spike but the last, which is read.

    input: its name. shape: (channel, row, column) of what enters the chip, integers from ``low`` to ``high``.
    """

    input: str = "image"
    shape: tuple[int, int, int] = Field(strict=False)
    low: int = 0
    high: int = Field(255, ge=1)
    layers: tuple[LayerConfig, ...] = Field(min_length=1, strict=False)
    neurons: NeuronConfig = NeuronConfig()
    surrogate: SurrogateConfig = SurrogateConfig()

    @model_validator(mode="after")
    def _fits(self) -> ChainConfig:
        side = min(self.shape[1:])
        for layer in self.layers:
            if layer.kernel > side:
                raise ValueError(f"layers: the kernel of {layer.name!r} has {layer.kernel} rows, its input {side}")
            side = (side - layer.kernel) // layer.stride + 1
        return self

    @property
    def peak(self) -> int:
        """Largest magnitude of an input."""
        return max(abs(self.low), abs(self.high))


class SpikingChain(QuantisedModule):
    """Such a chain at one time step. roles: of its layers, by name."""

    def __init__(self, config: ChainConfig, blocks: Blocks | None = None) -> None:
        """blocks: plain ones where not given; SLAYER's make a model of the same bits with the same state."""
        super().__init__()
        self.config, self.time_steps = config, 1
        self.roles = {
            layer.name: LayerRole(layer.part, layer.name, first=index == 0) for index, layer in enumerate(config.layers)
        }
        self.synapses, self.neurons = nn.ModuleDict(), nn.ModuleDict()
        blocks = blocks or PlainBlocks(config.neurons, config.surrogate)
        inputs = config.shape[0]
        for index, layer in enumerate(config.layers):
            fan_in, peak = inputs * layer.kernel**2, config.peak if index == 0 else 1
            deviation = min(INITIAL_DEVIATION, _ROOM / (2 * _MEAN_MAGNITUDE * fan_in * peak * WEIGHT_SCALE))
            self.synapses[layer.name] = blocks.synapse(inputs, layer.channels, layer.kernel, layer.stride, deviation)
            if index < len(config.layers) - 1:
                square = peak**2 / 4 if index == 0 else EXPECTED_RATE
                threshold = _odd(WEIGHT_SCALE * deviation * math.sqrt(fan_in * square))
                self.neurons[layer.name] = blocks.neuron(threshold, ChannelBias(layer.channels, centred=True))
            inputs = layer.channels
        self.bias = ChannelBias(inputs, centred=False)
        self._set_quantised(True)
        self.project()

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Integers (frame, channel, row, column) of any type to signals by name, SLAYER units: ``spikes/NAME`` and
        ``voltage/NAME``, (step, frame, channel, row, column), of layers that spike, and the last layer's membrane
        voltages, (frame, channel, row, column), by its name."""
        tensors: dict[str, Tensor] = {}
        signal = inputs.float()[None]
        for name, synapse in self.synapses.items():
            current = synapse(signal)
            if name in self.neurons:
                signal, voltage = self.neurons[name](current)
                tensors |= {f"spikes/{name}": signal, f"voltage/{name}": voltage}
            else:
                tensors[name] = self.bias(current.movedim(0, -1))[..., 0]
        return tensors

    @torch.no_grad()
    def project(self) -> None:
        """Clip weights to 8 bits, and shrink any channel whose accumulator an input could take out of 24 bits."""
        low, high = limits.WEIGHT_MIN / WEIGHT_SCALE, (limits.WEIGHT_MAX - 1) / WEIGHT_SCALE
        peak = self.config.peak
        for synapse in self.synapses.values():
            weight = synapse.weight.clamp_(low, high)
            # What a channel may use: the limit, less the largest bias, less half a step a weight for rounding.
            room = _ROOM - peak * weight[0].numel()
            worst = weight.flatten(1).abs().sum(dim=1) * (WEIGHT_SCALE * peak)
            weight.mul_((room / worst).clamp(max=1.0).reshape(-1, 1, 1, 1, 1))
            peak = 1

    def _set_quantised(self, quantised: bool) -> None:
        for module in self.modules():
            for name in ("quantised", "on_grid"):  # of plain blocks and of SLAYER's
                if hasattr(module, name):
                    setattr(module, name, quantised)


def _odd(threshold: float) -> int:
    return min(2 * round(threshold / 2) + 1, limits.THRESHOLD_MAX)
