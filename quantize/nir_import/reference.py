"""The graph as it was: every node run on its own in double precision, one step after the other.

It shares no arithmetic with what becomes integers: no maps are joined and no parameter is folded. The equations and the
order of their Euler step are those of ``quantize.nir_import.neurons``; feedback carries the spikes of the step before.
What files do not say is done as ``Rules`` have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from netx.errors import NetworkError
from netx.nir_edges import Edge
from netx.nir_graph import NirGraph, NirNode
from netx.types import Shape
from quantize.nir_import.errors import CannotError
from quantize.nir_import.forms import NEURONS
from quantize.nir_import.loops import feedback_edges, reached_from, step_order
from quantize.nir_import.neurons import TIE, Rules, spread

Values = npt.NDArray[np.float64]
"""Of one step: (sequence, ...) in the node's own shape."""


@dataclass(frozen=True)
class FloatRun:
    """What the nodes did. values: spikes of neurons and the values of all others that were asked for, by name, shape
    (sequence, frame, ...). ties: for each node that fires how often a voltage equalled its threshold."""

    values: Mapping[str, Values]
    ties: Mapping[str, int]


@dataclass
class _State:
    """fired: spikes by the voltage of the latest step, sent in it or, by neurons that are late, in the next."""

    current: Values
    voltage: Values
    fired: Values


@dataclass
class _Run:
    graph: NirGraph
    dt: float
    rules: Mapping[str, Rules]
    order: list[str]
    feedback: set[Edge]
    states: dict[str, _State] = field(default_factory=dict)
    queues: dict[str, list[Values]] = field(default_factory=dict)
    ties: dict[str, int] = field(default_factory=dict)


def run_float(
    graph: NirGraph,
    frames: Mapping[str, npt.NDArray],
    dt: float,
    record: tuple[str, ...],
    advance: Callable[[], None] = lambda: None,
    rules: Mapping[str, Rules] = MappingProxyType({}),
) -> FloatRun:
    """Run ``graph`` for steps of ``dt`` seconds from rest and record the named nodes.

    frames: for each node without inputs, shape (sequence, frame, ...). advance: called after every step. rules: by
    name of node, what the graph leaves open; the defaults of ``Rules`` where a node is not in it.
    """
    neurons = {name for name, node in graph.nodes.items() if node.kind in NEURONS}
    feedback = feedback_edges(graph, neurons)
    reached = reached_from(graph, frames)
    order = [name for name in step_order(graph, feedback) if name in reached]
    run = _Run(graph, dt, rules, order, feedback)
    recorded: dict[str, list[Values]] = {name: [] for name in record}
    steps = next(iter(frames.values())).shape[1]
    last = _at_rest(run, frames) if feedback else {}
    for step in range(steps):
        now = _step(run, {name: np.asarray(values[:, step], np.float64) for name, values in frames.items()}, last)
        # What is fed back is what the step's own voltages fired, even where the spikes are sent a step late.
        late = {name: run.states[name].fired for name, rule in rules.items() if rule.late and name in run.states}
        last = {**now, **late}
        for name, values in recorded.items():
            values.append(now[name])
        advance()
    return FloatRun({name: np.stack(values, axis=1) for name, values in recorded.items()}, run.ties)


def _at_rest(run: _Run, frames: Mapping[str, npt.NDArray]) -> dict[str, Values]:
    """What neurons feed back before their first step: no spikes, in the shape that a step on its own shows them in."""
    first = {name: np.zeros_like(values[:, 0], np.float64) for name, values in frames.items()}
    known: dict[str, Values] = {}
    for _ in run.order:
        trial = replace(run, states={}, queues={}, ties={})
        found = {name: np.zeros_like(values) for name, values in _step(trial, first, known).items()}
        if found.keys() == known.keys():
            return known
        known = found
    return known


