"""Any ``.nir`` file as a flat graph of nodes, whoever wrote it and whatever its numbers are.

The layout is that of NIR 1.0.8 (``nir/serialization.py``): a group for each node with its ``type`` and its parameters,
and a list of edges for each graph; files of all versions since 0.0.6 are read. Graphs within graphs are dissolved:
their nodes are called ``outer.inner``, and their inputs and outputs become ``Identity`` nodes, as does an input that
reads another node. A second edge between the same two nodes counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from netx.hdf5 import Group, opened
from netx.nir_edges import Edge, meant_node, stored_edges

PARAMETERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": ((), ("shape",)),
    "Output": ((), ("shape",)),
    "Affine": (("weight", "bias"), ()),
    "Linear": (("weight",), ()),
    "Scale": (("scale",), ()),
    "Conv1d": (("weight", "stride", "padding", "dilation", "groups"), ("bias", "input_shape")),
    "Conv2d": (("weight", "stride", "padding", "dilation", "groups"), ("bias", "input_shape")),
    "SumPool2d": (("kernel_size", "stride", "padding"), ()),
    "AvgPool2d": (("kernel_size", "stride", "padding"), ()),
    "Flatten": (("start_dim", "end_dim"), ()),
    "Delay": (("delay",), ()),
    "Threshold": (("threshold",), ()),
    "I": (("r",), ()),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "LI": (("tau", "r", "v_leak"), ()),
    "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
    "CubaLI": (("tau_syn", "tau_mem", "r", "v_leak"), ("w_in",)),
    "CubaLIF": (("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"), ("v_reset", "w_in")),
}
"""For every kind of node the parameters that it must have and those that it may (NIR 1.0.8 ``nir/ir``)."""

IDENTITY = "Identity"
"""The kind of a node that hands on what it gets: an input or output of a graph within a graph."""

_MAX_DEPTH = 32
_MAX_NODES, _MAX_EDGES = 1 << 12, 1 << 16
"""Our bounds, graphs counted as nodes: deeper and larger ones are damaged, such as files that contain themselves."""


@dataclass(frozen=True)
class NirNode:
    """One node. values: its finite parameters by NIR's names; none for a kind that is not in ``PARAMETERS``."""

    kind: str
    values: Mapping[str, npt.NDArray | str] = field(default_factory=dict)


@dataclass(frozen=True)
class NirGraph:
    """A flat graph. edges: no two are equal. dt: seconds, where the file's metadata say so. notes: what had to be
    guessed to read it."""

    path: Path
    nodes: Mapping[str, NirNode]
    edges: tuple[Edge, ...]
    dt: float | None = None
    notes: tuple[str, ...] = ()

    def before(self, name: str) -> list[str]:
        """The nodes that ``name`` reads."""
        return [source for source, target in self.edges if target == name]


@dataclass
class _Draft:
    """What has been read so far."""

    path: Path
    nodes: dict[str, NirNode] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    seen: int = 0
    graphs: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def count(self) -> None:
        """One more node or graph is about to be read."""
        self.seen += 1
        if self.seen > _MAX_NODES:
            raise FormatError(f"{self.path}: has more than {_MAX_NODES} nodes; does a graph contain itself?")

    def connect(self, sources: list[str], targets: list[str]) -> None:
        for source in sources:
            for target in targets:
                self.edges[source, target] = None
        if len(self.edges) > _MAX_EDGES:
            raise FormatError(f"{self.path}: has more than {_MAX_EDGES} edges")


@dataclass(frozen=True)
class _Ends:
    """Where edges to and from one member of a graph lead, once it is dissolved."""

    entries: list[str]
    exits: list[str]


def read_graph(path: Path) -> NirGraph:
    """The graph in the ``.nir`` file ``path``.

    Raises FormatError, with the file and the place in it, when the file is no whole HDF5 file, lacks a parameter, holds
    one that is not finite, has edges to nodes that are not there, or leads outside itself. Kinds that NIR does not know
    are no error here.
    """
    path = Path(path)
    draft = _Draft(path)
    with opened(path) as root:
        graph = root.group("node")
        if graph.text("type") == "NIRGraph":
            _read_members(draft, graph, "", 0)
            dt = _time_step(graph)
        else:
            draft.nodes["node"] = _node(graph)
            dt = None
    if not draft.nodes:
        raise FormatError(f"{path}: is a graph without nodes")
    for name in {target for _, target in draft.edges if draft.nodes[target].kind == "Input"}:
        draft.nodes[name] = NirNode(IDENTITY)
    return NirGraph(path, draft.nodes, tuple(draft.edges), dt, tuple(draft.notes))


