"""Rules about a NIR graph itself: what no reader can take, or what is likely not meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from netx.lint.finding import Family, Severity, Trouble
from netx.lint.nir_types import type_troubles
from netx.lint.nir_view import of_kind, parameters, reached, tangled
from netx.lint.raw import at, first, not_finite
from netx.nir_graph import GRAPH as GRAPH_KIND
from netx.nir_graph import NEURONS, PARAMETERS, SPIKING, TIMES, Kind, NirGraph, StoredGraph, StoredNode
from netx.nir_shapes import misfits

GRAPH: Family[StoredGraph] = Family()
NODE: Family[StoredNode] = Family()
FLAT: Family[NirGraph] = Family()
"""About the graph without graphs within graphs, as readers run it."""

_SERIAL = "nir 1.0.8 nir/serialization.py"


@GRAPH.rule(
    "nir-no-input-or-output",
    Severity.ERROR,
    "A graph without an Input or an Output node cannot be run.",
    "Add them, with edges from and to them.",
    "nir 1.0.8 nir/ir/graph.py",
)
def _ends(graph: StoredGraph) -> Iterator[Trouble]:
    for kind in ("Input", "Output"):
        if not of_kind(graph, kind):
            yield "nodes", f"hold no {kind}"


@GRAPH.rule(
    "nir-edge-to-nowhere",
    Severity.ERROR,
    "An edge names a node that is not there.",
    "Remove the edge, or add the node.",
    "nir 1.0.8 nir/ir/graph.py",
)
def _nowhere(graph: StoredGraph) -> Iterator[Trouble]:
    names = {node.name for node in graph.nodes}
    for one, two in graph.edges:
        for name in (one, two):
            if name not in names:
                yield "edges", f"{one} -> {two}: there is no node {name!r}"


@GRAPH.rule(
    "nir-edges-numbered",
    Severity.ERROR,
    "Edges are pairs of numbers, as nir wrote them up to 0.0.6: nir.read fails over them, TypeError.",
    "Write the file again with nir 1.0.8; monospike import reads it.",
    "nir 0.0.6 nir/write.py; nir 1.0.8 nir/ir/utils.py, ensure_str",
)
def _numbered(graph: StoredGraph) -> Iterator[Trouble]:
    if graph.numbered:
        yield "edges", f"{graph.edges[0][0]} -> {graph.edges[0][1]} and others are numbers"


@GRAPH.rule(
    "nir-edge-twice",
    Severity.ERROR,
    "The same edge stands in the file twice: nir.read refuses it.",
    "Remove one.",
    "nir 1.0.8 nir/ir/graph.py: ValueError",
)
def _twice(graph: StoredGraph) -> Iterator[Trouble]:
    for edge in sorted(edge for edge, count in Counter(graph.edges).items() if count > 1):
        yield "edges", " -> ".join(edge)


@GRAPH.rule(
    "nir-node-not-reached",
    Severity.WARNING,
    "No way leads from an input to a node, or none from it to an output: it does nothing.",
    "Connect it, or remove it.",
    "nir 1.0.8 nir/ir/graph.py: nothing checks it",
)
def _unreached(graph: StoredGraph) -> Iterator[Trouble]:
    forward = reached(graph, [node.name for node in of_kind(graph, "Input")])
    backward = reached(graph, [node.name for node in of_kind(graph, "Output")], backwards=True)
    for node in graph.nodes:
        if node.name not in forward:
            yield f"nodes/{node.name}", "is reached from no input"
        elif node.name not in backward:
            yield f"nodes/{node.name}", "leads to no output"


@GRAPH.rule(
    "nir-loop-without-memory",
    Severity.ERROR,
    "A loop of edges passes through no neuron and no delay: its value depends on itself within one step.",
    "Put a neuron or a Delay into the loop.",
    "nir 1.0.8 docs: edges carry signals without delay",
)
def _loop(graph: StoredGraph) -> Iterator[Trouble]:
    if loop := tangled(graph, *NEURONS, "Delay", GRAPH_KIND):
        yield f"nodes/{min(loop)}", "is part of a loop without neurons, or behind one"


@GRAPH.rule(
    "nir-neurons-in-a-row",
    Severity.NOTE,
    "A neuron reads another without weights between them.",
    "It may be meant; a chip needs a synapse of weight 1 there.",
    "netx.network: each layer has a synapse",
)
def _in_a_row(graph: StoredGraph) -> Iterator[Trouble]:
    kinds = {node.name: node.kind for node in graph.nodes}
    for one, two in graph.edges:
        if kinds.get(one) in SPIKING and kinds.get(two) in NEURONS:
            yield f"nodes/{two}", f"reads {one} directly"


@NODE.rule(
    "nir-node-unknown",
    Severity.ERROR,
    "nir.read does not know this kind of node.",
    "Use one of the kinds that nir 1.0.8 defines.",
    _SERIAL,
)
def _unknown(node: StoredNode) -> Iterator[Trouble]:
    if node.kind not in PARAMETERS and node.kind != GRAPH_KIND:
        yield "type", f"is {node.kind!r}"


@NODE.rule(
    "nir-parameter-missing",
    Severity.ERROR,
    "A parameter that the kind of node needs is missing: nir.read raises TypeError or KeyError.",
    "Write the file again with nir 1.0.8.",
    _SERIAL,
)
def _missing(node: StoredNode) -> Iterator[Trouble]:
    kind = PARAMETERS.get(node.kind, Kind())
    for name in (*kind.needed, *kind.expected):
        if name not in node.members:
            yield name, "is missing"


@NODE.rule(
    "nir-not-finite",
    Severity.ERROR,
    "A parameter is infinite or not a number.",
    "Find out where the training diverged.",
    "IEEE 754: comparisons with NaN are false, so that such neurons are silent",
)
def _not_finite(node: StoredNode) -> Iterator[Trouble]:
    for name, values in parameters(node).items():
        yield from not_finite(name, values)


@NODE.rule(
    "nir-time-not-positive",
    Severity.ERROR,
    "A time constant is zero or negative: readers divide by it.",
    "Use the time step itself for neurons that forget at once.",
    "norse 1.1.0 torch/utils/import_nir.py: 1 / tau",
)
def _times(node: StoredNode) -> Iterator[Trouble]:
    for name in TIMES:
        values = node.numbers(name) if node.kind in NEURONS else None
        if values is not None and (bad := values <= 0).any():
            yield f"{name}{at(first(bad))}", f"is {values[first(bad)]:g}"


@NODE.rule(
    "nir-parameter-shapes",
    Severity.ERROR,
    "The parameters of a neuron have different shapes: nir.read refuses them.",
    "Give each the shape of the layer.",
    "nir 1.0.8 nir/ir/neuron.py: AssertionError",
)
def _shapes(node: StoredNode) -> Iterator[Trouble]:
    if node.kind not in NEURONS:
        return
    for (one, values), (two, others) in pairwise(parameters(node).items()):
        if values.shape != others.shape:
            yield two, f"has shape {others.shape}, {one} has {values.shape}"


@NODE.rule(
    "nir-scalar-parameters",
    Severity.WARNING,
    "Neurons whose parameters are single numbers have no size of their own: type checks and some readers fail.",
    "Repeat the parameters for every neuron of the layer.",
    "neuromorphs/NIR issue 176; sinabs 3.1.3 nir.py: unsqueeze of an array",
)
def _scalars(node: StoredNode) -> Iterator[Trouble]:
    if node.kind in NEURONS:
        for name, values in parameters(node).items():
            if values.ndim == 0:
                yield name, "is a single number"
                return


@NODE.rule(
    "nir-reset-left-out",
    Severity.WARNING,
    "v_reset is not in the file: nir.read takes 0, other readers may not.",
    "Write the file again with nir 1.0.8.",
    f"{_SERIAL}; jeshraghian/snntorch issue 384",
)
def _reset(node: StoredNode) -> Iterator[Trouble]:
    if node.kind in SPIKING and "v_reset" not in node.members:
        yield "v_reset", "is missing"


@NODE.rule(
    "nir-threshold-not-above-reset",
    Severity.WARNING,
    "A threshold is not above the value that the neuron is reset to: once it has fired, it fires for ever.",
    "Raise v_threshold above v_reset and v_leak.",
    "nir 1.0.8 nir/ir/neuron.py: the equations",
)
def _above_reset(node: StoredNode) -> Iterator[Trouble]:
    threshold, reset = node.numbers("v_threshold"), node.numbers("v_reset")
    if node.kind not in SPIKING or threshold is None:
        return
    rest = reset if reset is not None and reset.shape == threshold.shape else np.zeros_like(threshold)
    low = threshold <= rest
    if low.any():
        yield f"v_threshold{at(first(low))}", f"is {threshold[first(low)]:g}, and v_reset {rest[first(low)]:g}"


@FLAT.rule(
    "nir-shapes-contradict",
    Severity.ERROR,
    "A node cannot take what it reads: weights or parameters are for other shapes, or sums are of different ones.",
    "Write the file again after a forward pass with the input's real shape.",
    "nir 1.0.8 nir/ir/graph.py: ValueError; netx.nir_shapes",
)
def _misfits(graph: NirGraph) -> Iterator[Trouble]:
    for misfit in misfits(graph):
        yield graph.places.get(misfit.node, ""), misfit.reason


@GRAPH.rule(
    "nir-type-check",
    Severity.WARNING,
    "nir.read refuses the graph, unless it is told type_check=False: it wants every shape written out, and equal.",
    "Write the shapes of one frame into Input and Output, and each parameter for every neuron.",
    "nir 1.0.8 nir/ir/graph.py, infer_types, which is run here",
)
def _types(graph: StoredGraph) -> Iterator[Trouble]:
    yield from type_troubles(graph)