def _step(run: _Run, frames: Mapping[str, Values], last: Mapping[str, Values]) -> dict[str, Values]:
    """The values of all nodes in one step. last: those of the step before; what reads nothing else waits for them."""
    now: dict[str, Values] = {}
    for name in run.order:
        if name in frames:
            now[name] = frames[name]
            continue
        brought = []
        for source in run.graph.before(name):
            earlier = last if (source, name) in run.feedback else now
            brought += [earlier[source]] if source in earlier else []
        if brought:
            now[name] = _node(run, name, _sum(name, brought))
    return now


def _sum(name: str, brought: list[Values]) -> Values:
    total = brought[0]
    for values in brought[1:]:
        if values.shape != total.shape and min(values[0].size, total[0].size) > 1:
            if values.size != total.size:
                raise NetworkError(f"{name}: sums up {values.shape[1:]} and {total.shape[1:]}")
            values = values.reshape(total.shape)
        total = total + values
    return total


def _node(run: _Run, name: str, values: Values) -> Values:
    node = run.graph.nodes[name]
    kind, batch = node.kind, len(values)
    if kind in NEURONS:
        return _neuron(run, name, node, values)
    if kind in ("Affine", "Linear"):
        weight = np.asarray(node.values["weight"], np.float64)
        weight = weight.reshape(weight.shape[-2:])
        return values.reshape(batch, -1) @ weight.T + np.asarray(node.values.get("bias", 0.0), np.float64).ravel()
    if kind == "Scale":
        factor = np.asarray(node.values["scale"], np.float64)
        return values * (
            factor.reshape(values.shape[1:]) if factor.size == values[0].size else _by_channel(factor, values)
        )
    if kind == "Flatten":
        return values.reshape(batch, -1)
    if kind == "Delay":
        return _late(run, name, np.asarray(node.values["delay"], np.float64), values)
    if kind in ("Conv1d", "Conv2d", "SumPool2d", "AvgPool2d"):
        return _windows(node, values)
    return values


def _by_channel(factor: Values, values: Values) -> Values:
    return factor.reshape(-1, *(1,) * (values.ndim - 2)) if factor.size > 1 else factor.reshape(())


def _windows(node: NirNode, values: Values) -> Values:
    images = torch.from_numpy(np.ascontiguousarray(values))
    if node.kind in ("SumPool2d", "AvgPool2d"):
        kernel, steps, (rows, columns) = (_two(node, name) for name in ("kernel_size", "stride", "padding"))
        divisor = 1 if node.kind == "SumPool2d" else kernel[0] * kernel[1]
        padded = F.pad(images, (columns, columns, rows, rows))
        return F.avg_pool2d(padded, kernel, steps, divisor_override=divisor).numpy()
    weight = torch.from_numpy(np.array(node.values["weight"], np.float64))
    channels = len(weight)
    bias = np.broadcast_to(np.asarray(node.values.get("bias", 0.0), np.float64).ravel(), (channels,)).copy()
    groups = int(np.asarray(node.values["groups"]).ravel()[0])
    padding = node.values["padding"]
    if node.kind == "Conv1d":
        stride, dilation = (int(np.asarray(node.values[name]).ravel()[0]) for name in ("stride", "dilation"))
        pad = padding if isinstance(padding, str) else int(np.asarray(padding).ravel()[0])
        lines = images.reshape(len(values), -1, values.shape[-1])
        return F.conv1d(lines, weight, torch.from_numpy(bias), stride, pad, dilation, groups).numpy()
    pads = padding if isinstance(padding, str) else _two(node, "padding")
    stride_two, dilation_two = _two(node, "stride"), _two(node, "dilation")
    return F.conv2d(images, weight, torch.from_numpy(bias), stride_two, pads, dilation_two, groups).numpy()


def _two(node: NirNode, name: str) -> tuple[int, int]:
    values = np.asarray(node.values[name]).ravel()
    return int(values[0]), int(values[-1])


