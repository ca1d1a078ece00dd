"""How many messages travel from core to core, and how far.

A spike is sent once to every core in which it reaches a neuron. What enters from outside and what is read by the host
is left out: it comes and goes at the edge of the chip, wherever the cores sit.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Named
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netx import Concat, Flatten, Layer, Network, Shape, Upsample
from sim.hardware import Mesh, Packing
from sim.mapping.demand import Window, connections, folded
from sim.mapping.result import Core, Mapping
from sim.mapping.shapes import Box
from sim.recording import Recording

Messages = npt.NDArray[np.float64]
"""Per frame, from each core (row) to each other (column): shape (core, core)."""


def rates(network: Network, recording: Recording | None = None) -> dict[str, npt.NDArray[np.float64]]:
    """Messages of each neuron in a frame: the mean over a recording, or one of every neuron where there is none.

    For each layer with neurons an array of its shape (channel, height, width). Read-outs send none.
    """
    found = {}
    for layer in network.layers:
        if layer.neuron is None:
            continue
        if recording is None:
            found[layer.name] = np.ones(network.shape(layer.name))
        else:
            sent = recording.messages if layer.name in recording.messages else recording.spikes
            shape = (1, *network.shape(layer.name))
            found[layer.name] = (np.asarray(sent.get(layer.name, np.zeros(shape))) != 0).mean(axis=0)
    return found


class Route(NamedTuple):
    """From one core to another. layer: of the sender. reached: which neurons of its box the receiver reads."""

    source: int
    target: int
    layer: str
    reached: npt.NDArray[np.bool_]


def routes(network: Network, mapping: Mapping, packing: Packing) -> Iterator[Route]:
    """Every pair of cores of which the second reads neurons of the first; a core may read its own."""
    numbers: dict[str, list[int]] = {}
    for number, core in enumerate(mapping.cores):
        numbers.setdefault(core.layer, []).append(number)
    for layer in network.layers:
        if layer.neuron is None:
            continue
        connected = connections(network, layer, packing, 8)
        for number in numbers.get(layer.name, []) if connected else []:
            window = connected[0] if isinstance(connected[0], Window) else None
            read = _read(network, layer, window, mapping.cores[number])
            for source, reached in _through_wires(network, layer.inputs[0], read).items():
                for other in numbers.get(source, []):
                    part = reached[mapping.cores[other].box.slices]
                    if part.any():
                        yield Route(other, number, source, part)
            if len(connected) > 1:  # a layer that reads itself
                for other in numbers[layer.name]:
                    shape = network.shape(layer.name)
                    yield Route(other, number, layer.name, np.ones(shape, bool)[mapping.cores[other].box.slices])


def messages(network: Network, mapping: Mapping, sent: Named[str, npt.NDArray], packing: Packing) -> Messages:
    """Messages per frame between the cores of ``mapping``, where each neuron sends as often as ``sent`` says."""
    traffic = np.zeros((len(mapping.cores), len(mapping.cores)))
    for route in routes(network, mapping, packing):
        place = mapping.cores[route.source].box.slices
        traffic[route.source, route.target] += float((sent[route.layer][place] * route.reached).sum())
    np.fill_diagonal(traffic, 0)
    return traffic


def distances(mesh: Mesh, chips: int) -> npt.NDArray[np.int64]:
    """Hops between the sites of ``chips`` chips side by side: shape (site, site).

    Routers go along a row, then along a column; the cores of a tile share a router. A chip's edge counts as one hop.
    """
    return _between(*coordinates(mesh, chips))


def coordinates(mesh: Mesh, chips: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Column and row of the tile of every site, chips side by side."""
    a_chip = mesh.columns * mesh.rows * mesh.cores_per_tile
    site = np.arange(chips * a_chip)
    tile = site % a_chip // mesh.cores_per_tile
    return tile % mesh.columns + site // a_chip * mesh.columns, tile // mesh.columns


def hops(traffic: Messages, mapping: Mapping, mesh: Mesh) -> float:
    """Messages times hops of a frame: what a placement is judged by."""
    sites = np.array(mapping.placement, dtype=np.int64)
    x, y = coordinates(mesh, mapping.chips)
    return float((traffic * _between(x[sites], y[sites])).sum())


def _between(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.abs(x[:, None] - x[None, :]) + np.abs(y[:, None] - y[None, :])


def _read(network: Network, layer: Layer, window: Window | None, core: Core) -> npt.NDArray[np.bool_]:
    """Which values of the layer's input reach the core's neurons, in the input's shape."""
    shape = network.shape(layer.inputs[0])
    if window is None:
        return np.ones(shape, bool)
    rows, columns = window.rows.read(core.box.rows), window.columns.read(core.box.columns)
    return _channels(window, shape, core.box)[:, None, None] & rows[:, None] & columns


def _channels(window: Window, shape: Shape, box: Box) -> npt.NDArray[np.bool_]:
    outputs, inputs = window.out_channels // window.groups, window.in_channels // window.groups
    group = np.arange(shape.channel) // inputs
    return (group >= box.channels.low // outputs) & (group <= (box.channels.high - 1) // outputs)


def _through_wires(network: Network, name: str, read: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.bool_]]:
    """The layers with neurons behind ``name``, and which of their neurons ``read`` stands for."""
    if any(source.name == name for source in network.inputs):
        return {}
    layer = network.layer(name)
    if isinstance(layer.synapse, Flatten):
        return _through_wires(network, layer.inputs[0], read.reshape(network.shape(layer.inputs[0])))
    if isinstance(layer.synapse, Upsample):
        rows, columns = layer.synapse.behind(network.shape(layer.inputs[0]))
        return _through_wires(network, layer.inputs[0], folded(folded(read, rows, 1), columns, 2))
    if isinstance(layer.synapse, Concat):
        found: dict[str, npt.NDArray[np.bool_]] = {}
        low = 0
        for source in layer.inputs:
            high = low + network.shape(source).channel
            for behind, reached in _through_wires(network, source, read[low:high]).items():
                found[behind] = found[behind] | reached if behind in found else reached
            low = high
        return found
    return {name: read}
