"""What rules ask of a graph as it stands in a ``.nir`` file, which ``netx.nir_graph`` reads for them as for readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from netx.nir_graph import PARAMETERS, Kind, StoredGraph, StoredNode


def of_kind(graph: StoredGraph, *kinds: str) -> list[StoredNode]:
    """The nodes of these kinds."""
    return [node for node in graph.nodes if node.kind in kinds]


def parameters(node: StoredNode) -> Mapping[str, npt.NDArray]:
    """Those of a node's parameters that are numbers, but for the shapes that it states."""
    names = PARAMETERS.get(node.kind, Kind()).names
    values = {name: node.numbers(name) for name in names if name != "input_shape"}
    return {name: value for name, value in values.items() if value is not None}


def number(node: StoredNode, name: str) -> float | None:
    """The parameter ``name``, where it is a single number."""
    values = node.numbers(name)
    return None if values is None or values.size != 1 else float(values.flat[0])


def reached(graph: StoredGraph, starts: Iterable[str], backwards: bool = False) -> set[str]:
    """The names of all nodes that can be reached along the edges from ``starts``, these included."""
    after: dict[str, list[str]] = {}
    for one, two in graph.edges:
        after.setdefault(two if backwards else one, []).append(one if backwards else two)
    found = set(starts)
    waiting = list(found)
    while waiting:
        for name in after.get(waiting.pop(), []):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def tangled(graph: StoredGraph, *memory: str) -> set[str]:
    """The names of nodes on loops of edges, or behind one; edges from and to nodes of the kinds ``memory`` do not
    count, nor those to nodes that are not there."""
    plain = {node.name for node in graph.nodes if node.kind not in memory}
    after: dict[str, list[str]] = {}
    waits: Counter[str] = Counter()
    for one, two in graph.edges:
        if one in plain and two in plain:
            after.setdefault(one, []).append(two)
            waits[two] += 1
    free = [name for name in after if not waits[name]]
    while free:
        for name in after.pop(free.pop(), []):
            waits[name] -= 1
            if not waits[name]:
                free.append(name)
    return set(after)


def steady(values: npt.NDArray | None, expected: float) -> bool:
    """Whether all of ``values`` are, in float32, ``expected``."""
    return values is not None and bool(np.all(values.astype(np.float32) == np.float32(expected)))
