"""A network layer by layer as C sees it: which arrays there are, of which types, and how wide sums have to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netx import limits
from netx.arrays import IntArray
from netx.c_source.memory import Constants, Member, narrowest
from netx.errors import NetworkError
from netx.network import Input, Layer, Network
from netx.neurons import LIF, Accumulator, Delta, Neuron, Sigma, SigmaDelta, channel_bias
from netx.synapses import Concat, Conv2d, Correlation, Dense, Direct, Flatten, Pool, Recurrent, Upsample
from netx.types import Shape

_MACROS = {
    LIF: "lif", Accumulator: "accumulator", Sigma: "sigma", Delta: "delta", SigmaDelta: "sigma_delta"
}  # fmt: skip
"""Of ``neurons.c.j2``."""

_WIDEST = 1 << 62
"""Sums are added up in 64 bits, the sign among them."""


@dataclass(frozen=True)
class Value:
    """Where what a layer or an input sends stands. expression: in a function that has the state as ``s``."""

    expression: str
    type: str
    shape: Shape


@dataclass(frozen=True)
class CSum:
    """How one synapse adds up. kind: conv, pool, correlation, dense or direct.

    type: of the sum. factor: a power of two by which it is multiplied. right: bits by which it is shifted right,
    rounded down. checked: it may leave 32 bits, which ends the step. wraps: it may leave 24 bits, where it wraps.
    weight, delay: names of constants. index: of a delay. most: the longest delay. values: what C multiplies with.
    """

    kind: str
    synapse: Any
    source: Shape
    values: str
    type: str = "int32_t"
    factor: int = 1
    right: int = 0
    checked: bool = False
    wraps: bool = False
    weight: str = ""
    delay: str = ""
    index: str = ""
    most: int = 0
    ring: str = ""


@dataclass(frozen=True)
class CLayer:
    """A layer in C. number: from 1, as the network has it. sums: none for a wire, two for one that feeds back."""

    number: int
    layer: Layer
    shape: Shape
    comment: str
    output: Value
    inputs: tuple[Value, ...]
    sums: tuple[CSum, ...] = ()
    members: tuple[Member, ...] = ()
    bias: str = ""

    @property
    def kind(self) -> str:
        """Of its neurons, as the macros are called; empty for a wire."""
        return _MACROS[type(self.layer.neuron)] if self.layer.neuron is not None else ""

    @property
    def runs(self) -> bool:
        """Whether there is anything to do: what is flattened lies as it did."""
        return not isinstance(self.layer.synapse, Flatten)

    @property
    def full(self) -> bool:
        """Whether it is fully connected."""
        return bool(self.sums) and self.sums[0].kind == "dense"

    @property
    def kept(self) -> tuple[str, ...]:
        """What a LIF remembers that its reset interval clears."""
        names = (f"u_{self.number}", f"v_{self.number}")
        return tuple(member.name for member in self.members if member.name in names)

    @property
    def upsamples(self) -> bool:
        """Whether it is a wire that makes a map larger."""
        return isinstance(self.layer.synapse, Upsample)

    @property
    def resets(self) -> bool:
        """Whether a LIF has a reset interval that matters."""
        return any(member.name == f"until_{self.number}" for member in self.members)

    @property
    def name(self) -> str:
        """As the network has it: letters, digits and underscores."""
        return self.layer.name

    @property
    def fails(self) -> bool:
        """Whether a sum may leave 32 bits."""
        return any(one.checked for one in self.sums)


@dataclass
class Plan:
    """All layers of a network in C, and the constants that they share."""

    network: Network
    constants: Constants = field(default_factory=Constants)
    layers: dict[str, CLayer] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for source in self.network.inputs:
            self.values[source.name] = Value(f"in_{source.name}", input_type(source), source.shape)
        for number, layer in enumerate(self.network.layers, 1):
            try:
                self.layers[layer.name] = self._layer(number, layer)
            except NetworkError as error:
                raise NetworkError(f"layer {layer.name!r}: {error}") from None
            self.values[layer.name] = self.layers[layer.name].output

    @property
    def members(self) -> list[Member]:
        """The state: the widest members first, so that there is no gap between any two."""
        found = [member for layer in self.layers.values() for member in layer.members]
        return sorted(found, key=lambda member: member.type != "int32_t")

    def _layer(self, number: int, layer: Layer) -> CLayer:
        inputs = tuple(self.values[name] for name in layer.inputs)
        shape = self.network.shape(layer.name)
        comment = f"{layer.name}: {type(layer.synapse).__name__} from {', '.join(layer.inputs)}, {shape}"
        if isinstance(layer.synapse, Flatten):
            same = Value(inputs[0].expression, inputs[0].type, shape)
            return CLayer(number, layer, shape, comment, same, inputs)
        sends = "uint8_t" if isinstance(layer.neuron, LIF) else "int32_t"
        if isinstance(layer.synapse, (Concat, Upsample)):
            kinds = {value.type for value in inputs}
            sends = kinds.pop() if len(kinds) == 1 else "int32_t"
        output = Member(f"out_{number}_{layer.name}", sends, shape.size, f"what {layer.name} sends, {shape}")
        sums = tuple(self._sums(number, layer, inputs))
        members = [output, *_ring_members(sums, shape), *_neuron_members(number, layer, shape)]
        if isinstance(layer.synapse, Correlation):
            kernel = self.network.shape(layer.inputs[1])
            members.append(Member(f"kernel_{number}", "uint8_t", kernel.size, f"the template's spikes, {kernel}"))
        neuron = layer.neuron
        bias = ""
        if neuron is not None:
            comment += f", {describe(neuron)}"
            if neuron.bias.size:
                bias = self.constants.add(f"bias_{number}", channel_bias(neuron, shape), "int32_t")
        place = Value(f"s->{output.name}", sends, shape)
        return CLayer(number, layer, shape, comment, place, inputs, sums, tuple(members), bias)

    def _sums(self, number: int, layer: Layer, inputs: tuple[Value, ...]) -> list[CSum]:
        synapse, values = layer.synapse, inputs[0]
        largest = max(abs(end) for end in self.network.range(layer.inputs[0]))
        if isinstance(synapse, Recurrent):
            before = Value(f"s->before_{number}", "uint8_t", self.network.shape(layer.name))
            forward = self._dense(f"{number}", synapse.forward, values, largest)
            return [forward, self._dense(f"{number}_fed", synapse.feedback, before, 1)]
        if isinstance(synapse, Dense):
            return [self._dense(f"{number}", synapse, values, largest)]
        if isinstance(synapse, Direct):
            return [CSum("direct", synapse, values.shape, "in")]
        if isinstance(synapse, Conv2d):
            weight = self.constants.add(f"weight_{number}", synapse.weight)
            gain = _gain(synapse.weight)
            return [_sum("conv", synapse, values, largest * gain, synapse.weight_exponent, weight)]
        if isinstance(synapse, Pool):
            taps = synapse.kernel[0] * synapse.kernel[1]
            return [_sum("pool", synapse, values, largest * taps * synapse.weight, 0)]
        if isinstance(synapse, Correlation):
            kernel = self.network.shape(layer.inputs[1])
            bound = largest * kernel.height * kernel.width * synapse.gain
            return [_sum("correlation", synapse, values, bound, 0, f"s->kernel_{number}")]
        return []

    def _dense(self, number: str, synapse: Dense, values: Value, largest: int) -> CSum:
        effective = synapse.effective_weight
        weight = self.constants.add(f"weight_{number}", effective)
        local = "in" if values.expression != f"s->before_{number.removesuffix('_fed')}" else values.expression
        delay = index = ring = ""
        most = int(synapse.delay.max())
        if most:
            delay, ring = self.constants.add(f"delay_{number}", synapse.delay), f"ring_{number}"
            rows, columns = synapse.delay.shape
            outs, ins = effective.shape
            index = {(True, True): f"o * {ins} + i", (True, False): "o", (False, True): "i"}.get(
                (rows == outs, columns == ins), "0"
            )
        plain = _sum("dense", synapse, values, largest * _gain(effective), synapse.weight_exponent, weight, local)
        return CSum(**{**plain.__dict__, "delay": delay, "index": index, "most": most, "ring": ring})


def input_type(source: Input) -> str:
    """The C type of one value of an input's frames."""
    return narrowest(*source.range)


