"""From a graph and frames to calibrate on to a network of integers and what each approximation is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from netx import Input, Network, NetworkError
from netx.nir_graph import NirGraph, NirNode
from netx.nir_shapes import Sizes, frame_shape, stored_shape
from netx.types import Shape
from quantize.nir_import.errors import CannotError, NirImportError, Problem, Problems
from quantize.nir_import.forms import FloatLayer, FloatNetwork, gather
from quantize.nir_import.inputs import Calibration, calibrated
from quantize.nir_import.integers import Builder, Rounded
from quantize.nir_import.linear import MOST_AXES, as_view
from quantize.nir_import.neurons import Rules
from quantize.nir_import.time_step import time_step, values_of
from quantize.nir_import.writers import (
    NO_CHOICES,
    READINGS,
    Choices,
    Reading,
    Writer,
    marks,
    rate_as_gain,
    rules_of,
    with_gain,
)

_FEW_STEPS = 1e-3
"""A decay below this at the default dt is no plausible one: sinabs, for one, writes time constants in steps."""


@dataclass(frozen=True)
class LayerReport:
    """One layer. node, kind: of the graph. name: of the network's layer. spikes: whether it sends any; its voltage is a
    read-out otherwise. taus: time constants in seconds as stored, (name, smallest, largest). decays: the float ones in
    1/4096 before rounding, (state, smallest, largest)."""

    node: str
    kind: str
    name: str
    taus: tuple[tuple[str, float, float], ...]
    decays: tuple[tuple[str, float, float], ...]
    rounded: Rounded
    spikes: bool


@dataclass(frozen=True)
class Imported:
    """A network of integers and where it comes from.

    graph: what was imported, with inputs where it had none. dt: seconds, and where that is from. calibration: its
    frames as both sides read them. outputs: for each output of the network the node of the graph that it stands for.
    reset_assumed: nodes with memory of which neither the file nor the user says that they do not subtract their
    threshold; they are reset. reading: the framework as whose file it was read. rules: by name of node, what the
    reference does. ties_chosen: whether the user has said what happens at the threshold.
    """

    network: Network
    graph: NirGraph
    dt: float
    dt_source: str
    layers: tuple[LayerReport, ...]
    calibration: Calibration
    outputs: Mapping[str, str]
    notes: tuple[str, ...]
    reset_assumed: tuple[str, ...] = ()
    reading: Reading | None = None
    rules: Mapping[str, Rules] = field(default_factory=dict)
    ties_chosen: bool = False


def import_graph(
    graph: NirGraph,
    frames: Mapping[str, npt.NDArray],
    dt: float | None = None,
    writer: Writer | None = None,
    choices: Choices = NO_CHOICES,
) -> Imported:
    """The network of integers that does what ``graph`` does, as nearly as integers can.

    frames: for each input (frame, ...) or (sequence, frame, ...); the only array serves the only input, whatever its
    name. dt: seconds of a time step; otherwise what ``time_step`` finds. writer: whose file it is read as; otherwise
    NIR's equations hold. choices: what neurons do instead.
    Raises NirImportError that lists every node which cannot be done, NetworkError where the frames do not fit.
    """
    if dt is not None and (not np.isfinite(dt) or dt <= 0):
        raise NetworkError(f"dt is {dt}: expected a positive number of seconds")
    reading = None if writer is None else READINGS[writer]
    with np.errstate(
        divide="ignore", invalid="ignore", over="ignore"
    ):  # parameters that are no times are refused later
        step, step_source = time_step(graph, dt, None if reading is None else reading.step(graph))
        hints = _hints(graph, step, step_source) if reading is None else ()
        meant = _as_meant(graph, reading, choices, step)
    try:
        imported = _imported(meant, frames, step, step_source, reading, choices)
    except NirImportError as error:
        raise NirImportError(graph.path, error.problems, hints) from None
    return replace(imported, notes=(*imported.notes, *hints))


def _as_meant(graph: NirGraph, reading: Reading | None, choices: Choices, dt: float) -> NirGraph:
    """The graph in the terms of ``neurons``, of which only the rules are still to be told."""
    if reading is not None:
        graph = reading.applied(graph, dt)
    else:
        graph = replace(graph, nodes={name: rate_as_gain(node, dt) for name, node in graph.nodes.items()})
    return with_gain(graph, choices.gain, dt)


def _imported(
    graph: NirGraph,
    frames: Mapping[str, npt.NDArray],
    step: float,
    step_source: str,
    reading: Reading | None,
    choices: Choices,
) -> Imported:
    rules = rules_of(graph, reading, choices)
    graph = _with_inputs(graph)
    inputs = [name for name, node in graph.nodes.items() if node.kind == "Input"]
    if len(inputs) == 1 and len(frames) == 1:
        frames = dict(zip(inputs, frames.values(), strict=True))
    sizes = _frame_shapes(graph, inputs, frames)
    shapes = _views(graph, sizes)
    calibration = _in_own_shapes(calibrated(frames, shapes), sizes, shapes)
    with np.errstate(over="ignore", invalid="ignore"):  # what leaves double precision is refused when it is rounded
        floats = gather(graph, shapes, step, rules)
    names = _names([*floats.inputs, *(layer.name for layer in floats.layers)])
    sources = tuple(Input(names[name], shape, calibration.facts[name].range) for name, shape in floats.inputs.items())
    scales = {names[name]: calibration.facts[name].scale for name in floats.inputs}
    builder = Builder(sources, scales, names)
    reports = _add_all(builder, graph, floats, step)
    network = builder.network(tuple(names[name] for name in floats.outputs))
    outputs = {names[name]: name for name in floats.outputs}
    renamed = replace_names(calibration, names)
    notes = (*graph.notes, *_shape_notes(graph, sizes), *_notes(graph, floats))
    still_open = _reset_assumed(graph, floats) if reading is None and choices.reset is None else ()
    return Imported(
        network, graph, step, step_source, tuple(reports), renamed, outputs, notes, still_open, reading, rules,
        choices.fires_at_threshold is not None,
    )  # fmt: skip


def replace_names(calibration: Calibration, names: Mapping[str, str]) -> Calibration:
    """The calibration with the integers under the network's names; the floats stay under the graph's."""
    integers = {names[name]: values for name, values in calibration.integers.items()}
    return replace(calibration, integers=integers)


def _add_all(builder: Builder, graph: NirGraph, floats: FloatNetwork, dt: float) -> list[LayerReport]:
    problems = Problems(graph.path)
    reports = []
    failed: set[str] = set()
    for layer in floats.layers:
        if failed & set(layer.form.terms):
            failed.add(layer.name)
            continue
        kind = graph.nodes[layer.name].kind if layer.name in graph.nodes else "Output"
        before = len(problems.found)
        with problems.of(layer.name, kind):
            try:
                rounded = builder.add(layer)
            except NetworkError as error:
                raise CannotError(str(error)) from None
            if not layer.relay:
                reports.append(_report(builder, graph, layer, rounded, dt))
        if len(problems.found) > before:
            failed.add(layer.name)
    problems.stop_if_any()
    return reports


def _report(builder: Builder, graph: NirGraph, layer: FloatLayer, rounded: Rounded, dt: float) -> LayerReport:
    node = graph.nodes.get(layer.name, NirNode("Output"))
    taus, decays = [], []
    for what in ("tau_syn", "tau_mem", "tau"):
        if what in node.values and layer.neuron is not None:
            tau = np.asarray(node.values[what], np.float64)
            taus.append((what, float(tau.min()), float(tau.max())))
            name = "current" if what == "tau_syn" else "voltage"
            decays.append((name, float(4096 * dt / tau.max()), float(4096 * dt / tau.min())))
    kind = node.kind if layer.neuron is not None else "linear read-out"
    spikes = layer.neuron is not None and layer.neuron.spikes
    return LayerReport(layer.name, kind, builder.names[layer.name], tuple(taus), tuple(decays), rounded, spikes)


def _with_inputs(graph: NirGraph) -> NirGraph:
    """The graph with an Input node before every node that reads nothing, should it have none at all."""
    if any(node.kind == "Input" for node in graph.nodes.values()):
        return graph
    read = {target for _, target in graph.edges}
    roots = [name for name in graph.nodes if name not in read]
    if not roots:
        reason = "every node reads another: add an Input node where frames enter"
        raise NirImportError(graph.path, [Problem("", "graph", reason)])
    nodes = {f"input_{name}": NirNode("Input", _shape_of(graph.nodes[name])) for name in roots}
    edges = tuple((f"input_{name}", name) for name in roots)
    return replace(graph, nodes={**nodes, **graph.nodes}, edges=(*edges, *graph.edges))


def _shape_of(node: NirNode) -> dict[str, npt.NDArray | str]:
    """What a node reads, where its parameters say so, as the parameter of an Input."""
    values = {name: value for name, value in node.values.items() if not isinstance(value, str)}
    if node.kind in ("Affine", "Linear"):
        return {"shape": np.array(np.shape(values["weight"])[-1:])}
    if node.kind in ("Conv1d", "Conv2d"):
        if "input_shape" not in values or np.ndim(values["weight"]) < 2:
            return {}
        channels = np.shape(values["weight"])[1] * int(np.ravel(values["groups"])[0])
        return {"shape": np.array([channels, *np.ravel(values["input_shape"])])}
    shapes = [np.shape(value) for value in values.values() if np.size(value) > 1]
    return {"shape": np.array(shapes[0])} if shapes and node.kind not in ("SumPool2d", "AvgPool2d", "Flatten") else {}


def _frame_shapes(graph: NirGraph, inputs: list[str], frames: Mapping[str, npt.NDArray]) -> dict[str, Sizes]:
    """For each input the sizes of one frame, from the file or else from the frames."""
    problems = Problems(graph.path)
    sizes = {}
    for name in inputs:
        stored = stored_shape(graph.nodes[name])
        if stored is not None:
            sizes[name] = frame_shape(graph, name, stored) if len(stored) <= MOST_AXES else stored
        elif name in frames and len(np.shape(frames[name])) <= MOST_AXES:
            sizes[name] = frame_shape(graph, name, np.shape(frames[name])[1:])
        else:
            problems.add(name, "Input", "the file does not say its shape, and there are no frames for it")
    problems.stop_if_any()
    return sizes


def _views(graph: NirGraph, sizes: Mapping[str, Sizes]) -> dict[str, Shape]:
    problems = Problems(graph.path)
    shapes = {}
    for name, own in sizes.items():
        with problems.of(name, "Input"):
            shapes[name] = as_view(own)
    problems.stop_if_any()
    return shapes


def _in_own_shapes(calibration: Calibration, sizes: Mapping[str, Sizes], shapes: Mapping[str, Shape]) -> Calibration:
    """The float frames in the shapes that the graph's nodes expect."""
    floats = {}
    for name, values in calibration.floats.items():
        own = sizes[name] if math.prod(sizes[name]) == shapes[name].size else tuple(shapes[name])
        while len(own) > 3 and own[0] == 1:
            own = own[1:]
        floats[name] = values.reshape(*values.shape[:2], *own)
    return replace(calibration, floats=floats)


