"""``.nir`` files of networks that no reader of NIR runs to the bit: with memory, feedback, delays or branches.

Nodes and edges say in NIR's continuous terms what the network does, for a time step of ``TIME_STEP``: decays as time
constants, biases as leak voltages. What they cannot say is that states are integers which round down at every step. The
integers themselves are in the graph's metadata, a group for each layer, and reading rebuilds the network from them; the
nodes have to be what writing that network again would give.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from netx import limits
from netx.errors import FormatError, NetworkError
from netx.files import hdf5_bytes, write_whole
from netx.fingerprint import stamp
from netx.hdf5 import Group
from netx.network import Input, Layer, Network
from netx.neurons import LIF, Accumulator, Neuron, channel_bias
from netx.record import Record
from netx.synapses import Concat, Conv2d, Dense, Direct, Flatten, Pool, Recurrent, Upsample
from netx.types import Range, Shape

TIME_STEP = 1e-4
"""Seconds. snnTorch assumes this one; norse is told (``from_nir(graph, dt=TIME_STEP)``)."""

FORM = "integers"
"""Says in the metadata that all integers are there; the nodes of other files of ours are exact, and hold some."""

VERSION = 1
"""Of the metadata."""

_SYNAPSES = {kind.__name__: kind for kind in (Conv2d, Dense, Direct, Pool, Recurrent, Flatten, Concat)}
_NEURONS = {kind.__name__: kind for kind in (LIF, Accumulator)}
_ARRAYS, _PAIRS = ("weight", "delay", "bias"), ("stride", "padding", "dilation", "kernel")
_NEVER = 2.0**-12
"""What a decay of zero is written as, in 1/4096: a time constant of sixteen million steps."""

_MOST_NEURONS = 1 << 23
"""Our bound, at up to five numbers each: AlexNet at 303x303 has five million, damaged paddings many more."""

_MOST_PIECES, _MOST_WIRES = 1 << 12, 64
"""Most layers that one layer reads through wires, and wires one behind the other: wires can double at each step."""

_NARROW = ((np.int8, 127), (np.int16, 32767), (np.int32, limits.GRADED_MAX))


def write_nir_integers(network: Network, path: Path) -> None:
    """Write a network as a ``.nir`` file, whole or not at all.

    Raises FormatError at what has no NIR node: correlations, up-sampling, sigma-delta neurons, reset intervals,
    refractory periods, a delay for each synapse; or when the file cannot be written.
    """
    path = Path(path)
    try:
        graph = integer_graph(network)
    except NetworkError as error:
        raise FormatError(f"{path}: a .nir file cannot hold this network: {error}") from None
    try:
        graph.metadata |= stamp(network)
        with write_whole(path) as temporary:
            temporary.write_bytes(hdf5_bytes(lambda content: nir.write(content, graph)))
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror or error})") from None


def integer_graph(network: Network) -> nir.NIRGraph:
    """The whole content of the file of ``network``. Raises NetworkError naming the layer that has no NIR node."""
    check_neurons(network)
    draft = _Draft(network)
    for source in network.inputs:
        draft.put(source.name, nir.Input(np.array(source.shape)))
    for layer in network.layers:
        try:
            draft.add(layer)
        except NetworkError as error:
            raise NetworkError(f"layer {layer.name!r}: {error}") from None
    for name in network.outputs:
        draft.connect(draft.single(name, "output"), f"output_{name}")
        draft.put(f"output_{name}", nir.Output(np.array(network.shape(name))))
    return nir.NIRGraph(draft.nodes, draft.edges, metadata=_integers(network), type_check=False)


def check_neurons(network: Network) -> None:
    """Raises NetworkError when there are more neurons than a ``.nir`` file is written or read with."""
    count = sum(network.shape(layer.name).size for layer in network.layers if layer.neuron is not None)
    if count > _MOST_NEURONS:
        raise NetworkError(f"has {count} neurons, more than {_MOST_NEURONS}")


def read_integers(metadata: Group) -> Network:
    """The network in the metadata of a graph. Raises FormatError, or NetworkError where the integers make none."""
    top = _record(metadata)
    if (version := top.integer("monospike_version")) != VERSION:
        raise NetworkError(f"metadata version {version} is not known here: expected {VERSION}")
    inputs = []
    for name in top.names("inputs"):
        sizes = top.integers(f"input_{name}")
        if sizes.shape != (5,):
            raise metadata.error("expected channel, height, width, lowest and highest value", f"input_{name}")
        inputs.append(Input(name, Shape(*sizes[:3].tolist()), Range(*sizes[3:].tolist())))
    layers = []
    for name in top.names("layers"):
        group = metadata.group(f"layer_{name}")
        try:
            layers.append(_read_layer(name, group))
        except NetworkError as error:
            raise group.error(str(error)) from None
    return Network(tuple(inputs), tuple(layers), top.names("outputs"))


@dataclass(frozen=True)
class _Piece:
    """A stretch of what a layer reads. source: an input or a layer with neurons. start, stop: its channels there."""

    source: str
    flattened: bool
    start: int
    stop: int


@dataclass
class _Draft:
    """A graph on its way. rows: the layers whose nodes have one axis, not three."""

    network: Network
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    rows: set[str] = field(default_factory=set)

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """The network's, by name."""
        return {layer.name: layer for layer in self.network.layers}

    def put(self, name: str, node: nir.NIRNode) -> None:
        """One more node. Raises NetworkError when two would have one name."""
        if name in self.nodes:
            raise NetworkError(f"two nodes would be called {name!r}: give the layer or input another name")
        self.nodes[name] = node

    def connect(self, source: str, target: str) -> None:
        self.edges.append((source, target))

    def add(self, layer: Layer) -> None:
        """The nodes of one layer; a wire becomes part of those that read it."""
        if layer.neuron is None:
            return
        if not isinstance(layer.synapse, (Conv2d, Dense, Direct, Pool, Recurrent)):
            raise NetworkError(f"a {type(layer.synapse).__name__} has no NIR node")
        neuron = f"neuron_{layer.name}"
        self._add_synapse(layer, neuron)
        shape = self.network.shape(layer.name)
        flat = layer.name in self.rows
        self.put(neuron, _neuron_node(layer.neuron, shape, (shape.channel,) if flat else tuple(shape)))
        if isinstance(layer.synapse, Recurrent):
            feedback = layer.synapse.feedback
            start = self._delayed(neuron, feedback.delay, f"feedback_delay_{layer.name}", before=True)
            self._connected(start, f"feedback_{layer.name}", _affine(feedback))
            end = self._delayed(f"feedback_{layer.name}", feedback.delay, f"feedback_late_{layer.name}", before=False)
            self.connect(end, neuron)

    def single(self, name: str, who: str) -> str:
        """The node that hands out the layer ``name``, for a reader that can only take one."""
        pieces = self._pieces(name)
        if len(pieces) != 1:
            raise NetworkError(f"{who} {name!r} is several layers side by side, which no NIR node is")
        return self._node(pieces[0], f"{who}_{name}")

    def _add_synapse(self, layer: Layer, neuron: str) -> None:
        synapse, [source] = layer.synapse, layer.inputs
        name = f"synapse_{layer.name}"
        if isinstance(synapse, (Direct, Pool)):
            start = self.single(source, layer.name)
            if isinstance(synapse, Pool):
                zero = np.array(synapse.padding)
                self._connected(start, name, nir.SumPool2d(np.array(synapse.kernel), np.array(synapse.stride), zero))
                factor = np.full(self.network.shape(layer.name), float(synapse.weight), np.float32)
                self._connected(name, f"scale_{layer.name}", nir.Scale(factor))
                start = f"scale_{layer.name}"
            elif start in self.rows or self._is_row(source):
                self.rows.add(layer.name)
            self.connect(start, neuron)
            return
        pieces = self._pieces(source)
        dense = synapse.forward if isinstance(synapse, Recurrent) else synapse
        if isinstance(dense, Dense):
            self.rows.add(layer.name)
        ends = []
        for index, piece in enumerate(pieces):
            part = name if len(pieces) == 1 else f"{name}_{index}"
            ends.append(self._add_piece(dense, piece, part))  # type: ignore[arg-type]
        end = neuron
        if isinstance(dense, Dense) and dense.delay.shape[0] > 1:
            self._delayed(None, dense.delay, f"late_{layer.name}", before=False)
            end = f"late_{layer.name}"
            self.connect(end, neuron)
        for part in ends:
            self.connect(part, end)

    def _add_piece(self, synapse: Conv2d | Dense, piece: _Piece, name: str) -> str:
        if isinstance(synapse, Conv2d):
            whole = self.network.shape(piece.source)
            if piece.flattened or piece.source in self.rows:
                raise NetworkError("convolves what is flat, which no NIR node does")
            if synapse.groups > 1 and piece.stop - piece.start != synapse.weight.shape[1] * synapse.groups:
                raise NetworkError("has groups over several layers side by side, which no NIR node has")
            weight = synapse.weight if synapse.groups > 1 else synapse.weight[:, piece.start : piece.stop]
            node = nir.Conv2d(
                input_shape=(whole.height, whole.width),
                weight=_scaled(weight, synapse.weight_exponent),
                stride=synapse.stride,
                padding=synapse.padding,
                dilation=synapse.dilation,
                groups=synapse.groups,
                bias=np.zeros(len(weight), np.float32),
            )
            self._connected(self._plain(piece), name, node)
            return name
        start = self._node(piece, name)
        delay = synapse.delay if synapse.delay.shape[1] == 1 else synapse.delay[:, piece.start : piece.stop]
        start = self._delayed(start, delay, f"delay_{name}", before=True)
        self._connected(start, name, _affine(synapse, piece.start, piece.stop))
        return name

    def _connected(self, source: str, name: str, node: nir.NIRNode) -> None:
        self.put(name, node)
        self.connect(source, name)

    def _delayed(self, source: str | None, delay: npt.NDArray, name: str, before: bool) -> str:
        """A Delay node after ``source`` where ``delay`` (out, in) calls for one on that side of the weights."""
        if min(delay.shape) > 1:
            raise NetworkError("has a delay for each synapse, which no NIR node has")
        on_this_side = delay.shape[0] == 1 if before else delay.shape[0] > 1
        if not on_this_side or not delay.any():
            return source or name
        self.put(name, nir.Delay(delay.ravel() * TIME_STEP))
        if source is not None:
            self.connect(source, name)
        return name

    def _node(self, piece: _Piece, reader: str) -> str:
        """The node that hands out a piece in one row, where it has to be."""
        plain = self._plain(piece)
        if piece.source in self.rows:
            return plain
        name = f"flat_{reader}"
        shape = np.array(self.network.shape(piece.source))
        self._connected(plain, name, nir.Flatten({"input": shape}, start_dim=0, end_dim=-1))
        return name

    def _plain(self, piece: _Piece) -> str:
        return piece.source if piece.source not in self.layers else f"neuron_{piece.source}"

    def _is_row(self, name: str) -> bool:
        return any(piece.flattened or piece.source in self.rows for piece in self._pieces(name))

    def _pieces(self, name: str) -> list[_Piece]:
        """What is wired together under ``name``, in the order of its channels."""
        found: list[_Piece] = []
        start = 0
        sources: list[tuple[str, bool]] = []
        self._add_sources(sources, name, False, 0)
        for source, flattened in sources:
            shape = self.network.shape(source)
            size = shape.size if flattened else shape.channel
            found.append(_Piece(source, flattened, start, start + size))
            start += size
        return found

    def _add_sources(self, found: list[tuple[str, bool]], name: str, flattened: bool, wires: int) -> None:
        if len(found) >= _MOST_PIECES or wires > _MOST_WIRES:
            raise NetworkError(f"reads more than {_MOST_PIECES} layers, or through more than {_MOST_WIRES} wires")
        layer = self.layers.get(name)
        if layer is None or layer.neuron is not None:
            found.append((name, flattened))
            return
        if isinstance(layer.synapse, Upsample):
            raise NetworkError(f"reads the up-sampling {name!r}, which no NIR node is: save it as a folder")
        flattened = flattened or isinstance(layer.synapse, Flatten)
        for source in layer.inputs:
            self._add_sources(found, source, flattened, wires + 1)


