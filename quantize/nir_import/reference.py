"""The graph as it was: every node run on its own in double precision, one step after the other.

It shares no arithmetic with what becomes integers: no maps are joined and no parameter is folded. The equations and the
order of their Euler step are those of ``quantize.nir_import.neurons``; feedback carries the spikes of the step before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from netx.errors import NetworkError
from netx.nir_graph import NirGraph, NirNode
from netx.types import Shape
from quantize.nir_import.errors import CannotError
from quantize.nir_import.forms import NEURONS
from quantize.nir_import.loops import feedback_edges, reached_from, step_order
from quantize.nir_import.neurons import spread

Values = npt.NDArray[np.float64]
"""Of one step: (sequence, ...) in the node's own shape."""


@dataclass(frozen=True)
class FloatRun:
    """What the nodes did. values: spikes of neurons and the values of all others that were asked for, by name, shape
    (sequence, frame, ...)."""

    values: Mapping[str, Values]


@dataclass
class _State:
    current: Values
    voltage: Values


@dataclass
class _Run:
    graph: NirGraph
    dt: float
    subtract: bool
    states: dict[str, _State] = field(default_factory=dict)
    queues: dict[str, list[Values]] = field(default_factory=dict)


def run_float(
    graph: NirGraph,
    frames: Mapping[str, npt.NDArray],
    dt: float,
    record: tuple[str, ...],
    advance: Callable[[], None] = lambda: None,
    subtract: bool = False,
) -> FloatRun:
    """Run ``graph`` for steps of ``dt`` seconds from rest and record the named nodes.

    frames: for each node without inputs, shape (sequence, frame, ...). advance: called after every step. subtract:
    neurons whose ``v_reset`` is not in the file lose their threshold instead of falling to 0.
    """
    neurons = {name for name, node in graph.nodes.items() if node.kind in NEURONS}
    feedback = feedback_edges(graph, neurons)
    reached = reached_from(graph, frames)
    order = [name for name in step_order(graph, feedback) if name in reached]
    run = _Run(graph, dt, subtract)
    recorded: dict[str, list[Values]] = {name: [] for name in record}
    last: dict[str, Values] = {}
    batch, steps = next(iter(frames.values())).shape[:2]
    for step in range(steps):
        now: dict[str, Values] = {}
        for name in order:
            if name in frames:
                now[name] = np.asarray(frames[name][:, step], np.float64)
                continue
            brought = []
            for source in graph.before(name):
                if (source, name) not in feedback:
                    brought += [now[source]] if source in now else []
                elif source in last:
                    brought.append(last[source])
                elif step == 0 and source in reached:
                    brought.append(_at_rest(graph, source, name, batch))
            if brought:
                now[name] = _node(run, name, _sum(name, brought))
        last = now
        for name, values in recorded.items():
            values.append(now[name])
        advance()
    return FloatRun({name: np.stack(values, axis=1) for name, values in recorded.items()})


def _at_rest(graph: NirGraph, source: str, name: str, batch: int) -> Values:
    """What neurons feed back before their first step: no spikes, in their parameters' shape or as many as are read."""
    values = graph.nodes[source].values
    shape = max((np.shape(value) for value in values.values()), key=lambda one: int(np.prod(one)), default=())
    if int(np.prod(shape)) == 1 and "weight" in graph.nodes[name].values:
        shape = np.shape(graph.nodes[name].values["weight"])[1:2]
    return np.zeros((batch, *(shape or (1,))))


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
    weight = torch.from_numpy(np.asarray(node.values["weight"], np.float64))
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
    shape, dt = values.shape[1:], run.dt

    def get(parameter: str, default: float | None = None) -> Values:
        if len(shape) > 3:
            raise CannotError(f"has {len(shape)} dimensions")
        padded = Shape(shape[0], *((1,) * (3 - len(shape))), *shape[1:]) if shape else Shape(1, 1, 1)
        return spread(node, parameter, padded, default).reshape(shape)

    kind = node.kind
    if kind == "Threshold":
        return (values > get("threshold")).astype(np.float64)
    state = run.states.setdefault(name, _State(np.zeros_like(values), np.zeros_like(values)))
    current = values
    if kind in ("CubaLIF", "CubaLI"):
        change = dt / get("tau_syn") * (get("w_in", 1.0) * values - state.current)
        current = state.current = state.current + change
    if kind in ("IF", "I"):
        state.voltage = state.voltage + get("r") * current
    else:
        tau = get("tau_mem" if kind.startswith("Cuba") else "tau")
        state.voltage = state.voltage + dt / tau * (get("v_leak") - state.voltage + get("r") * current)
    if kind in ("I", "LI", "CubaLI"):
        return state.voltage
    spikes = state.voltage > get("v_threshold")
    loses = run.subtract and "v_reset" not in node.values
    fallen = state.voltage - get("v_threshold") if loses else get("v_reset", 0.0)
    state.voltage = np.where(spikes, fallen, state.voltage)
    return spikes.astype(np.float64)