def _names(nodes: list[str]) -> dict[str, str]:
    """For every node a name that a layer can have, all different, and none that a wire may get."""
    result: dict[str, str] = {}
    taken: set[str] = set()
    for node in nodes:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", node) or "layer"
        plain = f"n{plain}" if plain[0].isdigit() else plain
        name, number = plain, 2
        while taken & {name, f"{name}_flat", f"{name}_inputs"}:
            name, number = f"{plain}_{number}", number + 1
        taken |= {name, f"{name}_flat", f"{name}_inputs"}
        result[node] = name
    return result


def _notes(graph: NirGraph, floats: FloatNetwork) -> tuple[str, ...]:
    notes = []
    if floats.dropped:
        notes.append(f"no input leads to {', '.join(floats.dropped)}: left out")
    relays = [layer for layer in floats.layers if layer.relay]
    if relays:
        count = sum(layer.form.shape.size for layer in relays)
        names = ", ".join(layer.name for layer in relays)
        notes.append(
            f"{count} neurons more, in {names}, pass on spikes without the rows or columns that a pooling leaves unread"
        )
    notes += [
        f"nothing spikes behind {', '.join(_behind(graph, layer.name))}: the output is its value; snnTorch's exporter "
        "loses the neurons behind a sum of currents"
        for layer in floats.layers
        if layer.neuron is None and not layer.relay
    ]
    return tuple(notes)


