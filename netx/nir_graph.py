"""Any ``.nir`` file as a flat graph of nodes, whoever wrote it and whatever its numbers are.

The layout is that of NIR 1.0.8 (``nir/serialization.py``): a group for each node with its ``type`` and its parameters,
and a list of edges for each graph; files of all versions since 0.0.6 are read. Graphs within graphs are dissolved:
their nodes are called ``outer.inner``, and their inputs and outputs become ``Identity`` nodes, as does an input that
reads another node. A second edge between the same two nodes counts once.

One walk serves whoever reads and whoever lints; they differ in what they do with an error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from netx.hdf5 import Group, Refuse, opened
from netx.nir_edges import Edge, meant_node, stored_edges


@dataclass(frozen=True)
class Kind:
    """The parameters of one kind of node. needed: without them nothing can be read. expected: nir.read of nir 1.0.8
    fails without them, and the reader here takes what nir wrote before it had them. optional: what else there may be.
    """

    needed: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.needed, *self.expected, *self.optional)


_WINDOW = ("stride", "padding", "dilation", "groups")

PARAMETERS: Mapping[str, Kind] = {
    "Input": Kind(expected=("shape",)),
    "Output": Kind(expected=("shape",)),
    "Affine": Kind(("weight", "bias")),
    "Linear": Kind(("weight",)),
    "Scale": Kind(("scale",)),
    "Conv1d": Kind(("weight", *_WINDOW), ("bias", "input_shape")),
    "Conv2d": Kind(("weight", *_WINDOW), ("bias", "input_shape")),
    "SumPool2d": Kind(("kernel_size", "stride", "padding")),
    "AvgPool2d": Kind(("kernel_size", "stride", "padding")),
    "Flatten": Kind(("start_dim", "end_dim")),
    "Delay": Kind(("delay",)),
    "Threshold": Kind(("threshold",)),
    "I": Kind(("r",)),
    "IF": Kind(("r", "v_threshold"), (), ("v_reset",)),
    "LI": Kind(("tau", "r", "v_leak")),
    "LIF": Kind(("tau", "r", "v_leak", "v_threshold"), (), ("v_reset",)),
    "CubaLI": Kind(("tau_syn", "tau_mem", "r", "v_leak"), ("w_in",)),
    "CubaLIF": Kind(("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"), ("w_in",), ("v_reset",)),
}
"""For every kind of node its parameters (NIR 1.0.8 ``nir/ir`` and ``nir/serialization.py``)."""

NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
SPIKING = ("IF", "LIF", "CubaLIF")
TIMES = ("tau", "tau_mem", "tau_syn")
"""Names of time constants, in seconds."""

_NO_LEAK = ": a neuron without a leak, which is what beta = 1 makes in snnTorch; use a beta just below 1, or an IF"

GRAPH = "NIRGraph"
"""The kind of a graph, which can be a node of another."""

IDENTITY = "Identity"
"""The kind of a node that hands on what it gets: an input or output of a graph within a graph."""

MAX_DEPTH = 32
MAX_NODES, MAX_EDGES = 1 << 16, 1 << 18
"""Our bounds, graphs counted as nodes: deeper and larger ones are damaged, such as files that contain themselves."""


@dataclass(frozen=True)
class NirNode:
    """One node. values: its finite parameters by NIR's names; none for a kind that is not in ``PARAMETERS``."""

    kind: str
    values: Mapping[str, npt.NDArray | str] = field(default_factory=dict)

    def numbers(self, name: str) -> npt.NDArray | None:
        """The parameter ``name``, where it is there and no text."""
        value = self.values.get(name)
        return None if isinstance(value, str) else value


@dataclass(frozen=True)
class StoredNode(NirNode):
    """One node as the file has it. place: in the file. members: the names of all that its group holds, readable or not.
    graph: of a node that is one; None where that cannot be read."""

    name: str = ""
    place: str = ""
    members: frozenset[str] = frozenset()
    graph: StoredGraph | None = None


@dataclass(frozen=True)
class StoredGraph:
    """One graph as the file has it. edges: as they stand there, maybe twice, maybe between nodes that are not there.

    numbered: whether edges are pairs of numbers, as nir 0.0.6 wrote them. own: whether the file says that monospike
    wrote it. dt: seconds of a time step, where the file says them.
    """

    group: Group
    nodes: tuple[StoredNode, ...]
    edges: tuple[Edge, ...]
    numbered: bool = False
    own: bool = False
    dt: float | None = None

    @property
    def place(self) -> str:
        """In the file."""
        return self.group.place

    def and_within(self) -> Iterator[StoredGraph]:
        """This graph and all within it, each before those within it."""
        yield self
        for node in self.nodes:
            if node.graph is not None:
                yield from node.graph.and_within()