def describe(neuron: Neuron) -> str:
    """Neurons in a comment."""
    text = type(neuron).__name__
    if isinstance(neuron, LIF):
        text += f" above {neuron.threshold}"
        if not neuron.memoryless:
            text += f", decays {neuron.current_decay} and {neuron.voltage_decay} of {limits.DECAY_ONE}"
        if neuron.reset_interval is not None:
            text += f", at rest every {neuron.reset_interval} frames"
        if neuron.refractory:
            text += f", refractory for {neuron.refractory}"
    elif isinstance(neuron, (Delta, SigmaDelta)):
        text += f" from {neuron.threshold}"
    return text


def _sum(
    kind: str, synapse: Any, source: Value, bound: int, exponent: int, weight: str = "", values: str = "in"
) -> CSum:
    scaled = bound << max(exponent, 0)
    if scaled >= _WIDEST:
        raise NetworkError(f"its sums may reach {scaled}, and C adds them up in 64 bits: narrow its input")
    return CSum(
        kind=kind,
        synapse=synapse,
        source=source.shape,
        values=values,
        type="int32_t" if scaled <= limits.GRADED_MAX else "int64_t",
        factor=1 << max(exponent, 0),
        right=max(-exponent, 0),
        checked=scaled > limits.GRADED_MAX,
        wraps=kind != "dense" and scaled >= 1 << (limits.STATE_BITS - 1),
        weight=weight,
    )


