"""nir 1.0.8's own type check, run edge by edge on values that have been read safely.

nir checks a whole graph in a time that grows with the square of its size; two nodes and an edge take microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from netx.nir_graph import GRAPH, NEURONS, PARAMETERS, StoredGraph, StoredNode


def type_troubles(graph: StoredGraph) -> Iterator[tuple[str, str]]:
    """Where nir's type check of ``graph`` alone stops, and why: (place, message), at most one.

    Nothing where a node cannot even be made, edges lead nowhere, or stand twice: those are findings of their own.
    """
    try:
        with np.errstate(all="ignore"):
            nodes = {node.name: made for node in graph.nodes if (made := _made(node)) is not None}
    except Exception:  # whatever nir's code raises: a node that cannot be made is a finding of its own
        return
    if len(nodes) < len(graph.nodes) or len(set(graph.edges)) < len(graph.edges):
        return
    if any(name not in nodes for edge in graph.edges for name in edge):
        return
    readers: dict[str, list[str]] = {}
    for source, target in graph.edges:
        readers.setdefault(source, []).append(target)
    waiting = [node.name for node in graph.nodes if node.kind == "Input"]
    seen = set(waiting)
    while waiting:
        source = waiting.pop()
        for target in readers.get(source, []):
            if (reason := _refusal(nodes[source], nodes[target])) is not None:
                yield f"nodes/{target}", f"reads {source!r}, and nir says: {reason}"
                return
            if target not in seen:
                seen.add(target)
                waiting.append(target)


def _refusal(source: Any, target: Any) -> str | None:
    """What nir says against an edge between two nodes, whose types it fills in where they are open."""
    try:
        gives = next(iter(source.output_type.values()))
        with np.errstate(all="ignore"):
            nir.NIRGraph({"source": nir.Input(gives), "target": target}, [("source", "target")])
    except Exception as error:  # whatever nir's code raises is what a user of nir.read would see
        return str(error).replace("source.output", "output").replace("target.input", "input") or type(error).__name__
    return None


def _made(node: StoredNode) -> Any:
    """The node as nir's class; None where it has none, or lacks what that needs."""
    if node.kind == GRAPH:
        return None if node.graph is None else _ends(node.graph)
    if node.kind not in PARAMETERS:
        return None
    kind = PARAMETERS[node.kind]
    values: dict[str, Any] = {name: value for name, value in node.values.items() if name in kind.names}
    if any(name not in values for name in (*kind.needed, *kind.expected)):
        return None
    if node.kind in NEURONS and len({np.shape(value) for value in values.values()}) > 1:
        return None
    if node.kind in ("Input", "Output"):
        return getattr(nir, node.kind)(values["shape"])
    if node.kind == "Flatten":
        values |= {name: int(np.ravel(values[name])[0]) for name in ("start_dim", "end_dim")} | {"input_type": None}
    return getattr(nir, node.kind)(**values)


def _ends(graph: StoredGraph) -> Any:
    """Something with the types of a graph within a graph; None where it has not one input and one output."""
    shapes = []
    for kind in ("Input", "Output"):
        found = [node.numbers("shape") for node in graph.nodes if node.kind == kind]
        if len(found) != 1 or found[0] is None:
            return None
        shapes.append(found[0])
    node = nir.Scale(np.empty(0))
    node.input_type, node.output_type = {"input": shapes[0]}, {"output": shapes[1]}
    return node