def _behind(graph: NirGraph, output: str) -> list[str]:
    names = graph.before(output) if graph.nodes[output].kind == "Output" else [output]
    return [f"the {graph.nodes[name].kind} {name}" for name in names]


def _hints(graph: NirGraph, dt: float, source: str) -> tuple[str, ...]:
    """What the file's numbers show of its writer, and of a time step that is not the one taken."""
    found = list(marks(graph, dt))
    slow = [
        name
        for name, node in graph.nodes.items()
        for tau in ("tau", "tau_mem", "tau_syn")
        if tau in node.values and float(np.min(values_of(node, tau))) > dt / _FEW_STEPS
    ]
    if slow and not source.startswith("as asked") and not any("in steps" in mark for mark in found):
        found.append(
            f"at a dt of {dt:g} s, {source}, {slow[0]} hardly changes in a thousand steps: if its time constants are "
            "in steps, as sinabs writes them, pass --dt 1"
        )
    return tuple(found)


def _shape_notes(graph: NirGraph, sizes: Mapping[str, Sizes]) -> tuple[str, ...]:
    """That sizes in front of a frame were taken for batch or time."""
    return tuple(
        f"input {name!r} has the shape {stored} in the file; frames of {own} are what the next layer can read"
        for name, own in sizes.items()
        if (stored := stored_shape(graph.nodes[name])) is not None and math.prod(stored) > math.prod(own)
    )


def _reset_assumed(graph: NirGraph, floats: FloatNetwork) -> tuple[str, ...]:
    """The neurons whose voltage outlives a step, and of which the file says no more than NIR fills in by itself: no
    ``v_reset`` until nir 1.0.5, and zeros since, whatever the writer's neurons do."""
    return tuple(
        layer.name
        for layer in floats.layers
        if layer.neuron is not None and layer.neuron.spikes and (layer.neuron.mem_decay < 1).any()
        if not layer.relay and not values_of(graph.nodes[layer.name], "v_reset", 0.0).any()
    )