def _late(run: _Run, name: str, delay: Values, values: Values) -> Values:
    steps = np.rint(delay / run.dt).astype(int)
    queue = run.queues.setdefault(name, [])
    queue.append(values)
    del queue[: max(len(queue) - int(steps.max()) - 1, 0)]
    if steps.size == 1:
        late = int(steps.flat[0])
        return queue[-1 - late] if late < len(queue) else np.zeros_like(values)
    result = np.zeros_like(values)
    for late in np.unique(steps):
        if late < len(queue):
            result = np.where(steps.reshape(values.shape[1:]) == late, queue[-1 - late], result)
    return result


def _neuron(run: _Run, name: str, node: NirNode, values: Values) -> Values:
    shape, dt, rules = values.shape[1:], run.dt, run.rules.get(name, Rules())

    def get(parameter: str, default: float | None = None) -> Values:
        if len(shape) > 3:
            raise CannotError(f"has {len(shape)} dimensions")
        padded = Shape(shape[0], *((1,) * (3 - len(shape))), *shape[1:]) if shape else Shape(1, 1, 1)
        return spread(node, parameter, padded, default).reshape(shape)

    kind = node.kind
    if kind == "Threshold":
        return _crossed(run, name, values, get("threshold")).astype(np.float64)
    if name not in run.states:
        start = np.zeros(shape) if rules.start == "zero" else get(rules.start, 0.0)
        voltages = np.broadcast_to(start, values.shape).copy()
        run.states[name] = _State(np.zeros_like(values), voltages, np.zeros_like(values))
    state, cuba = run.states[name], kind in ("CubaLIF", "CubaLI")
    fired = state.fired > 0
    current = values
    if cuba:
        change = dt / get("tau_syn") * (get("w_in", 1.0) * values - state.current)
        current = state.current = state.current + change
    if rules.reset == "zero-later" and not cuba:
        state.voltage = np.where(fired, get("v_reset", 0.0), state.voltage)
    if kind in ("IF", "I"):
        state.voltage = state.voltage + get("r") * current
    else:
        tau = get("tau_mem" if cuba else "tau")
        state.voltage = state.voltage + dt / tau * (get("v_leak") - state.voltage + get("r") * current)
    if kind in ("I", "LI", "CubaLI"):
        return state.voltage
    if rules.reset == "zero-later" and cuba:
        state.voltage = np.where(fired, get("v_reset", 0.0), state.voltage)
    if rules.reset == "subtract-later":
        state.voltage = state.voltage - state.fired * get("v_threshold")
    return _fire(run, name, state, get("v_threshold"), get("v_reset", 0.0))


def _fire(run: _Run, name: str, state: _State, threshold: Values, reset: Values) -> Values:
    """The spikes that are sent in this step, after the voltage has been reset where that is done at once."""
    rules = run.rules.get(name, Rules())
    before, spikes = state.fired, _crossed(run, name, state.voltage, threshold).astype(np.float64)
    if rules.several:
        # A voltage that just misses a multiple of the threshold holds as many as the float32 of the framework would.
        held = np.floor(state.voltage / np.where(threshold > 0, threshold, np.inf) + TIE)
        spikes = spikes * np.maximum(held, 1.0)
    if rules.reset == "zero":
        state.voltage = np.where(spikes > 0, reset, state.voltage)
    elif rules.reset == "subtract":
        state.voltage = state.voltage - spikes * threshold
    state.fired = spikes
    return before if rules.late else spikes


def _crossed(run: _Run, name: str, voltage: Values, threshold: Values) -> npt.NDArray[np.bool_]:
    """Where neurons fire; how often the voltage equalled the threshold is counted."""
    margin = TIE * np.abs(threshold)
    run.ties[name] = run.ties.get(name, 0) + int((np.abs(voltage - threshold) <= margin).sum())
    fires_at = run.rules.get(name, Rules()).fires_at_threshold
    return voltage >= threshold - margin if fires_at else voltage > threshold + margin
