"""Recordings as NIRData, the form of NIR 1.0.8 in which simulators exchange spikes and voltages, out and in.

A file holds for each node of a graph its observables (``nir.data_ir``): on a grid of time steps, (sample, step,
neuron), or as events, neurons and times. Nodes are called as in the ``.nir`` files of ``netx.nir_file``, and neurons
counted channel by channel, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np
import numpy.typing as npt

from netx import FormatError, Network
from netx.files import hdf5_bytes, write_whole
from netx.hdf5 import Group, opened
from netx.nir_file import TIME_STEP, neuron_node, synapse_node
from sim.recording import Recording

SPIKES, VOLTAGES, MESSAGES, VALUES = "spikes", "voltages", "messages", "values"
"""Observables as they are written. Voltages are before any reset, in weight units; values are those of an input."""

_CALLED = {
    SPIKES: (SPIKES, "spike", "s", "z"),
    VOLTAGES: (VOLTAGES, "voltage", "v", "v_mem", "membrane", "membranes"),
    MESSAGES: (MESSAGES, "message"),
    VALUES: (VALUES, "value", SPIKES, "spike"),
}
"""What others may call them: NIR's own description says spikes and voltages, and prescribes nothing."""

_SLACK = 1e-6
"""Part of a step by which an event may come before its step: times of others are sums of floats."""


@dataclass(frozen=True)
class NirData:
    """What a file says of a network's layers, by name; every array (step, channel, height, width).

    inputs: by input. unknown: its nodes that are none of the network's.
    """

    spikes: Mapping[str, npt.NDArray[np.uint8]]
    voltages: Mapping[str, npt.NDArray]
    messages: Mapping[str, npt.NDArray]
    inputs: Mapping[str, npt.NDArray]
    unknown: tuple[str, ...]


def write_nir_data(recording: Recording, network: Network, frames: Mapping[str, npt.ArrayLike], path: Path) -> None:
    """Write a recording of ``network`` on ``frames`` as NIRData; the file appears whole or not at all.

    Steps are ``netx.nir_file.TIME_STEP`` long, as in the ``.nir`` files.
    """
    nodes = {}
    for source in network.inputs:
        values = np.asarray(frames[source.name])[: recording.frames]
        nodes[_input_node(network, source.name)] = {VALUES: values}
    for name, membrane in recording.membranes.items():
        observables = {VOLTAGES: membrane}
        if name in recording.spikes:
            observables[SPIKES] = recording.spikes[name].astype(bool)
        if name in recording.messages:
            observables[MESSAGES] = recording.messages[name]
        sends = name in recording.spikes or name in recording.messages
        nodes[neuron_node(name) if sends else synapse_node(name)] = observables
    data = nir.NIRGraphData(
        {
            node: nir.NIRNodeData({key: _gridded(values) for key, values in observables.items()})
            for node, observables in nodes.items()
        }
    )
    with write_whole(path) as temporary:
        temporary.write_bytes(hdf5_bytes(lambda content: nir.write_data(content, data)))


def read_nir_data(path: Path, network: Network, steps: int | None = None) -> NirData:
    """What the NIRData file ``path`` says of ``network``.

    Layers are found by the names of their nodes here, or by their own. steps: how many there have to be; needed for
    events, whose file says only when the recording ends. Raises FormatError, with the place in the file, when it is
    none, holds several samples, or does not fit the network.
    """
    found: dict[str, dict[str, npt.NDArray]] = {kind: {} for kind in _CALLED}
    unknown = []
    owners = dict(_owners(network))
    with opened(Path(path)) as root:
        if "nodes" not in root:
            raise root.error("is no NIRData: it has no nodes")
        nodes = root.group("nodes")
        for node in nodes.names():
            owner = owners.get(node)
            if owner is None:
                unknown.append(node)
                continue
            group = nodes.group(node)
            if "observables" not in group:
                raise group.error("has no observables: graphs within graphs are not read")
            observables = group.group("observables")
            for kind, called in _CALLED.items():
                name = next((name for name in called if name in observables), None)
                of_input = any(source.name == owner for source in network.inputs)
                if name is not None and (kind == VALUES) == of_input:
                    values = _steps(observables.group(name), tuple(network.shape(owner)), steps)
                    found[kind][owner] = _binary(observables, name, values) if kind == SPIKES else values
    return NirData(found[SPIKES], found[VOLTAGES], found[MESSAGES], found[VALUES], tuple(unknown))


