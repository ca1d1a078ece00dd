"""What two networks or graphs do on the same frames, and where they part. Loads torch, which runs both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from netx import FormatError, Input, MonospikeError, Network, Range
from netx.nir_graph import SPIKING, NirGraph
from pipeline.deploy.network_diff.found import Diff, Frames
from pipeline.deploy.nir_import.run import read_frames
from quantize.nir_import import run_float
from quantize.nir_import.errors import CannotError
from quantize.nir_import.forms import NEURONS
from sim import engine
from sim.compare import compare
from sim.drawn_frames import draw_frames
from sim.frame_files import read_input
from sim.programming import programmed
from sim.recording import unvaried

_DRAWN = 4
"""Frames, where nobody says how many."""

_DEFAULT_DT = 1e-4
"""Seconds; the time step of a NIR graph that does not say it, as ``import`` takes it."""

_GRAPH_ERRORS = (CannotError, ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
"""What running a graph raises whose nodes do not fit together: nobody has checked those of others."""


def compare_networks(
    found: Diff, expected: Network, got: Network, said: Mapping[str, list[str]], frames: Frames
) -> None:
    """Both in the exact engine, where they read the same. said: what differs in them, by layer."""
    if [(one.name, one.shape) for one in expected.inputs] != [(one.name, one.shape) for one in got.inputs]:
        found.say("their inputs differ: spikes cannot be compared")
        return
    narrow = _narrowed(expected, got)
    if frames.file is None:
        values: Mapping[str, npt.NDArray] = draw_frames(narrow, frames.count or _DRAWN, frames.seed)
        if narrow.correlations():
            held = {source.name for source in narrow.template_network().inputs}
            values = {name: np.repeat(one[:1], len(one), 0) if name in held else one for name, one in values.items()}
    else:
        values = read_input(frames.file, narrow, None, lava_order=False)
    try:
        _compared(found, (expected, got), values, said)
    except MonospikeError as error:
        if found.same:
            raise
        found.say(f"spikes cannot be compared: {error}")


def _narrowed(expected: Network, got: Network) -> Network:
    """``expected`` with inputs that both can read."""
    inputs = []
    for one, two in zip(expected.inputs, got.inputs, strict=True):
        low, high = max(one.range.low, two.range.low), min(one.range.high, two.range.high)
        inputs.append(Input(one.name, one.shape, Range(low, high) if low < high else one.range))
    return Network(tuple(inputs), expected.layers, expected.outputs)


def _compared(
    found: Diff, pair: tuple[Network, Network], values: Mapping[str, npt.NDArray], said: Mapping[str, list[str]]
) -> None:
    """Template first, for networks that have one; then the rest."""
    stages = [(pair, values)]
    if pair[0].correlations() and pair[1].correlations():
        templates = pair[0].template_network(), pair[1].template_network()
        target = {source.name: values[source.name][:1] for source in templates[0].inputs}
        programs = [programmed(network, values) for network in pair]
        stages = [(templates, target), ((programs[0][0], programs[1][0]), programs[0][1])]
    total = layers = 0
    still: dict[str, str] = {}
    for networks, frames in stages:
        one = replace(engine.run(networks[0], frames), engine="A")
        other = replace(engine.run(networks[1], frames), engine="B")
        shared = {
            name
            for name in one.membranes
            if name in other.membranes
            and one.membranes[name].shape == other.membranes[name].shape
            and (name in one.spikes, name in one.messages) == (name in other.spikes, name in other.messages)
        }
        result = compare(networks[0], frames, one, [other], only=shared)
        layers += len(result.layers)
        total += one.frames
        still |= {name: why for name, why in one.unvaried().items() if name in shared}
        if result.first_divergence is not None:
            first = result.first_divergence
            own = said.get(first.layer)
            cause = f"{'; '.join(own)}" if own else first.cause
            found.differs(f"first divergence: {replace(first, cause=cause)}")
            return
    found.say(f"{'the same spikes' if found.same else 'no neuron shows it'}: {layers} layers, {total} frames")
    _say_still(found, still)


def compare_graphs(
    found: Diff, expected: NirGraph, got: NirGraph, said: Mapping[str, list[str]], frames: Frames
) -> None:
    """Both graphs node by node in double precision. said: what differs in them, by node."""
    try:
        _graphs_compared(found, expected, got, said, frames)
    except (MonospikeError, *_GRAPH_ERRORS) as error:
        found.say(f"spikes cannot be compared: {error}")


def _graphs_compared(
    found: Diff, expected: NirGraph, got: NirGraph, said: Mapping[str, list[str]], frames: Frames
) -> None:
    values = _graph_frames(expected, frames)
    shared = tuple(
        name
        for name, node in expected.nodes.items()
        if node.kind in NEURONS and name in got.nodes and got.nodes[name].kind == node.kind
    )
    if not shared:
        found.say("they have no neurons in common: spikes cannot be compared")
        return
    runs = [run_float(graph, values, graph.dt or _DEFAULT_DT, shared) for graph in (expected, got)]
    order = {name: index for index, name in enumerate(_downstream(expected))}
    for name in sorted(shared, key=lambda name: order.get(name, 0)):
        one, other = (run.values[name][0] for run in runs)
        if one.shape != other.shape:
            found.differs(f"{name}: spikes have shape {other.shape}, expected {one.shape}")
            return
        if not np.array_equal(one, other):
            place = tuple(int(i) for i in np.argwhere(one != other)[0])
            cause = "; ".join(said.get(name, [])) or "what it reads differs: " + ", ".join(said)
            found.differs(
                f"first divergence: node {name!r}, neuron {place[1:]}, frame {place[0]}: spikes: A {one[place]:g}, "
                f"B {other[place]:g}. Likely cause: {cause}"
            )
            return
    count = next(iter(values.values())).shape[1]
    found.say(f"{'the same spikes' if found.same else 'no neuron shows it'}: {len(shared)} nodes, {count} frames")
    spiking = [name for name in shared if expected.nodes[name].kind in SPIKING]
    fired = {name: runs[0].values[name][0] for name in spiking}
    still = {name: unvaried(np.count_nonzero(values), values.size) for name, values in fired.items()}
    _say_still(found, {name: why for name, why in still.items() if why is not None})


def _say_still(found: Diff, still: Mapping[str, str]) -> None:
    for name, why in still.items():
        found.say(f"{name}: {why}: its spikes say nothing on these frames; --frames takes others")


def _graph_frames(graph: NirGraph, frames: Frames) -> dict[str, npt.NDArray]:
    """For every input node (1, frame, ...): drawn spikes, or those of the file."""
    shapes = {
        name: tuple(int(size) for size in np.ravel(node.values["shape"]))
        for name, node in graph.nodes.items()
        if node.kind == "Input" and "shape" in node.values
    }
    if not shapes:
        raise FormatError("there is no input that says its shape")
    if frames.file is None:
        random = np.random.default_rng(frames.seed)
        return {name: random.random((1, frames.count or _DRAWN, *shape)) < 0.5 for name, shape in shapes.items()}
    arrays = read_frames(frames.file)
    if len(shapes) == 1 and len(arrays) == 1:
        arrays = {next(iter(shapes)): next(iter(arrays.values()))}
    found = {}
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].size % max(int(np.prod(shape)), 1):
            raise FormatError(f"{frames.file}: has no frames of shape {shape} for the input {name!r}")
        found[name] = arrays[name].reshape(1, -1, *shape)
    return found


def _downstream(graph: NirGraph) -> list[str]:
    """The nodes as they are reached from the inputs, breadth first."""
    order = [name for name, node in graph.nodes.items() if node.kind == "Input"]
    seen = set(order)
    for name in order:
        for source, target in graph.edges:
            if source == name and target not in seen:
                seen.add(target)
                order.append(target)
    return order
