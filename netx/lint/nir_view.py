"""A ``.nir`` file as its groups say it, whether or not any reader takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from netx.hdf5 import Group
from netx.lint.raw import Raw

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
    """One graph, which may be a node of another. own: whether monospike wrote it, as its metadata say."""

    place: str
    nodes: tuple[NirNode, ...]
    edges: tuple[tuple[str, str], ...]
    own: bool

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
        graphs.append(NirGraph(raw.place, tuple(found), _edges(raw, problems), own))
        waiting += [(node.raw, depth + 1) for node in found if node.kind == "NIRGraph"]
    return graphs


def _edges(raw: Raw, problems: list[str]) -> tuple[tuple[str, str], ...]:
    try:
        if "edges" not in raw.group:
            return ()
        if not raw.group.holds_text("edges"):
            edges = raw.group.numbers("edges")
            if edges.size:
                raise raw.group.error("are no pairs of names", "edges")
            return ()
        texts = raw.group.texts("edges")
    except FormatError as error:
        problems.append(str(error))
        return ()
    if texts.size > 2 * _EDGES_MAX:
        problems.append(str(raw.group.error(f"are {len(texts)}, more than {_EDGES_MAX}", "edges")))
        return ()
    if texts.ndim != 2 or texts.shape[1] != 2:
        problems.append(str(raw.group.error(f"has shape {texts.shape}, expected pairs of names", "edges")))
        return ()
    return tuple((str(one), str(two)) for one, two in texts)


def steady(values: npt.NDArray | None, expected: float) -> bool:
    """Whether all of ``values`` are, in float32, ``expected``."""
    return values is not None and bool(np.all(values.astype(np.float32) == np.float32(expected)))
