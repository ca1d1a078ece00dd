"""A chain of spiking convolutions that ends in a read-out: the smallest model that a task can have."""

from __future__ import annotations

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from netx import Range
from netx.types import SPIKES
from pipeline.core.config import Section
from pipeline.models.blocks import Blocks
from pipeline.models.config import LayerRole, NeuronConfig, Part, SurrogateConfig
from pipeline.models.initial import initial_deviation, initial_threshold
from pipeline.models.quantisation import ChannelBias, QuantisedModule, fit_to_chip
from pipeline.models.spiking_layers import PlainBlocks


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
            deviation = initial_deviation(fan_in, peak)
            self.synapses[layer.name] = blocks.synapse(inputs, layer.channels, layer.kernel, layer.stride, deviation)
            if index < len(config.layers) - 1:
                threshold = initial_threshold(deviation, fan_in, peak)
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
        inputs = Range(self.config.low, self.config.high)
        for synapse in self.synapses.values():
            fit_to_chip(synapse.weight, inputs)
            inputs = SPIKES

    def _set_quantised(self, quantised: bool) -> None:
        for module in self.modules():
            for name in ("quantised", "on_grid"):  # of plain blocks and of SLAYER's
                if hasattr(module, name):
                    setattr(module, name, quantised)