def _affine(dense: Dense, start: int = 0, stop: int | None = None) -> nir.Affine:
    weight = _scaled(dense.effective_weight[:, start:stop], dense.weight_exponent)
    return nir.Affine(weight, np.zeros(len(weight), np.float32))


def _scaled(weight: npt.NDArray, exponent: int) -> npt.NDArray[np.float32]:
    return (weight * 2.0**exponent).astype(np.float32)


def _neuron_node(neuron: Neuron, shape: Shape, own: tuple[int, ...]) -> nir.NIRNode:
    """LIF or LI, with ``Cuba`` where the current decays more slowly than at once; parameters of the shape ``own``."""
    if not isinstance(neuron, (LIF, Accumulator)):
        raise NetworkError(f"{type(neuron).__name__} neurons have no NIR node")
    lif = neuron if isinstance(neuron, LIF) else LIF(limits.READOUT_THRESHOLD, neuron.bias)
    if lif.reset_interval is not None or lif.refractory:
        raise NetworkError("reset intervals and refractory periods have no NIR node")

    def full(value: float) -> npt.NDArray[np.float64]:
        return np.full(own, value)

    mem, syn = (limits.DECAY_ONE / max(decay, _NEVER) for decay in (lif.voltage_decay, lif.current_decay))
    bias = channel_bias(lif, shape) / (1 << limits.STATE_SHIFT)
    leak = np.broadcast_to((bias * mem)[:, None, None], shape).reshape(own).copy()
    half = 0.5 if lif.memoryless else 0.0
    fire = {"v_threshold": full(lif.threshold + half), "v_reset": full(0)}
    if lif.threshold > limits.THRESHOLD_MAX:
        fire = {}
    if lif.current_decay == limits.DECAY_ONE:
        kind = nir.LIF if fire else nir.LI
        return kind(tau=full(TIME_STEP * mem), r=full(mem), v_leak=leak, **fire)
    kind = nir.CubaLIF if fire else nir.CubaLI
    taus = {"tau_mem": full(TIME_STEP * mem), "tau_syn": full(TIME_STEP * syn)}
    return kind(**taus, r=full(mem), v_leak=leak, w_in=full(syn), **fire)


