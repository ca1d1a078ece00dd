"""Spiking layers in any feed-forward order, described once: what is trained and what becomes a network read one list.

A layer keeps the sides of its input where it has no stride: kernels are odd and padded with zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from netx import LIF, Concat, Input, Layer, Network, Pool, Range, Upsample, prove_headroom
from netx.types import SPIKES
from pipeline.core.config import Section
from pipeline.models.blocks import Blocks
from pipeline.models.config import LayerRole, NeuronConfig, Part, SurrogateConfig, Threshold
from pipeline.models.initial import initial_deviation, initial_threshold
from pipeline.models.quantisation import ChannelBias, QuantisedModule, fit_to_chip
from pipeline.models.spiking_layers import PlainBlocks
from pipeline.models.to_network import readout_layer, spiking_layer

READOUT_DEVIATION = 0.1
"""Standard deviation of the read-outs' initial weights, SLAYER units. Ours."""

Kind = Literal["conv", "readout", "pool", "concat", "upsample"]

WIRES = ("concat", "upsample")
"""Kinds that have no neurons."""


@dataclass(frozen=True)
class Node:
    """One layer.

    kind: ``conv``, a convolution whose neurons spike; ``readout``, one whose membranes are read; ``pool``, the OR of
    the spikes of a ``conv`` in windows of ``kernel`` times ``kernel``, as far apart; ``concat``, layers side by side;
    ``upsample``, every spike repeated in a square of ``kernel`` times ``kernel``.
    inputs: names of nodes, or of the model's input. channels: of its own. bias: of a read-out at first, SLAYER units.
    role: where it belongs; for what has no weights of its own it says ``pooling``.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    channels: int
    role: LayerRole
    kernel: int = 1
    stride: int = 1
    bias: float = 0.0


class NodeList:
    """Layers of a model, appended one after the other; each method returns the new one's name."""

    def __init__(self, entries: Sequence[Input]) -> None:
        self.nodes: list[Node] = []
        self._channels = {entry.name: entry.shape.channel for entry in entries}
        self._entries = frozenset(self._channels)

    def conv(
        self, name: str, source: str, channels: int, part: Part, kernel: int, stride: int = 1, branch: str | None = None
    ) -> str:
        """A convolution whose neurons spike."""
        role = LayerRole(part, name, branch=branch, first=source in self._entries)
        return self._add(Node(name, "conv", (source,), channels, role, kernel, stride))

    def readout(
        self, name: str, source: str, channels: int, kernel: int = 1, bias: float = 0.0, branch: str | None = None
    ) -> str:
        """A convolution whose membranes are read."""
        role = LayerRole("readout", name, branch=branch)
        return self._add(Node(name, "readout", (source,), channels, role, kernel, bias=bias))

    def pool(self, name: str, source: str, part: Part) -> str:
        """Half the sides."""
        role = LayerRole(part, name, pooling=True)
        return self._add(Node(name, "pool", (source,), self._channels[source], role, 2, 2))

    def upsample(self, name: str, source: str, part: Part) -> str:
        """Twice the sides."""
        role = LayerRole(part, name, pooling=True)
        return self._add(Node(name, "upsample", (source,), self._channels[source], role, kernel=2))

    def beside(self, name: str, part: Part, *sources: str) -> str:
        """Layers side by side."""
        channels = sum(self._channels[source] for source in sources)
        return self._add(Node(name, "concat", sources, channels, LayerRole(part, name, pooling=True)))

    def channels(self, name: str) -> int:
        """Of a layer or an input."""
        return self._channels[name]

    def _add(self, node: Node) -> str:
        self.nodes.append(node)
        self._channels[node.name] = node.channels
        return node.name


class GraphConfig(Section):
    """What the spiking layers of such a model are like."""

    neurons: NeuronConfig = NeuronConfig()
    surrogate: SurrogateConfig = SurrogateConfig()
    thresholds: dict[str, Threshold] = Field(
        default_factory=dict, description="by layer, in place of what follows from its fan-in"
    )


