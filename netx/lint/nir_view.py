"""A ``.nir`` file as its groups say it, whether or not any reader takes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from netx.hdf5 import Group
from netx.lint.raw import Raw
from netx.nir_edges import stored_edges

PARAMETERS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": ("weight", "stride", "padding", "dilation", "groups", "bias"),
    "Conv2d": ("weight", "stride", "padding", "dilation", "groups", "bias"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": ("start_dim", "end_dim"),
    "Delay": ("delay",),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLI": ("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "w_in"),
    "Threshold": ("threshold",),
    "NIRGraph": (),
}
"""The kinds of nodes and what each cannot be without (nir 1.0.8 ``serialization.py``; ``v_reset`` may be left out)."""

NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
SPIKING = ("IF", "LIF", "CubaLIF")
TIMES = ("tau", "tau_mem", "tau_syn")

_DEPTH_MAX = 16
"""Deepest nesting of graphs; a group can be its own member, and would be read for ever."""

_NODES_MAX, _EDGES_MAX = 1 << 12, 1 << 14
"""Most nodes of all graphs in one file, and edges of one graph, that are looked at."""


@dataclass(frozen=True)
class NirNode:
    """One node: its name, its kind, and its parameters."""

    name: str
    kind: str
    raw: Raw

    @property
    def place(self) -> str:
        """In the file."""
        return self.raw.place

    def parameters(self) -> dict[str, npt.NDArray]:
        """Those that its kind has and that are numbers, and ``v_reset`` where it is there."""
        names = (*PARAMETERS.get(self.kind, ()), *(("v_reset",) if self.kind in SPIKING else ()))
        values = {name: self.raw.numbers(name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class NirGraph:
    """One graph, which may be a node of another. own: whether monospike wrote it, as its metadata say. dt: seconds of a
    time step, where they say it. numbered: whether its edges are pairs of numbers."""

    place: str
    nodes: tuple[NirNode, ...]
    edges: tuple[tuple[str, str], ...]
    own: bool
    dt: float | None = None
    numbered: bool = False

    def of_kind(self, *kinds: str) -> list[NirNode]:
        """Its nodes of these kinds."""
        return [node for node in self.nodes if node.kind in kinds]

    def reached(self, starts: list[str], backwards: bool = False) -> set[str]:
        """The names of all nodes that can be reached along the edges from ``starts``, these included."""
        after: dict[str, list[str]] = {}
        for one, two in self.edges:
            after.setdefault(two if backwards else one, []).append(one if backwards else two)
        found, open_ = set(starts), list(starts)
        while open_:
            for name in after.get(open_.pop(), []):
                if name not in found:
                    found.add(name)
                    open_.append(name)
        return found

    def tangled(self, *memory: str) -> set[str]:
        """The names of nodes on loops of edges, or behind one; edges from and to nodes of the kinds ``memory`` do not
        count, nor those to nodes that are not there."""
        plain = {node.name for node in self.nodes if node.kind not in memory}
        after: dict[str, list[str]] = {}
        waits: Counter[str] = Counter()
        for one, two in self.edges:
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


def nir_view(root: Group, problems: list[str]) -> list[NirGraph]:
    """The graph and all within it, the outermost first; what cannot be read is added to ``problems``."""
    top = Raw(root, problems).member("node")
    if top is None:
        problems.append(f"{root.path}: holds no group 'node', and so no graph")
        return []
    graphs: list[NirGraph] = []
    waiting = [(top, 0)]
    count = 0
    while waiting:
        raw, depth = waiting.pop(0)
        names = nodes.names() if (nodes := raw.member("nodes")) is not None else []
        count += len(names)
        if depth > _DEPTH_MAX or count > _NODES_MAX:
            problems.append(f"{root.path}: {raw.place}: graphs are nested without end, or hold too many nodes")
            return graphs
        if nodes is None:
            problems.append(f"{root.path}: {raw.place}: has no group 'nodes'")
        members = [(name, nodes.member(name)) for name in names] if nodes is not None else []
        found = [NirNode(name, member.text("type") or "", member) for name, member in members if member is not None]
        metadata = raw.member("metadata")
        own = metadata is not None and metadata.has("monospike_version")
        dt = metadata.number("dt") if metadata is not None else None
        edges, numbered = _edges(raw, problems)
        graphs.append(NirGraph(raw.place, tuple(found), edges, own, dt, numbered))
        waiting += [(node.raw, depth + 1) for node in found if node.kind == "NIRGraph"]
    return graphs


def _edges(raw: Raw, problems: list[str]) -> tuple[tuple[tuple[str, str], ...], bool]:
    """The edges, none where they cannot be read, and whether they are numbers."""
    try:
        if "edges" not in raw.group:
            return (), False
        edges = tuple(stored_edges(raw.group, _EDGES_MAX))
        return edges, bool(edges) and not raw.group.holds_text("edges")
    except FormatError as error:
        problems.append(str(error))
        return (), False


def steady(values: npt.NDArray | None, expected: float) -> bool:
    """Whether all of ``values`` are, in float32, ``expected``."""
    return values is not None and bool(np.all(values.astype(np.float32) == np.float32(expected)))