def _owners(network: Network) -> Iterator[tuple[str, str]]:
    """Every name that a node may have, and the layer or input that it is."""
    for source in network.inputs:
        yield source.name, source.name
        yield _input_node(network, source.name), source.name
    for layer in network.layers:
        if layer.neuron is not None:
            for node in (layer.name, synapse_node(layer.name), neuron_node(layer.name)):
                yield node, layer.name


def _input_node(network: Network, name: str) -> str:
    taken = any(layer.name == "input" for layer in network.layers)
    return "input" if len(network.inputs) == 1 and not taken else name


def _gridded(values: npt.NDArray) -> nir.TimeGriddedData:
    return nir.TimeGriddedData(values.reshape(1, len(values), -1), TIME_STEP)


def _steps(group: Group, shape: tuple[int, ...], steps: int | None) -> npt.NDArray:
    """One observable, (step, channel, height, width)."""
    grid = group.numbers("data") if "data" in group else _from_events(group, int(np.prod(shape)), steps)
    if grid.ndim != 3 or grid.shape[0] != 1:
        raise group.error(f"has shape {grid.shape}, expected one sample: (1, step, neuron)")
    if grid.shape[2] != np.prod(shape):
        raise group.error(f"has {grid.shape[2]} neurons, but the layer has {int(np.prod(shape))}")
    if steps is not None and grid.shape[1] != steps:
        raise group.error(f"has {grid.shape[1]} steps, expected {steps}")
    return grid[0].reshape(-1, *shape)


def _from_events(group: Group, neurons: int, steps: int | None) -> npt.NDArray:
    """Events on the grid; more than one of a neuron in a step adds up."""
    index, time = group.integers("idx"), group.numbers("time")
    if steps is None:
        raise group.error("holds events, and nothing says how many steps there are: give the input's frames")
    if index.shape != time.shape or index.ndim != 2 or index.shape[0] != 1:
        raise group.error(f"has shape {index.shape}, expected one sample: (1, event)")
    values = group.numbers("value", index.shape) if "value" in group else np.ones(index.shape)
    there = index >= 0
    index, time, values = index[there], time[there], values[there]
    length = float(group.number_attribute("t_max")) / steps
    if not np.isfinite(length) or length <= 0:
        raise group.error("ends at a time that is none", "@t_max")
    with np.errstate(invalid="ignore", over="ignore"):
        place = np.floor(time / length + _SLACK)
    if not (np.isfinite(place) & (place >= 0) & (place < steps)).all() or (index >= neurons).any():
        raise group.error(f"holds an event beyond {steps} steps of {neurons} neurons")
    grid = np.zeros((1, steps, neurons))
    np.add.at(grid[0], (place.astype(np.int64), index), values)
    return grid


def _binary(group: Group, name: str, values: npt.NDArray) -> npt.NDArray[np.uint8]:
    if not ((values == 0) | (values == 1)).all():
        worst = values[(values != 0) & (values != 1)].flat[0]
        raise group.error(f"holds {worst}, expected spikes of 0 and 1, one a step", name)
    return values.astype(np.uint8)


def check_data(path: Path, data: NirData) -> None:
    """Raises FormatError unless there is a layer to be compared."""
    if not (data.spikes or data.voltages or data.messages):
        nodes = ", ".join(data.unknown[:10]) or "none"
        raise FormatError(f"{path}: says nothing of any layer; its nodes are {nodes}: call them as in the .nir file")