def _gain(weight: IntArray) -> int:
    return int(np.abs(weight.reshape(len(weight), -1).astype(np.int64)).sum(axis=1).max())


def _ring_members(sums: tuple[CSum, ...], shape: Shape) -> list[Member]:
    """What is still on its way through delays, and where in it now is."""
    found = []
    for one in sums:
        if one.most:
            size = (one.most + 1) * shape.size
            found.append(Member(one.ring, "int32_t", size, f"on its way, {one.most + 1} steps of {shape}", True))
            found.append(Member(f"now_{one.ring}", "int32_t", None, "the step that arrives now", True))
    return found


def _neuron_members(number: int, layer: Layer, shape: Shape) -> list[Member]:
    neuron = layer.neuron

    def state(name: str, comment: str) -> Member:
        return Member(f"{name}_{number}", "int32_t", shape.size, comment, True)

    found = []
    if isinstance(layer.synapse, Recurrent):
        found.append(Member(f"before_{number}", "uint8_t", shape.size, "spikes of the step before", True))
    if isinstance(neuron, LIF) and not neuron.memoryless:
        if neuron.current_decay != limits.DECAY_ONE:
            found.append(state("u", "current, in 1/64 weight unit"))
        if neuron.voltage_decay != limits.DECAY_ONE:
            found.append(state("v", "voltage, in 1/64 weight unit"))
        if neuron.refractory:
            found.append(state("wait", "steps that it still rests"))
        if neuron.reset_interval is not None:
            first = neuron.reset_offset % neuron.reset_interval
            found.append(Member(f"until_{number}", "int32_t", None, "frames until all is forgotten", True, first))
    if isinstance(neuron, (Sigma, SigmaDelta)):
        found.append(state("sigma", "sum of all activations"))
    if isinstance(neuron, (Delta, SigmaDelta)):
        found += [state("act", "activation of the step before"), state("residue", "what was not sent")]
    return found


__all__ = ["CLayer", "CSum", "Plan", "describe", "input_type"]