@dataclass(frozen=True)
class NirGraph:
    """A flat graph. edges: no two are equal. dt: seconds, where the file's metadata say so. notes: what had to be
    guessed to read it. places: of nodes in the file, by name."""

    path: Path
    nodes: Mapping[str, NirNode]
    edges: tuple[Edge, ...]
    dt: float | None = None
    notes: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)

    def before(self, name: str) -> list[str]:
        """The nodes that ``name`` reads."""
        return self._sources.get(name, [])

    @cached_property
    def _sources(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for source, target in self.edges:
            found.setdefault(target, []).append(source)
        return found


def read_graph(path: Path) -> NirGraph:
    """The graph in the ``.nir`` file ``path``.

    Raises FormatError, with the file and the place in it, when the file is no whole HDF5 file, lacks a parameter, holds
    one that is not finite, has edges to nodes that are not there, or leads outside itself. Kinds that NIR does not know
    are no error here.
    """

    def stop(error: FormatError) -> None:
        raise error from None

    with opened(Path(path)) as root:
        return flattened(stored_graph(root, stop), Path(path), stop)


def is_ours(path: Path) -> bool:
    """Whether the file carries the integers that ``netx.nir_file`` writes. Raises FormatError as ``read_graph``."""
    with opened(Path(path)) as root:
        return _is_own(root.group("node"))


def stored_graph(root: Group, refuse: Refuse) -> StoredGraph:
    """The outermost graph of an open file, with all that lies within it; a file of a single node is a graph of it.

    refuse: gets what cannot be read, and may raise it; where it does not, that is left out, but for numbers that are
    not finite. Raises FormatError where there is no graph at all, or it has no end.
    """
    graph = root.group("node")
    if graph.text("type") != GRAPH:
        return StoredGraph(root, (_Walk(refuse).node(graph, "node", graph.text("type")),), ())
    return _Walk(refuse).graph(graph, 0, _time_step(graph, refuse))


def flattened(stored: StoredGraph, path: Path, refuse: Refuse) -> NirGraph:
    """``stored`` without graphs within graphs. refuse: gets what has no meaning, such as edges to nowhere."""
    draft = _Draft(path, refuse)
    _dissolve(draft, stored, "", 0)
    if not draft.nodes:
        refuse(FormatError(f"{path}: is a graph without nodes"))
    for name in {target for _, target in draft.edges if draft.nodes[target].kind == "Input"}:
        draft.nodes[name] = NirNode(IDENTITY)
    return NirGraph(path, draft.nodes, tuple(draft.edges), stored.dt, tuple(draft.notes), draft.places)


class _Walk:
    """Goes through the groups of a file once."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self._seen = 0
        self._graphs: set[int] = set()

    def graph(self, graph: Group, depth: int, dt: float | None) -> StoredGraph:
        """One graph and all within it. Raises FormatError where it has no end."""
        if depth > MAX_DEPTH:
            raise graph.error(f"graphs lie within graphs deeper than {MAX_DEPTH}; does one contain itself?")
        if graph.address in self._graphs:
            raise graph.error("is a graph that stands elsewhere in the file, too; does it contain itself?")
        self._graphs.add(graph.address)
        nodes = []
        with self._going_on():
            members = graph.group("nodes")
            for name in members.names():
                with self._going_on():
                    nodes.append(self._member(members, name, depth, dt))
        edges: list[Edge] = []
        with self._going_on():
            edges = stored_edges(graph, MAX_EDGES)
        numbered = bool(edges) and not graph.holds_text("edges")
        return StoredGraph(graph, tuple(nodes), tuple(edges), numbered, depth == 0 and _is_own(graph), dt)

    def node(self, group: Group, name: str, kind: str) -> StoredNode:
        """One node that is no graph."""
        members = frozenset(group.names())
        parameters = PARAMETERS.get(kind, Kind())
        values: dict[str, npt.NDArray | str] = {}
        for parameter in parameters.names:
            if parameter in members or parameter in parameters.needed:
                with self._going_on():
                    values[parameter] = self._value(group, parameter)
        return StoredNode(kind, values, name, group.place, members)

    def _member(self, members: Group, name: str, depth: int, dt: float | None) -> StoredNode:
        self._seen += 1
        if self._seen > MAX_NODES:
            raise _EndlessError(f"{members.path}: has more than {MAX_NODES} nodes; does a graph contain itself?")
        group = members.group(name)
        kind = group.text("type")
        if kind != GRAPH:
            return self.node(group, name, kind)
        inner = None
        with self._going_on():
            inner = self.graph(group, depth + 1, dt)
        return StoredNode(kind, {}, name, group.place, frozenset(group.names()), inner)

    def _value(self, group: Group, name: str) -> npt.NDArray | str:
        """A parameter: numbers, which are refused and kept where they are not finite, or the word of a padding."""
        values = group.value(name)
        if isinstance(values, str):
            if name != "padding":
                raise group.error("is text, expected numbers", name)
            return values
        if values.size == 0 and name != "shape":
            raise group.error("holds no number", name)
        finite = np.isfinite(values)
        if not finite.all():
            place = tuple(int(i) for i in np.argwhere(~finite)[0])
            where = f"[{', '.join(map(str, place))}] " if place else ""
            why = _NO_LEAK if name in TIMES and values[place] > 0 else ""
            self._refuse(group.error(f"{where}is {values[place]}, expected a finite number{why}", name))
        return values

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """What is raised in the block is refused, and only the rest of the block is lost, if that does not raise."""
        try:
            yield
        except _EndlessError:
            raise
        except FormatError as error:
            self._refuse(error)


class _EndlessError(FormatError):
    """Nothing more of a file can be read."""


@dataclass
class _Draft:
    """What has been dissolved so far."""

    path: Path
    refuse: Refuse
    nodes: dict[str, NirNode] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Ends:
    """Where edges to and from one member of a graph lead, once it is dissolved."""

    entries: list[str]
    exits: list[str]


def _dissolve(draft: _Draft, stored: StoredGraph, prefix: str, depth: int) -> _Ends:
    """Add the nodes and edges of one graph to the draft; its own ends are its inputs and outputs."""
    ends: dict[str, _Ends] = {}
    for node in stored.nodes:
        full = f"{prefix}{node.name}"
        if node.kind == GRAPH:
            inner = node.graph
            ends[node.name] = _dissolve(draft, inner, f"{full}.", depth + 1) if inner is not None else _Ends([], [])
            continue
        inner_end = depth > 0 and node.kind in ("Input", "Output")
        draft.nodes[full] = NirNode(IDENTITY) if inner_end else NirNode(node.kind, node.values)
        draft.places[full] = node.place
        ends[node.name] = _Ends([full], [full])
    for source, target in _meant(draft, stored, ends):
        one, two = (
            _one(draft, stored, side, name)
            for side, name in ((ends[source].exits, source), (ends[target].entries, target))
        )
        if one is not None and two is not None:
            draft.edges[one, two] = None
    kinds = {node.name: node.kind for node in stored.nodes}
    return _Ends(
        [full for name, kind in kinds.items() if kind == "Input" for full in ends[name].entries],
        [full for name, kind in kinds.items() if kind == "Output" for full in ends[name].exits],
    )


def _one(draft: _Draft, stored: StoredGraph, names: list[str], member: str) -> str | None:
    """The one of ``names`` that an edge to or from ``member`` means; None, once refused, where there is a choice."""
    if len(names) == 1:
        return names[0]
    draft.refuse(
        stored.group.error(
            f"an edge leads to or from the graph {member!r}, which has {len(names)} inputs or outputs: "
            "only graphs within graphs with one input and one output can be connected",
            "edges",
        )
    )
    return None


def _meant(draft: _Draft, stored: StoredGraph, known: Collection[str]) -> list[Edge]:
    """The edges of one graph, between nodes that are there; a guess at a wrong name is noted."""
    edges = list(stored.edges)
    if (meant := meant_node(known, edges)) is not None:
        wrong, right = meant
        draft.notes.append(f"{stored.place}: edges name a node {wrong!r}, which is not there: taken for {right!r}")
        edges = [tuple(right if name == wrong else name for name in edge) for edge in edges]  # type: ignore[misc]
    for source, target in edges:
        for name in (source, target):
            if name not in known:
                message = f"connects {source!r} to {target!r}, but there is no node {name!r}"
                draft.refuse(stored.group.error(message, "edges"))
    return [(source, target) for source, target in edges if source in known and target in known]


def _is_own(graph: Group) -> bool:
    return "metadata" in graph and graph.is_group("metadata") and "monospike_version" in graph.group("metadata")


def _time_step(graph: Group, refuse: Refuse) -> float | None:
    """``dt`` in the metadata, in seconds."""
    try:
        if "metadata" not in graph or "dt" not in graph.group("metadata"):
            return None
        dt = float(graph.group("metadata").numbers("dt", (), (1,)).flat[0])
        if np.isfinite(dt) and dt > 0:
            return dt
        raise graph.error(f"is {dt}, expected a positive number of seconds", "metadata/dt")
    except FormatError as error:
        refuse(error)
        return None
