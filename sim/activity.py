"""What a network is made of, and what it did with some frames: the counts that energy is reckoned from.

Counts are integers and exact: a spike at the border reaches fewer neurons, and only the connections that exist count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from netx import (
    LIF,
    WIRES,
    Concat,
    Conv2d,
    Dense,
    Direct,
    Flatten,
    Layer,
    Network,
    NetworkError,
    Recurrent,
    Shape,
    Upsample,
)
from sim.geometry import Counts, connections, fan_out, reached, weighted
from sim.recording import Recording

Count: TypeAlias = Literal[
    "spikes",
    "messages",
    "synops",
    "effective_synops",
    "neuron_updates",
    "active_updates",
    "inactive_updates",
    "macs",
    "dense_macs",
]
COUNTS: tuple[Count, ...] = get_args(Count)


@dataclass(frozen=True)
class Description:
    """Size of a network.

    layers: layers with neurons. neurons: in all of them. synapses: connections, edge-exact, those of weight zero
    included. parameters: stored weights and biases; what two branches share counts once. A correlation has none until
    it is programmed.
    """

    layers: int
    neurons: int
    synapses: int
    parameters: int


@dataclass(frozen=True)
class LayerActivity:
    """What one layer did in each frame; every count is int64 of shape (frame,).

    spikes: sent by the layer's neurons; a read-out sends none.
    messages: spikes that arrive at the layer and reach at least one of its neurons; of one
        that a wire repeats, each copy.
    synops: synaptic operations, one for every connection that a spike travels, whatever its weight.
    effective_synops: those whose weight is not zero.
    neuron_updates: neurons, each of which is updated once a time step.
    active_updates: those of neurons to which a spike or a non-zero graded value came. inactive_updates: the others.
    macs: multiply-accumulates of a layer whose input is graded, one for every connection and frame. Such a layer has
        no synops and no messages; a layer that is fed by spikes has no macs.
    dense_macs: what the same layer costs in a conventional network: one for every connection and frame.
    """

    layer: str
    neurons: int
    spikes: Counts
    messages: Counts
    synops: Counts
    effective_synops: Counts
    neuron_updates: Counts
    active_updates: Counts
    inactive_updates: Counts
    macs: Counts
    dense_macs: Counts

    def mean(self, count: Count) -> float:
        """Mean of one count over the frames."""
        return float(getattr(self, count).mean())


@dataclass(frozen=True)
class Activity:
    """Activity of every layer that has neurons, in the network's order, over ``frames`` frames."""

    frames: int
    layers: tuple[LayerActivity, ...]

    def total(self, count: Count) -> Counts:
        """One count over all layers, for each frame: int64, shape (frame,)."""
        return np.sum([getattr(layer, count) for layer in self.layers], axis=0)

    def mean(self, count: Count) -> float:
        """One count per frame: summed over the layers, mean over the frames."""
        return float(self.total(count).mean())


def describe(network: Network) -> Description:
    """Size of ``network``; its correlations may be programmed or not."""
    layers = [layer for layer in network.layers if layer.neuron is not None]
    return Description(
        layers=len(layers),
        neurons=sum(network.shape(layer.name).size for layer in layers),
        synapses=sum(_connections(network, layer) for layer in layers),
        parameters=_parameters(layers),
    )


def count(network: Network, frames: Mapping[str, npt.ArrayLike], recording: Recording) -> Activity:
    """Count what ``network`` did with ``frames``, according to ``recording``, which an engine made of them.

    network: without an unprogrammed correlation. frames: for each input, shape (frame, channel, height, width).
    Raises NetworkError, naming layer or input, when the recording is not one of these frames through this network.
    """
    layers = tuple(
        _layer_activity(network, layer, values, recording.spikes.get(layer.name))
        for layer, values in layers_with_inputs(network, frames, recording)
    )
    return Activity(recording.frames, layers)


