"""A directed graph in layers: which row and where in it each node stands, so that edges lead down and cross little.

The steps of Sugiyama, Tagawa and Toda (IEEE Transactions on Systems, Man, and Cybernetics 11(2), 1981): edges that
close a cycle are turned, each node goes one row below the lowest that it reads, edges over several rows get a place in
each, and rows are sorted by the mean place of what they are connected to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from netx.errors import NetworkError

Edge = tuple[str, str]
Place = tuple[float, float]

_MOST_NODES, _MOST_PLACES = 4000, 40000
"""More than anybody looks at; and places that edges over many rows would take."""

_SWEEPS = 6


@dataclass(frozen=True)
class Layout:
    """Where everything stands.

    centres: of every node, (x, y). ways: of every edge the points that it passes, from its source to its target; none
    of an edge from a node to itself. back: the edges that lead up, as they close a cycle. width, height: of it all.
    """

    centres: Mapping[str, Place]
    ways: Mapping[Edge, tuple[Place, ...]]
    back: frozenset[Edge]
    width: float
    height: float


def layered(sizes: Mapping[str, Place], edges: Iterable[Edge], gap: float, space: float) -> Layout:
    """A layout of nodes of the given (width, height).

    gap: between neighbours in a row. space: between rows. Edges that stand twice count once.
    Raises NetworkError for a graph that is too large to be looked at.
    """
    if len(sizes) > _MOST_NODES:
        raise NetworkError(f"has {len(sizes)} nodes, and no more than {_MOST_NODES} are drawn")
    every = [edge for edge in dict.fromkeys(edges) if edge[0] in sizes and edge[1] in sizes]
    between = [edge for edge in every if edge[0] != edge[1]]
    back = _closing(list(sizes), between)
    down = {edge: edge if edge not in back else (edge[1], edge[0]) for edge in between}
    rows = _rows(list(sizes), list(down.values()))
    chains = _chains(down, rows)
    ordered = _ordered(_members(rows, chains), [pair for chain in chains.values() for pair in _pairs(chain)])
    tops = _tops(ordered, sizes, space)
    widths = [sum(_width(one, sizes) for one in row) + gap * (len(row) - 1) for row in ordered]
    width = max(widths)
    places: dict[object, Place] = {}
    for row, own, (top, height) in zip(ordered, widths, tops, strict=True):
        x = (width - own) / 2
        for one in row:
            places[one] = (x + _width(one, sizes) / 2, top + height / 2)
            x += _width(one, sizes) + gap
    ways = {}
    for edge, chain in chains.items():
        points = tuple(places[one] for one in chain)
        ways[edge] = points if edge not in back else points[::-1]
    ways |= {edge: () for edge in every if edge[0] == edge[1]}
    return Layout({name: places[name] for name in sizes}, ways, frozenset(back), width, sum(tops[-1]))


def _closing(names: Sequence[str], edges: Sequence[Edge]) -> set[Edge]:
    """The edges that lead back to where a depth-first walk came from."""
    after: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        after[source].append(target)
    found: set[Edge] = set()
    state = dict.fromkeys(names, 0)  # 1 while on the walk's way, 2 when done
    read = {target for _, target in edges}
    for start in [*(name for name in names if name not in read), *names]:
        if state[start]:
            continue
        state[start] = 1
        walk = [(start, iter(after[start]))]
        while walk:
            name, rest = walk[-1]
            follower = next(rest, None)
            if follower is None:
                state[name] = 2
                walk.pop()
            elif state[follower] == 1:
                found.add((name, follower))
            elif state[follower] == 0:
                state[follower] = 1
                walk.append((follower, iter(after[follower])))
    return found


def _rows(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """The row of each node of a graph without cycles: one below the lowest that it reads."""
    waiting = dict.fromkeys(names, 0)
    after: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        waiting[target] += 1
        after[source].append(target)
    rows = dict.fromkeys(names, 0)
    ready = [name for name in names if waiting[name] == 0]
    for name in ready:
        for follower in after[name]:
            rows[follower] = max(rows[follower], rows[name] + 1)
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ready.append(follower)
    return rows


def _chains(down: Mapping[Edge, Edge], rows: Mapping[str, int]) -> dict[Edge, list[object]]:
    """For each edge what it passes, row by row: its nodes, and a place of its own in every row between them."""
    taken = sum(rows[target] - rows[source] - 1 for source, target in down.values())
    if taken > _MOST_PLACES:
        raise NetworkError(f"its edges cross {taken} rows, and no more than {_MOST_PLACES} are drawn")
    return {
        edge: [source, *((edge, row) for row in range(rows[source] + 1, rows[target])), target]
        for edge, (source, target) in down.items()
    }


def _members(rows: Mapping[str, int], chains: Mapping[Edge, list[object]]) -> list[list[object]]:
    members: list[list[object]] = [[] for _ in range(max(rows.values(), default=0) + 1)]
    for name, row in rows.items():
        members[row].append(name)
    for chain in chains.values():
        for one in chain[1:-1]:
            assert isinstance(one, tuple)
            members[one[1]].append(one)
    return members


def _ordered(members: list[list[object]], pairs: list[tuple[object, object]]) -> list[list[object]]:
    """The rows, sorted so that what is connected stands near each other."""
    above: dict[object, list[object]] = {}
    below: dict[object, list[object]] = {}
    for upper, lower in pairs:
        above.setdefault(lower, []).append(upper)
        below.setdefault(upper, []).append(lower)
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        near = above if downwards else below
        order = range(1, len(members)) if downwards else range(len(members) - 2, -1, -1)
        for row in order:
            other = members[row - 1 if downwards else row + 1]
            place = {one: index / max(len(other) - 1, 1) for index, one in enumerate(other)}
            own = {one: index / max(len(members[row]) - 1, 1) for index, one in enumerate(members[row])}
            mean = {
                one: sum(place[n] for n in near[one]) / len(near[one]) if near.get(one) else own[one]
                for one in members[row]
            }
            members[row].sort(key=lambda one, mean=mean: mean[one])  # type: ignore[misc]
    return members


def _tops(rows: list[list[object]], sizes: Mapping[str, Place], space: float) -> list[Place]:
    """Where each row begins, and its height."""
    found, top = [], 0.0
    for row in rows:
        height = max(sizes[one][1] for one in row if isinstance(one, str))
        found.append((top, height))
        top += height + space
    return found


def _width(one: object, sizes: Mapping[str, Place]) -> float:
    return sizes[one][0] if isinstance(one, str) else 1.0


def _pairs(chain: list[object]) -> list[tuple[object, object]]:
    return list(pairwise(chain))
