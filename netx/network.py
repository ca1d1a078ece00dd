"""A deployable network: an immutable directed graph of layers in integers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy.typing as npt

from netx import limits
from netx.errors import NetworkError
from netx.foreign import listed
from netx.neurons import GRADED, LIF, Accumulator, Neuron, check_bias_fits
from netx.synapses import WIRES, Conv2d, Correlation, Dense, Direct, Recurrent, Synapse, Upsample
from netx.types import SPIKES, Pair, Range, Shape, as_shape

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Input:
    """Where frames enter. ``range``: the integers they may hold; (0, 1) for spikes, wider for graded pixels."""

    name: str
    shape: Shape
    range: Range = SPIKES

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", as_shape(self.shape, f"input {self.name!r}: shape"))
        object.__setattr__(self, "range", Range(*self.range))
        if self.range.low >= self.range.high:
            raise NetworkError(f"input {self.name!r}: the range {self.range} is empty")
        if self.range.low < limits.GRADED_MIN or self.range.high > limits.GRADED_MAX:
            raise NetworkError(f"input {self.name!r}: the range {self.range} is beyond 32 bits")


@dataclass(frozen=True)
class Layer:
    """One layer: a synapse from the named inputs, and the neurons it feeds.

    ``neuron`` is None for the wires (Flatten, Concat, Upsample) and for nothing else.
    """

    name: str
    inputs: tuple[str, ...]
    synapse: Synapse
    neuron: Neuron | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if (self.neuron is None) != isinstance(self.synapse, WIRES):
            has, kind = ("no" if self.neuron is None else "a"), type(self.synapse).__name__
            raise NetworkError(f"layer {self.name!r}: {kind} cannot have {has} neuron")
        if isinstance(self.synapse, Recurrent) and not isinstance(self.neuron, LIF):
            raise NetworkError(f"layer {self.name!r}: Recurrent feeds back spikes, and only LIF neurons spike")


@dataclass(frozen=True)
class Network:
    """Inputs, layers in an order in which each follows its inputs, and the names of the output layers.

    Construction checks names, order, shapes and value ranges, and raises NetworkError naming the layer.
    A network is a value: it is never changed, and equal networks compare equal.
    """

    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    _shapes: Mapping[str, Shape] = field(init=False, repr=False, compare=False)
    _ranges: Mapping[str, Range] = field(init=False, repr=False, compare=False)
    _apart: Mapping[str, Pair] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("inputs", "layers", "outputs"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.inputs or not self.layers or not self.outputs:
            raise NetworkError("a network needs at least one input, one layer and one output")
        shapes: dict[str, Shape] = {}
        ranges: dict[str, Range] = {}
        apart = {
            layer.name: layer.synapse.factor
            for layer in self.layers
            if isinstance(layer.synapse, Upsample) and layer.synapse.zeros
        }
        for source in self.inputs:
            _check_name(source.name, shapes)
            shapes[source.name], ranges[source.name] = source.shape, source.range
        for layer in self.layers:
            _check_name(layer.name, shapes)
            try:
                shapes[layer.name] = _layer_shape(layer, shapes)
                ranges[layer.name] = _layer_range(layer, shapes, ranges, apart)
            except NetworkError as error:
                raise NetworkError(f"layer {layer.name!r}: {error}") from None
        layer_names = {layer.name for layer in self.layers}
        for name in self.outputs:
            if name not in layer_names:
                raise NetworkError(f"output {name!r} is not a layer")
        if len(set(self.outputs)) != len(self.outputs):
            raise NetworkError(f"an output is named twice: {', '.join(self.outputs)}")
        object.__setattr__(self, "_shapes", shapes)
        object.__setattr__(self, "_ranges", ranges)
        object.__setattr__(self, "_apart", apart)

    def layer(self, name: str) -> Layer:
        """The layer called ``name``. Raises NetworkError when there is none."""
        try:
            return self._by_name[name]
        except KeyError:
            raise NetworkError(f"no layer is called {name!r}; there are {listed(self._by_name)}") from None

    def shape(self, name: str) -> Shape:
        """Shape of the layer or input called ``name``."""
        if name not in self._shapes:
            raise NetworkError(f"no layer or input is called {name!r}; there are {listed(self._shapes)}")
        return self._shapes[name]

    def range(self, name: str) -> Range:
        """Range of the integers that the layer or input called ``name`` sends."""
        self.shape(name)
        return self._ranges[name]

    def activation_range(self, name: str) -> tuple[npt.NDArray, npt.NDArray]:
        """Smallest and largest activation of each channel of a layer, in weight units and without bias.

        Two int64 arrays of shape (channel,). Raises NetworkError for a layer without neurons.
        """
        layer = self.layer(name)
        if isinstance(layer.synapse, WIRES):
            raise NetworkError(f"layer {name!r} has no neurons")
        return _activation_range(layer, self._shapes, self._ranges, self._apart)

    def consumers(self, name: str) -> tuple[Layer, ...]:
        """The layers that read the layer or input called ``name``."""
        return self._readers.get(name, ())

    @property
    def memoryless(self) -> bool:
        """True when the outputs of a time step depend on that step's inputs alone."""
        return not any(_remembers(layer) for layer in self.layers)

    def depth(self, name: str) -> int:
        """Number of layers with synapses on the longest way from an input to ``name``, itself included.

        It is the number of steps by which Lava is late there: a synapse takes one, neurons and wires take none.
        """
        return self._depths.get(name, 0)

    def subnetwork(self, outputs: Iterable[str]) -> Network:
        """The part that the named layers depend on, with these as its outputs."""
        outputs = tuple(outputs)
        wanted = set(outputs)
        for layer in reversed(self.layers):
            if layer.name in wanted:
                wanted.update(layer.inputs)
        return Network(
            inputs=tuple(source for source in self.inputs if source.name in wanted),
            layers=tuple(layer for layer in self.layers if layer.name in wanted),
            outputs=outputs,
        )

    def with_reset(self, interval: int, offset: int = 0) -> Network:
        """The network whose LIF neurons all forget before every frame t with ``t % interval == offset % interval``.

        In lava-dl's loader it is ``reset_interval`` with ``reset_offset`` as here for a file whose input layer has
        neurons, and with one more than here for any other file (lava-dl 0.6.0 ``netx/hdf5.py``, ``_create``).
        """
        layers = [
            replace(layer, neuron=replace(layer.neuron, reset_interval=interval, reset_offset=offset))
            if isinstance(layer.neuron, LIF)
            else layer
            for layer in self.layers
        ]
        return Network(self.inputs, tuple(layers), self.outputs)

    def correlations(self) -> tuple[Layer, ...]:
        """The layers whose synapses are a template's spikes, and have to be programmed before they can run."""
        return tuple(layer for layer in self.layers if isinstance(layer.synapse, Correlation))

    def template_network(self) -> Network:
        """The part that turns the template image into the spikes that the correlations are programmed with.

        Raises NetworkError when the network has no correlation.
        """
        sources = tuple(dict.fromkeys(layer.inputs[1] for layer in self.correlations()))
        if not sources:
            raise NetworkError("the network has no correlation, and so no template")
        return self.subnetwork(sources)

    def programmed(self, template_spikes: Mapping[str, npt.ArrayLike]) -> Network:
        """The feed-forward network of one target.

        ``template_spikes`` holds, for every output of ``template_network()``, its spikes (channel, height, width).
        Each correlation becomes a grouped convolution whose weights they are, and what only led to the template is
        left out. Raises NetworkError where spikes are missing or do not fit.
        """
        layers = []
        for layer in self.layers:
            if isinstance(layer.synapse, Correlation):
                search, template = layer.inputs
                if template not in template_spikes:
                    raise NetworkError(f"layer {layer.name!r}: no spikes were given for its template {template!r}")
                conv = layer.synapse.programmed(template_spikes[template])
                if (conv.groups, *conv.kernel) != self.shape(template):
                    got = Shape(conv.groups, *conv.kernel)
                    raise NetworkError(f"layer {layer.name!r}: template spikes are {got}, not {self.shape(template)}")
                layer = replace(layer, inputs=(search,), synapse=conv)
            layers.append(layer)
        return Network(self.inputs, tuple(layers), self.outputs).subnetwork(self.outputs)

    @cached_property
    def _depths(self) -> dict[str, int]:
        depths = {source.name: 0 for source in self.inputs}
        for layer in self.layers:
            depths[layer.name] = max(depths[source] for source in layer.inputs) + has_synapse(layer)
        return depths

    @cached_property
    def _by_name(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def _readers(self) -> dict[str, tuple[Layer, ...]]:
        found: dict[str, list[Layer]] = {}
        for layer in self.layers:
            for source in dict.fromkeys(layer.inputs):
                found.setdefault(source, []).append(layer)
        return {name: tuple(readers) for name, readers in found.items()}


def side_by_side(networks: Sequence[Network]) -> Network:
    """Networks that don't know each other as one. Raises NetworkError where two have a name in common."""
    inputs, layers, outputs = (
        tuple(item for network in networks for item in getattr(network, name))
        for name in ("inputs", "layers", "outputs")
    )
    return Network(inputs, layers, outputs)


def has_synapse(layer: Layer) -> bool:
    """Whether Lava has a synapse process for the layer, which takes a step."""
    return layer.neuron is not None and not isinstance(layer.synapse, Direct)


def _remembers(layer: Layer) -> bool:
    if layer.neuron is None:
        return False
    delayed = isinstance(layer.synapse, Dense) and bool(layer.synapse.delay.any())
    return delayed or isinstance(layer.synapse, Recurrent) or not layer.neuron.memoryless


def _check_name(name: str, taken: Mapping[str, Shape]) -> None:
    if not _NAME.fullmatch(name):
        raise NetworkError(f"{name!r} is not a name: use letters, digits and underscores, no digit first")
    if name in taken:
        raise NetworkError(f"two layers or inputs are called {name!r}")


def _layer_shape(layer: Layer, shapes: Mapping[str, Shape]) -> Shape:
    if not layer.inputs:
        raise NetworkError("has no input")
    for source in layer.inputs:
        if source not in shapes:
            raise NetworkError(f"its input {source!r} is neither an input nor an earlier layer")
    shape = layer.synapse.output_shape(tuple(shapes[source] for source in layer.inputs))
    if layer.neuron is not None:
        check_bias_fits(layer.neuron, shape)
    return shape


def _activation_range(
    layer: Layer, shapes: Mapping[str, Shape], ranges: Mapping[str, Range], apart: Mapping[str, Pair]
) -> tuple[npt.NDArray, npt.NDArray]:
    sources = tuple(ranges[source] for source in layer.inputs)
    assert not isinstance(layer.synapse, WIRES)
    if isinstance(layer.synapse, Correlation):
        return layer.synapse.activation_range(sources, shapes[layer.inputs[1]])
    if isinstance(layer.synapse, Conv2d):
        return layer.synapse.activation_range(sources, apart.get(layer.inputs[0], (1, 1)))
    return layer.synapse.activation_range(sources)


def _layer_range(
    layer: Layer, shapes: Mapping[str, Shape], ranges: Mapping[str, Range], apart: Mapping[str, Pair]
) -> Range:
    """apart: of the layers that put zeros between values, by how far they lie apart."""
    sources = [ranges[source] for source in layer.inputs]
    if layer.neuron is None:
        between = [0] if isinstance(layer.synapse, Upsample) and layer.synapse.zeros else []
        return Range(min(between + [r.low for r in sources]), max(between + [r.high for r in sources]))
    if isinstance(layer.synapse, Correlation) and not sources[1].binary:
        raise NetworkError(f"the template must be spikes, but {layer.inputs[1]!r} sends {sources[1]}")
    if isinstance(layer.neuron, GRADED):
        return Range(limits.GRADED_MIN, limits.GRADED_MAX)
    if isinstance(layer.neuron, Accumulator):
        low, high = _activation_range(layer, shapes, ranges, apart)
        bias = layer.neuron.bias if layer.neuron.bias.size else 0
        # Lava's voltage saturates long before, and messages have 32 bits, which the next layer's bound counts on.
        lowest, highest = int((low + bias).min()), int((high + bias).max())
        return Range(max(lowest, limits.GRADED_MIN), min(highest, limits.GRADED_MAX))
    return SPIKES