def is_ours(path: Path) -> bool:
    """Whether the file carries the integers that ``netx.nir_file`` writes. Raises FormatError as ``read_graph``."""
    with opened(Path(path)) as root:
        graph = root.group("node")
        return "metadata" in graph and "monospike_version" in graph.group("metadata")


def _read_members(draft: _Draft, graph: Group, prefix: str, depth: int) -> _Ends:
    """Read the nodes and edges of one graph; its own ends are its inputs and outputs."""
    if depth > _MAX_DEPTH:
        raise graph.error(f"graphs lie within graphs deeper than {_MAX_DEPTH}; does one contain itself?")
    if graph.address in draft.graphs:
        raise graph.error("is a graph that stands elsewhere in the file, too; does it contain itself?")
    draft.graphs.add(graph.address)
    members = graph.group("nodes")
    ends: dict[str, _Ends] = {}
    kinds: dict[str, str] = {}
    for name in members.names():
        draft.count()
        node = members.group(name)
        kinds[name] = node.text("type")
        full = f"{prefix}{name}"
        if kinds[name] == "NIRGraph":
            ends[name] = _read_members(draft, node, f"{full}.", depth + 1)
            continue
        inner_end = depth > 0 and kinds[name] in ("Input", "Output")
        draft.nodes[full] = NirNode(IDENTITY) if inner_end else _node(node)
        ends[name] = _Ends([full], [full])
    for source, target in _edges(draft, graph, members.names()):
        draft.connect(_one(graph, ends[source].exits, source), _one(graph, ends[target].entries, target))
    return _Ends(
        [full for name, kind in kinds.items() if kind == "Input" for full in ends[name].entries],
        [full for name, kind in kinds.items() if kind == "Output" for full in ends[name].exits],
    )


def _one(graph: Group, names: list[str], member: str) -> list[str]:
    """``names``, once it is clear which of them an edge to or from ``member`` means."""
    if len(names) != 1:
        raise graph.error(
            f"an edge leads to or from the graph {member!r}, which has {len(names)} inputs or outputs: "
            "only graphs within graphs with one input and one output can be connected",
            "edges",
        )
    return names


def _edges(draft: _Draft, graph: Group, names: list[str]) -> list[Edge]:
    """The edges of one graph, between nodes that are there; a guess at a wrong name is noted."""
    edges = stored_edges(graph, _MAX_EDGES)
    if (meant := meant_node(names, edges)) is not None:
        wrong, right = meant
        draft.notes.append(f"{graph.place}: edges name a node {wrong!r}, which is not there: taken for {right!r}")
        edges = [
            (right if source == wrong else source, right if target == wrong else target) for source, target in edges
        ]
    known = set(names)
    for source, target in edges:
        for name in (source, target):
            if name not in known:
                raise graph.error(f"connects {source!r} to {target!r}, but there is no node {name!r}", "edges")
    return edges


def _node(group: Group) -> NirNode:
    kind = group.text("type")
    required, optional = PARAMETERS.get(kind, ((), ()))
    values = {name: _value(group, name) for name in required}
    values |= {name: _value(group, name) for name in optional if name in group}
    return NirNode(kind, values)


def _value(group: Group, name: str) -> npt.NDArray | str:
    """A parameter: finite numbers, or the word that a padding may be."""
    if group.holds_text(name):
        if name != "padding":
            raise group.error("is text, expected numbers", name)
        return group.text(name)
    values = group.numbers(name)
    if values.size == 0 and name != "shape":
        raise group.error("holds no number", name)
    finite = np.isfinite(values)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        where = f"[{', '.join(map(str, place))}] " if place else ""
        raise group.error(f"{where}is {values[place]}, expected a finite number", name)
    return values


def _time_step(graph: Group) -> float | None:
    """``dt`` in the metadata, in seconds."""
    if "metadata" not in graph or "dt" not in graph.group("metadata"):
        return None
    dt = float(graph.group("metadata").numbers("dt", (), (1,)).flat[0])
    if not np.isfinite(dt) or dt <= 0:
        raise graph.error(f"is {dt}, expected a positive number of seconds", "metadata/dt")
    return dt