def layers_with_inputs(
    network: Network, frames: Mapping[str, npt.ArrayLike], recording: Recording
) -> Iterator[tuple[Layer, npt.NDArray]]:
    """Every layer that has neurons, with the values that arrive at it, shape (frame, channel, height, width).

    Raises NetworkError, naming layer or input, when the recording is not one of these frames through this network.
    """
    values: dict[str, npt.NDArray] = {}
    for source in network.inputs:
        if source.name not in frames:
            raise NetworkError(f"no frames were given for input {source.name!r}")
        values[source.name] = _checked(frames[source.name], source.shape, recording.frames, f"input {source.name!r}")
    for layer in network.layers:
        inputs = [values[source] for source in layer.inputs]
        if isinstance(layer.synapse, Flatten):
            values[layer.name] = inputs[0].reshape(recording.frames, -1, 1, 1)
        elif isinstance(layer.synapse, Concat):
            values[layer.name] = np.concatenate(inputs, axis=1)
        elif isinstance(layer.synapse, Upsample):
            values[layer.name] = layer.synapse.upsampled(inputs[0])
        else:
            recorded: Mapping[str, npt.NDArray] = (
                recording.spikes if isinstance(layer.neuron, LIF) else recording.membranes
            )
            if layer.name in recording.messages:
                recorded = recording.messages
            if layer.name not in recorded:
                raise NetworkError(f"layer {layer.name!r}: the recording of {recording.engine} does not hold it")
            shape = network.shape(layer.name)
            values[layer.name] = _checked(recorded[layer.name], shape, recording.frames, f"layer {layer.name!r}")
            yield layer, inputs[0]


def _checked(values: npt.ArrayLike, shape: Shape, frames: int, what: str) -> npt.NDArray:
    array = np.asarray(values)
    if array.shape != (frames, *shape):
        raise NetworkError(f"{what}: values have shape {array.shape}, but the recording has {frames} frames of {shape}")
    return array


def _layer_activity(network: Network, layer: Layer, values: npt.NDArray, spikes: npt.NDArray | None) -> LayerActivity:
    synapse = weighted(layer.name, layer.synapse)
    source, neurons, frames = Shape(*values.shape[1:]), network.shape(layer.name).size, len(values)
    reach = fan_out(synapse, source)
    every_frame, none = np.ones(frames, np.int64), np.zeros(frames, np.int64)
    dense, active = every_frame * int(reach.sum()), reached(synapse, values)
    by_spikes = network.range(layer.inputs[0]).binary
    return LayerActivity(
        layer=layer.name,
        neurons=neurons,
        spikes=none if spikes is None else np.count_nonzero(spikes, axis=(1, 2, 3)).astype(np.int64),
        messages=_summed(values, (reach > 0).astype(np.int64)) if by_spikes else none,
        synops=_summed(values, reach) if by_spikes else none,
        effective_synops=_summed(values, fan_out(synapse, source, effective=True)) if by_spikes else none,
        neuron_updates=every_frame * neurons,
        active_updates=active,
        inactive_updates=neurons - active,
        macs=none if by_spikes else dense,
        dense_macs=dense,
    )


def _summed(spikes: npt.NDArray, worth: Counts) -> Counts:
    """Sum of ``worth`` (channel, height, width) over the neurons that spike in each frame."""
    return np.array([worth[frame != 0].sum() for frame in spikes], np.int64)


def _weight(layer: Layer) -> npt.NDArray[np.int32] | None:
    return layer.synapse.weight if isinstance(layer.synapse, (Conv2d, Dense)) else None


def _parameters(layers: Iterable[Layer]) -> int:
    stored: dict[tuple[object, ...], int] = {}
    for layer in layers:
        assert layer.neuron is not None
        weight, bias = _weight(layer), layer.neuron.bias
        owner = (layer.name,) if weight is None else (weight.shape, weight.tobytes())
        stored[owner] = 0 if weight is None else weight.size
        # A bias is shared only together with its weights: short vectors may be equal by chance.
        stored[owner, bias.tobytes()] = bias.size
    return sum(stored.values())


def _connections(network: Network, layer: Layer) -> int:
    assert not isinstance(layer.synapse, WIRES)
    if isinstance(layer.synapse, (Direct, Recurrent)):
        kind = type(layer.synapse).__name__
        raise NetworkError(f"layer {layer.name!r}: the activity of a {kind} cannot be counted: leave the layer out")
    return connections(layer.synapse, tuple(network.shape(source) for source in layer.inputs))
