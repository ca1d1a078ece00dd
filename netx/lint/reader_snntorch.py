"""Rules about what snnTorch 1.0.0, with nirtorch 2.6, makes of a graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from netx.lint.finding import Family, Severity, Trouble
from netx.lint.nir_view import NEURONS, TIMES, NirGraph, NirNode, steady
from netx.lint.raw import nonzero
from netx.lint.reader_kinds import refuse_others

GRAPH: Family[NirGraph] = Family()
NODE: Family[NirNode] = Family()

_SNNTORCH = "snnTorch 1.0.0 import_nir.py"
_NIRTORCH = "nirtorch 2.6"
_SNNTORCH_DT = 1e-4
_TAKES = (
    *("Input", "Output", "NIRGraph", "Affine", "Linear", "Conv1d", "Conv2d", "Flatten"),
    *("AvgPool2d", "SumPool2d", "IF", "LIF", "CubaLIF"),
)
"""With those of nirtorch that snnTorch falls back on."""

refuse_others(NODE, "snntorch", _TAKES, _SNNTORCH)


@NODE.rule(
    "snntorch-time-step",
    Severity.WARNING,
    "snnTorch takes a time step of 1e-4 s, whatever the file was made for: time constants and gains change.",
    "Write time constants for a step of 1e-4 s: one of 1e-4 s forgets at once.",
    f"{_SNNTORCH}: dt = 1e-4",
    "snntorch",
    refused=True,
)
def _snntorch_step(node: NirNode) -> Iterator[Trouble]:
    for name in TIMES:
        values = node.raw.numbers(name) if node.kind in ("LIF", "CubaLIF") else None
        r = node.raw.numbers("r")
        if values is None or not values.size or steady(values, _SNNTORCH_DT):
            continue
        # A leaky neuron's gain, r * dt / tau, may be one all the same.
        gained = node.kind == "LIF" and r is not None and r.shape == values.shape
        if not (gained and r is not None and np.allclose(r * _SNNTORCH_DT, values)):
            yield name, f"is {values.flat[0]:g} s, and snnTorch's step is {_SNNTORCH_DT:g} s"


@NODE.rule(
    "snntorch-neuron-refused",
    Severity.WARNING,
    "snnTorch refuses leak voltages, and thresholds that differ within a layer; it makes an IF leak.",
    "Fold v_leak into the bias; use one threshold and biases instead; use a LIF.",
    _SNNTORCH,
    "snntorch",
    refused=True,
)
def _snntorch_neuron(node: NirNode) -> Iterator[Trouble]:
    leak, threshold = node.raw.numbers("v_leak"), node.raw.numbers("v_threshold")
    if node.kind in ("LIF", "CubaLIF") and leak is not None and leak.any():
        yield "v_leak", f"is {nonzero(leak):g}"
    if node.kind in ("IF", "LIF", "CubaLIF") and threshold is not None and np.unique(threshold).size > 1:
        yield "v_threshold", f"has {np.unique(threshold).size} values"
    if node.kind == "IF":
        yield "type", "is IF, which becomes a Leaky with a beta of 0.9"


@NODE.rule(
    "snntorch-cuba-gain",
    Severity.WARNING,
    "snnTorch refuses a CubaLIF whose r is not tau_mem / 1e-4.",
    "Move the gain into w_in or the weights.",
    _SNNTORCH,
    "snntorch",
    refused=True,
)
def _snntorch_cuba(node: NirNode) -> Iterator[Trouble]:
    r, tau = node.raw.numbers("r"), node.raw.numbers("tau_mem")
    if node.kind != "CubaLIF" or r is None or tau is None or r.shape != tau.shape or not r.size:
        return
    if not np.allclose(r, tau / _SNNTORCH_DT):
        yield "r", f"is {r.flat[0]:g}"


@GRAPH.rule(
    "snntorch-recurrence-refused",
    Severity.WARNING,
    "snnTorch fails over recurrent graphs, its own too: nirtorch 2.6 builds no state for what it makes of the loop.",
    "Load each stretch between loops, or build RSynaptic or RLeaky by hand from the nodes.",
    f"{_SNNTORCH}, import_from_nir; {_NIRTORCH} nir_interpreter.py: AttributeError",
    "snntorch",
    refused=True,
)
def _snntorch_loop(graph: NirGraph) -> Iterator[Trouble]:
    if tangled := graph.tangled():
        yield f"nodes/{min(tangled)}", "is part of a loop, or behind one"


@NODE.rule(
    "snntorch-nested-neurons",
    Severity.WARNING,
    "By the order of the nodes' names, nirtorch 2.6 builds no state for a graph within a graph, and snnTorch fails.",
    "Write the nodes of the inner graph into the outer one.",
    f"{_NIRTORCH} nir_interpreter.py: AttributeError",
    "snntorch",
    refused=True,
)
def _snntorch_nested(node: NirNode) -> Iterator[Trouble]:
    nodes = node.raw.member("nodes") if node.kind == "NIRGraph" else None
    for name in nodes.names() if nodes is not None else ():
        inner = nodes.member(name) if nodes is not None else None
        if inner is not None and inner.text("type") in NEURONS:
            yield f"nodes/{name}", f"is {inner.text('type')}"
            return