class SpikingGraph(QuantisedModule):
    """The layers of a list of nodes at one time step. entries: the model's inputs.

    roles: of its layers, by name. nodes: in an order in which each follows its inputs.
    """

    def __init__(
        self,
        config: GraphConfig,
        entries: Sequence[Input],
        nodes: Sequence[Node],
        blocks: Blocks | None = None,
        sent: Sequence[str] = (),
    ) -> None:
        """blocks: plain ones where not given; SLAYER's make a model of the same bits with the same state. sent: layers
        whose spikes are wanted outside, beside the membranes of read-outs."""
        super().__init__()
        self.config, self.entries, self.nodes, self.time_steps = config, tuple(entries), tuple(nodes), 1
        self.outputs = (*sent, *(node.name for node in nodes if node.kind == "readout"))
        self.roles = {node.name: node.role for node in nodes if node.kind not in WIRES}
        self.synapses, self.neurons, self.biases = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        self.blocks: Blocks = blocks or PlainBlocks(config.neurons, config.surrogate)
        channels = {entry.name: entry.shape.channel for entry in entries}
        channels |= {node.name: node.channels for node in nodes}
        for node in nodes:
            if node.kind in ("conv", "readout"):
                self._add(node, channels[node.inputs[0]])
        self._set_quantised(True)
        self.project()

    def signals(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What every layer does with inputs by name, (frame, channel, row, column), in SLAYER units, (step, frame,
        channel, row, column): ``spikes/NAME`` of what spikes and ``voltage/NAME`` of a convolution of these,
        ``membrane/NAME`` of a read-out."""
        tensors: dict[str, Tensor] = {}
        values = {entry.name: inputs[entry.name].float()[None] for entry in self.entries}
        for node in self.nodes:
            sources = [values[name] for name in node.inputs]
            if node.kind == "concat":
                values[node.name] = torch.cat(sources, dim=2)
                continue
            if node.kind == "upsample":
                values[node.name] = sources[0].repeat_interleave(node.kernel, -2).repeat_interleave(node.kernel, -1)
                continue
            if node.kind == "readout":
                current = self.synapses[node.name](sources[0])
                tensors[f"membrane/{node.name}"] = self.biases[node.name](current.movedim(0, -1)).movedim(-1, 0)
                continue
            if node.kind == "pool":
                spikes = self._pooled(node, tensors[f"voltage/{node.inputs[0]}"])
            else:
                spikes, tensors[f"voltage/{node.name}"] = self.neurons[node.name](self.synapses[node.name](sources[0]))
            values[node.name] = tensors[f"spikes/{node.name}"] = spikes
        return tensors

    @torch.no_grad()
    def project(self) -> None:
        """Bring the weights back to what the chip can have."""
        for node in self._with_weights():
            fit_to_chip(self.synapses[node.name].weight, self._range(node))

    def network(self) -> Network:
        """Its integers, with head-room proven; outputs are what is sent, and the read-outs.

        Raises QuantizeError with a value that is no integer, HeadroomError where an input could take an accumulator out
        of its range.
        """
        network = Network(self.entries, tuple(self._layer(node) for node in self.nodes), self.outputs)
        prove_headroom(network)
        return network

    def rates(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of ``signals``: the share of each layer's neurons that spike."""
        return {name: tensors[f"spikes/{name}"].mean() for name in self.roles if f"spikes/{name}" in tensors}

    def _add(self, node: Node, inputs: int) -> None:
        name, fan_in, config = node.name, inputs * node.kernel**2, self.config
        values = self._range(node)
        peak = max(abs(values.low), abs(values.high))
        spikes = node.kind == "conv"
        deviation = initial_deviation(fan_in, peak) if spikes else READOUT_DEVIATION
        padding = node.kernel // 2
        self.synapses[name] = self.blocks.synapse(inputs, node.channels, node.kernel, node.stride, deviation, padding)
        if spikes:
            threshold = config.thresholds.get(name) or initial_threshold(deviation, fan_in, peak)
            self.neurons[name] = self.blocks.neuron(threshold, ChannelBias(node.channels, centred=True))
        else:
            self.biases[name] = ChannelBias(node.channels, centred=False, initial=node.bias)

    def _range(self, node: Node) -> Range:
        """Of what a convolution reads: graded where it is an input that is, spikes everywhere else."""
        return next((entry.range for entry in self.entries if entry.name == node.inputs[0]), SPIKES)

    def _with_weights(self) -> Iterator[Node]:
        return (node for node in self.nodes if node.name in self.synapses)

    def _pooled(self, node: Node, voltages: Tensor) -> Tensor:
        """Whether the highest membrane of a window spikes, which lets the gradient reach the neuron that decides."""
        pooled = F.max_pool2d(voltages.flatten(0, 1), node.kernel).unflatten(0, voltages.shape[:2])
        return self.neurons[node.inputs[0]].spikes(pooled)

    def _layer(self, node: Node) -> Layer:
        name, source = node.name, node.inputs[0]
        if node.kind == "concat":
            return Layer(name, node.inputs, Concat())
        if node.kind == "upsample":
            return Layer(name, (source,), Upsample((node.kernel, node.kernel)))
        if node.kind == "pool":
            window = (node.kernel, node.kernel)
            return Layer(name, (source,), Pool(window, window, weight=2), LIF(1))
        if node.kind == "readout":
            return readout_layer(name, source, self.synapses[name], self.biases[name].value)
        return spiking_layer(name, source, self.synapses[name], self.neurons[name])

    def _set_quantised(self, quantised: bool) -> None:
        for module in self.modules():
            for name in ("quantised", "on_grid"):  # of plain blocks and of SLAYER's
                if hasattr(module, name):
                    setattr(module, name, quantised)