def _integers(network: Network) -> dict[str, Any]:
    """The metadata: every integer of the network."""
    values: dict[str, Any] = {
        "monospike_version": VERSION,
        "form": FORM,
        "dt": TIME_STEP,
        "reset": "to zero",
        "inputs": ",".join(source.name for source in network.inputs),
        "layers": ",".join(layer.name for layer in network.layers),
        "outputs": ",".join(network.outputs),
    }
    for source in network.inputs:
        values[f"input_{source.name}"] = np.array([*source.shape, *source.range])
    for layer in network.layers:
        entry = {"reads": ",".join(layer.inputs), **_fields("synapse", layer.synapse)}
        if layer.neuron is not None:
            entry |= _fields("neuron", layer.neuron)
        values[f"layer_{layer.name}"] = entry
    return values


def _fields(what: str, value: Any) -> dict[str, Any]:
    """The fields of a synapse or neuron; those that are None or empty are left out."""
    entry: dict[str, Any] = {what: type(value).__name__}
    for one in dataclasses.fields(value):
        content = getattr(value, one.name)
        if dataclasses.is_dataclass(content):
            entry[one.name] = _fields(what, content)
        elif isinstance(content, np.ndarray):
            if content.size:
                entry[one.name] = _narrow(content)
        elif isinstance(content, tuple):
            entry[one.name] = np.array(content)
        elif content is not None:
            entry[one.name] = int(content)
    return entry


