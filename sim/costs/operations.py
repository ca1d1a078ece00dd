"""What every core does in every frame: the operations that energy and time are reckoned from.

A frame of a recording is one time step. The counts are exact: which connections a spike travels, to how many cores it
is sent and how many tiles it crosses follow from the network, its mapping and its placement.
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import LIF, Dense, Direct, Layer, Network, Recurrent, Shape, channel_bias
from sim.activity import layers_with_inputs
from sim.geometry import Counts, Slices, Weighted, fan_out, weighted, which_reached
from sim.hardware import OPERATIONS, Mesh, Operation, Packing
from sim.mapping import Mapping
from sim.mapping.traffic import coordinates, routes
from sim.recording import Recording


@dataclass(frozen=True)
class Operations:
    """Operations of every core in every frame; each count is int64 of shape (frame, core).

    messages_in: messages that reach a neuron of the core, from other cores, itself or outside the chip.
    synops: connections that spikes travel, whatever their weight; dense_synops and convolution_synops are those of full
        connections and of all others, effective_... those whose weight is not zero.
    graded_synops: connections that messages with a number travel; these are no synops.
    dendrite_updates: neurons to which a message came. neurons: all.
    soma_updates: neurons with something to compute: a message came, they have a bias, or they remember a voltage.
    idle_neurons: the others.
    spikes: of the core's neurons. messages_out: their copies, one for each core that reads a neuron, one to the host
        where the layer is an output.
    hops_east_west, hops_north_south: tiles that these messages cross, along a row first.
    """

    mapping: Mapping
    counts: Named[Operation, Counts]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.counts["neurons"])

    def per_frame(self, name: Operation) -> float:
        """A count of all cores together, mean over the frames."""
        return float(self.counts[name].sum(axis=1).mean())

    def by_layer(self, name: Operation) -> dict[str, float]:
        """A count of the cores of each layer, mean over the frames."""
        means = self.counts[name].mean(axis=0)
        return {layer.name: float(means[list(layer.cores)].sum()) for layer in self.mapping.layers}


def count_operations(
    network: Network,
    frames: Named[str, npt.ArrayLike],
    recording: Recording,
    mapping: Mapping,
    mesh: Mesh,
    packing: Packing,
) -> Operations:
    """Count what the cores of ``mapping`` did with ``frames``, according to the ``recording`` that an engine made.

    network: without an unprogrammed correlation. frames: for each input, shape (frame, channel, height, width).
    mesh, packing: of the chip. Layers that have no core are left out; the mapping says that they do not fit.
    Raises NetworkError, naming layer or input, when the recording is not one of these frames through this network.
    """
    counts = {name: np.zeros((recording.frames, len(mapping.cores)), np.int64) for name in OPERATIONS}
    for layer, values in layers_with_inputs(network, frames, recording):
        _count_layer(network, layer, values, recording, mapping, counts)
    _count_messages(network, recording, mapping, mesh, packing, counts)
    return Operations(mapping, counts)


@dataclass(frozen=True)
class _Arriving:
    """Values at the inputs of a synapse, shape (frame, channel, height, width). binary: spikes, not numbers."""

    synapse: Weighted
    values: npt.NDArray
    binary: bool


def _count_layer(
    network: Network,
    layer: Layer,
    values: npt.NDArray,
    recording: Recording,
    mapping: Mapping,
    counts: Named[Operation, Counts],
) -> None:
    arriving = _arriving(network, layer, values, recording)
    shape, frames = network.shape(layer.name), recording.frames
    reached = np.zeros((frames, *shape), bool)
    for one in arriving:
        reached |= which_reached(one.synapse, one.values)
    updated = reached | _busy_anyway(layer, shape, recording)
    if isinstance(layer.synapse, Direct):  # what is set from outside is computed with, but travels no synapse
        updated |= values != 0
    spikes = _sent(layer.name, recording, shape)
    for number in next(part.cores for part in mapping.layers if part.name == layer.name):
        box = mapping.cores[number].box
        counts["neurons"][:, number] = box.neurons
        counts["dendrite_updates"][:, number] = _in_box(reached, box.slices)
        counts["soma_updates"][:, number] = _in_box(updated, box.slices)
        counts["spikes"][:, number] = _in_box(spikes, box.slices)
        counts["idle_neurons"][:, number] = box.neurons - counts["soma_updates"][:, number]
        for one in arriving:
            _count_synapses(one, box.slices, number, counts)


def _count_synapses(one: _Arriving, to: Slices, core: int, counts: Named[Operation, Counts]) -> None:
    source = Shape(*one.values.shape[1:])
    reach = fan_out(one.synapse, source, to=to)
    # A core reads a part of the layer before it, and there are as many cores as parts.
    seen = _nonzero_box(reach)
    place = (slice(None), *seen)
    reach, active = reach[seen], _flat(one.values[place])
    counts["messages_in"][:, core] += _summed(active, reach > 0)
    if not one.binary:
        counts["graded_synops"][:, core] += _summed(active, reach)
        return
    effective = fan_out(one.synapse, source, effective=True, to=to)[seen]
    kind: tuple[Operation, Operation] = ("convolution_synops", "effective_convolution_synops")
    if isinstance(one.synapse, Dense):
        kind = ("dense_synops", "effective_dense_synops")
    names: Sequence[tuple[Operation, Operation]] = (("synops", "effective_synops"), kind)
    travelled, weighing = _summed(active, reach), _summed(active, effective)
    for every, non_zero in names:
        counts[every][:, core] += travelled
        counts[non_zero][:, core] += weighing


def _nonzero_box(values: Counts) -> Slices:
    """Channels, rows and columns outside of which all is zero."""
    box = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        there = np.flatnonzero(values.any(axis=others))
        box.append(slice(there[0], there[-1] + 1) if there.size else slice(0))
    return box[0], box[1], box[2]


def _count_messages(
    network: Network,
    recording: Recording,
    mapping: Mapping,
    mesh: Mesh,
    packing: Packing,
    counts: Named[Operation, Counts],
) -> None:
    column, row = coordinates(mesh, mapping.chips)
    sites = np.array(mapping.placement, np.int64)
    column, row = column[sites], row[sites]
    sent = {
        layer.name: _sent(layer.name, recording, network.shape(layer.name))
        for layer in network.layers
        if layer.neuron is not None
    }
    for route in routes(network, mapping, packing):
        place = (slice(None), *mapping.cores[route.source].box.slices)
        copies = (sent[route.layer][place] & route.reached).sum(axis=(1, 2, 3), dtype=np.int64)
        counts["messages_out"][:, route.source] += copies
        counts["hops_east_west"][:, route.source] += copies * abs(column[route.source] - column[route.target])
        counts["hops_north_south"][:, route.source] += copies * abs(row[route.source] - row[route.target])
    for number, core in enumerate(mapping.cores):
        if core.layer in network.outputs:
            counts["messages_out"][:, number] += counts["spikes"][:, number]


def _arriving(network: Network, layer: Layer, values: npt.NDArray, recording: Recording) -> list[_Arriving]:
    binary = network.range(layer.inputs[0]).binary
    if isinstance(layer.synapse, Direct):
        return []
    if isinstance(layer.synapse, Recurrent):
        own = recording.spikes[layer.name]
        fed_back = np.concatenate([np.zeros_like(own[:1]), own[:-1]])  # at the next step
        flat = values.reshape(len(values), -1, 1, 1)
        return [_Arriving(layer.synapse.forward, flat, binary), _Arriving(layer.synapse.feedback, fed_back, True)]
    return [_Arriving(weighted(layer.name, layer.synapse), values, binary)]


def _busy_anyway(layer: Layer, shape: Shape, recording: Recording) -> npt.NDArray[np.bool_]:
    """Neurons that compute without a message: they have a bias, or a voltage is left from the frame before."""
    assert layer.neuron is not None
    busy = np.zeros((recording.frames, *shape), bool)
    if layer.neuron.bias.size:
        busy |= (channel_bias(layer.neuron, shape) != 0)[:, None, None]
    if not layer.neuron.memoryless and isinstance(layer.neuron, LIF):
        left = (recording.membranes[layer.name] != 0) & (recording.spikes[layer.name] == 0)
        busy[1:] |= left[:-1]
    return busy


def _sent(name: str, recording: Recording, shape: Shape) -> npt.NDArray[np.bool_]:
    """Which neurons send in each frame; a read-out sends nothing."""
    values = recording.messages.get(name, recording.spikes.get(name))
    return np.zeros((recording.frames, *shape), bool) if values is None else values != 0


def _in_box(values: npt.NDArray[np.bool_], box: Slices) -> Counts:
    place = (slice(None), *box)
    return np.count_nonzero(values[place], axis=(1, 2, 3)).astype(np.int64)


def _flat(values: npt.NDArray) -> npt.NDArray[np.float64]:
    """One for each value that is not zero: (frame, value)."""
    return (values != 0).reshape(len(values), -1).astype(np.float64)


def _summed(active: npt.NDArray[np.float64], worth: npt.NDArray) -> Counts:
    """Sum of ``worth`` (channel, height, width) over what is ``active`` in each frame, as ``_flat`` has it."""
    # Exact in float64: counts stay far below 2**53.
    return np.rint(active @ worth.reshape(-1).astype(np.float64)).astype(np.int64)
