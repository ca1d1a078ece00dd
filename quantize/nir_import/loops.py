"""Which edges of a graph are feedback, and an order in which all others can be followed."""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterable

from netx.nir_edges import Edge
from netx.nir_graph import NirGraph


class LoopError(Exception):
    """A loop that no neuron is part of. nodes: those of the loop."""

    def __init__(self, nodes: list[str]) -> None:
        super().__init__(nodes)
        self.nodes = nodes


def feedback_edges(graph: NirGraph, neurons: Collection[str]) -> set[Edge]:
    """The edges that leave a neuron and lead back to it: they carry the spikes of the step before.

    It is where norse and snnTorch have the step that an equation in continuous time does not need.
    """
    component = _components(list(graph.nodes), graph.edges)
    return {
        (source, target)
        for source, target in graph.edges
        if source in neurons and component[source] == component[target]
    }


def reached_from(graph: NirGraph, inputs: Iterable[str]) -> set[str]:
    """The nodes that ``inputs`` lead to, themselves included."""
    after: dict[str, list[str]] = {}
    for source, target in graph.edges:
        after.setdefault(source, []).append(target)
    reached = set(inputs)
    waiting = list(reached)
    while waiting:
        found = [target for target in after.get(waiting.pop(), []) if target not in reached]
        reached.update(found)
        waiting += found
    return reached


def step_order(graph: NirGraph, feedback: Collection[Edge]) -> list[str]:
    """Every node after those that it reads within one step. Raises LoopError where feedback leaves a loop closed."""
    before: dict[str, set[str]] = {name: set() for name in graph.nodes}
    for edge in graph.edges:
        if edge not in feedback:
            before[edge[1]].add(edge[0])
    try:
        return list(graphlib.TopologicalSorter(before).static_order())
    except graphlib.CycleError as error:
        raise LoopError(list(dict.fromkeys(error.args[1]))) from None


def _components(names: list[str], edges: Collection[Edge]) -> dict[str, int]:
    """The strongly connected component of every node (Kosaraju's algorithm, without recursion)."""
    after: dict[str, list[str]] = {name: [] for name in names}
    before: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    finished: list[str] = []
    seen: set[str] = set()
    for root in names:
        stack = [] if root in seen else [(root, iter(after[root]))]
        seen.add(root)
        while stack:
            name, targets = stack[-1]
            found = next((target for target in targets if target not in seen), None)
            if found is None:
                finished.append(name)
                stack.pop()
            else:
                seen.add(found)
                stack.append((found, iter(after[found])))
    component: dict[str, int] = {}
    for number, root in enumerate(reversed(finished)):
        waiting = [] if root in component else [root]
        while waiting:
            name = waiting.pop()
            component[name] = number
            waiting += [source for source in before[name] if source not in component]
    return component