def _narrow(values: npt.NDArray) -> npt.NDArray:
    most = int(np.abs(values.astype(np.int64)).max())
    return values.astype(next(kind for kind, limit in _NARROW if most <= limit))


def _read_layer(name: str, group: Group) -> Layer:
    record = _record(group)
    synapse = _read_fields("synapse", group, _SYNAPSES)
    neuron = _read_fields("neuron", group, _NEURONS) if "neuron" in record else None
    return Layer(name, record.names("reads"), synapse, neuron)


def _read_fields(what: str, group: Group, kinds: dict[str, Any]) -> Any:
    record = _record(group)
    kind = kinds.get(record.text(what))
    if kind is None:
        raise NetworkError(f"record {what!r}: {record.text(what)!r} is not known: expected {', '.join(kinds)}")
    values: dict[str, Any] = {}
    for one in dataclasses.fields(kind):
        if kind is Recurrent:
            values[one.name] = _read_fields(what, group.group(one.name), {"Dense": Dense})
        elif one.name in record or one.default is dataclasses.MISSING is one.default_factory:
            read = record.integers if one.name in _ARRAYS else record.pair if one.name in _PAIRS else record.integer
            if kind is Pool and one.name == "weight":
                read = record.integer
            values[one.name] = read(one.name)
    return kind(**values)


def _record(group: Group) -> Record:
    """The members of a group of metadata that are no groups."""
    plain = [name for name in group.names() if not group.is_group(name)]
    return Record({name: group.text(name) if group.holds_text(name) else group.numbers(name) for name in plain})
