"""The edges of one graph of a NIR file, as every version of nir has written them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from netx.hdf5 import Group

Edge: TypeAlias = tuple[str, str]


def stored_edges(graph: Group, most: int) -> list[Edge]:
    """The edges of the group ``graph``, from source to target; none where it has an empty dataset.

    Since nir 0.1.0 they are pairs of names; before (0.0.6 ``nir/write.py``) they were pairs of numbers, and the nodes
    were called by these. Raises FormatError when they are missing, neither of both, or more than ``most``.
    """
    if "edges" not in graph:
        raise graph.error("is missing", "edges")
    pairs = graph.texts("edges") if graph.holds_text("edges") else graph.numbers("edges")
    if not pairs.size:
        return []
    if pairs.dtype.kind not in "iuO":
        raise graph.error("holds numbers that are not whole, expected pairs of node names", "edges")
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise graph.error(f"has shape {pairs.shape}, expected pairs of node names", "edges")
    if len(pairs) > most:
        raise graph.error(f"has {len(pairs)} entries, more than {most}", "edges")
    return [(str(source), str(target)) for source, target in pairs.tolist()]


def meant_node(names: Iterable[str], edges: Sequence[Edge]) -> tuple[str, str] | None:
    """(name in the edges, node), where edges name a single node that is not there, and a single node has no edge.

    The NIR paper's ``*_subgraph.nir`` are such: their inner edges say ``lif``, and the neurons are called ``lif1``.
    """
    known, used = set(names), {name for edge in edges for name in edge}
    unknown, idle = used - known, known - used
    return (unknown.pop(), idle.pop()) if len(unknown) == len(idle) == 1 else None
