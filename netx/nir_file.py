"""``.nir`` files: a chain as a graph of NIR nodes that stock readers run with the same spikes.

Each layer is a ``Conv2d`` with integer weights in float32, the bias in it, and a ``LIF`` whose ``tau`` is the time
step: its membrane is then its input, and it remembers nothing; ``NeuronKind`` has what else readers want. Its threshold
lies half a unit above the integer one, so that ``>`` and ``>=`` mean the same. A read-out ends in its ``Conv2d``.
Kernels are written square and without groups because NIR 1.0.8 computes shapes as if they were (``nir/ir/conv.py``),
and so does norse 1.1.0 (``import_nir.py``). The original integers are metadata; reading rebuilds the network from them
and demands that writing it again would give the same graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import nir
import numpy as np
import numpy.typing as npt

from netx.chain import Link, links
from netx.errors import FormatError, NetworkError
from netx.files import hdf5_bytes, write_whole
from netx.fingerprint import stamp
from netx.hdf5 import Group, check_agrees, opened
from netx.lowering import plain, raised, squared
from netx.network import Input, Layer, Network
from netx.neurons import LIF
from netx.nir_integers import TIME_STEP, check_neurons, integer_graph, read_integers, write_nir_integers
from netx.record import (
    Record,
    link_values,
    neuron_values,
    recorded_layers,
    recorded_neuron,
    recorded_synapse,
)
from netx.synapses import Conv2d
from netx.types import Shape

WEIGHT_SCALE = 64
"""Integer weights are this many times SLAYER's (lava-dl 0.6.0 ``slayer/neuron/cuba.py``, ``w_scale``)."""

NeuronKind: TypeAlias = Literal["LIF", "LIF of 1 ms", "IF", "IF as a rate"]
"""The node that neurons become. All do the same from zero state, one frame at a time.

``LIF``: its tau is ``TIME_STEP``. ``LIF of 1 ms``: norse 1.1.0 steps by 1e-3 s unless it is told another
(``import_nir.py``). ``IF``: for sinabs 3.1.3, which fails over a LIF of more than one axis; without ``v_reset``, which
the nir that it asks for (1.0.4) does not take. ``IF as a rate``: r is 1 / ``TIME_STEP``, which spikingjelly 2.0.0
demands at its default dt (``nir_exchange/from_nir.py``).
"""

_KIND_NAMES: tuple[NeuronKind, ...] = get_args(NeuronKind)
_NORSE_STEP = 1e-3


class IF(nir.IF):
    """An IF node as nir 1.0.5 and older read it. Its name is what nir writes as its type."""

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = super().to_dict()
        return {name: value for name, value in values.items() if name != "v_reset"}


_VERSION = 1
_KINDS = ("Input", "Conv2d", "LIF", "Output")

__all__ = ["TIME_STEP", "neuron_node", "read_nir", "synapse_node", "write_nir", "write_nir_integers"]


def synapse_node(layer: str) -> str:
    """Name of the node whose output is the membrane voltage of ``layer``, bias included."""
    return f"synapse_{layer}"


def neuron_node(layer: str) -> str:
    """Name of the node whose output are the spikes of ``layer``."""
    return f"neuron_{layer}"


def write_nir(
    network: Network, path: Path, neurons: NeuronKind = "LIF", notes: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write a network that is one chain as a ``.nir`` file, whole or not at all.

    neurons: the kind of node that neurons become. notes: more to be kept in the graph's metadata.
    Raises FormatError when the network is no chain, when neurons remember, when folding an exponent would not be
    exact, or when the file cannot be written.
    """
    path = Path(path)
    try:
        graph = _graph(network, neurons)
        graph.metadata |= notes
    except NetworkError as error:
        raise FormatError(f"{path}: a .nir file cannot hold this network: {error}") from None
    try:
        graph.metadata |= stamp(network)
        with write_whole(path) as temporary:
            temporary.write_bytes(hdf5_bytes(lambda content: nir.write(content, graph)))
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror or error})") from None


def read_nir(path: Path) -> Network:
    """The network in a ``.nir`` file that ``write_nir`` or ``write_nir_integers`` wrote, equal to what it was given.

    Raises FormatError, with the file and the node, when it is anything else: a graph without the integer metadata
    (the message lists what is missing), or one whose metadata and graph do not agree.
    """
    path = Path(path)
    with opened(path) as root:
        graph = root.group("node")
        nodes = graph.group("nodes")
        if "metadata" not in graph or "monospike_version" not in graph.group("metadata"):
            raise _foreign(graph, nodes)
        try:
            if "form" in graph.group("metadata"):
                network = read_integers(graph.group("metadata"))
                expected = integer_graph(network)
            else:
                metadata = _metadata(graph)
                source, names = _header(metadata, nodes)
                layers = _layers(nodes, source.name, names, metadata)
                network = Network((source,), tuple(layers), (layers[-1].name,))
                in_nodes = "metadata" in nodes.group(synapse_node(names[0]))
                expected = _graph(network, _neuron_kind(metadata), in_nodes)
        except NetworkError as error:
            raise graph.error(str(error)) from None
        _check_graph(graph, nodes, expected)
        return network


def _graph(network: Network, neurons: NeuronKind, in_nodes: bool = False) -> nir.NIRGraph:
    """The whole content of the ``.nir`` file of ``network``. in_nodes: with the records of layers in their nodes, where
    files for sinabs once had them, too."""
    check_neurons(network)
    source = network.inputs[0]
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array(source.shape))}
    chain = links(network)
    for link in chain:
        shape = network.shape(link.layer.name)
        nodes[synapse_node(link.layer.name)] = _conv_node(link)
        if isinstance(link.layer.neuron, LIF):
            nodes[neuron_node(link.layer.name)] = _neuron_node(link.layer.name, link.layer.neuron, shape, neurons)
    nodes["output"] = nir.Output(np.array(network.shape(network.outputs[0])))
    metadata = {
        "monospike_version": _VERSION,
        "input": source.name,
        "input_range": np.array(source.range),
        "layers": ",".join(link.layer.name for link in chain),
        "weight_scale": WEIGHT_SCALE,
        "dt": _NORSE_STEP if neurons == "LIF of 1 ms" else TIME_STEP,
        "reset": "to zero",
        **({"neurons": neurons} if neurons != "LIF" else {}),
    }
    if neurons == "IF" and not in_nodes:
        metadata |= _moved_records(nodes)
    order = list(nodes)
    # nir's check takes a time that grows with the square of the layers; all shapes are the network's own here.
    return nir.NIRGraph(nodes, list(pairwise(order)), metadata=metadata, type_check=False)


def _moved_records(nodes: Mapping[str, nir.NIRNode]) -> dict[str, Any]:
    """What is recorded in Conv2d nodes, in which nir 1.0.4 takes no metadata, taken out of them for the graph's."""
    moved: dict[str, Any] = {}
    for name, node in nodes.items():
        if isinstance(node, nir.Conv2d):
            moved |= {f"{name}.{key}": value for key, value in node.metadata.items()}
            node.metadata = {}
    return moved


def _conv_node(link: Link) -> nir.Conv2d:
    layer, neuron = link.layer, link.layer.neuron
    assert neuron is not None
    if not neuron.memoryless:
        raise NetworkError(
            f"layer {layer.name!r} remembers, and rounds down at every step, which no NIR neuron does: use decays of "
            f"4096, or the .net format"
        )
    synapse, bias = plain(link, max_groups=1)
    try:
        conv = squared(synapse, link.source)
    except NetworkError as error:
        raise NetworkError(f"layer {layer.name!r}: {error}") from None
    channels = conv.weight.shape[0]
    return nir.Conv2d(
        input_shape=(link.source.height, link.source.width),
        weight=conv.weight.astype(np.float32),
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=1,
        bias=(bias if bias.size else np.zeros(channels)).astype(np.float32),
        metadata={**link_values(link), **neuron_values(neuron)},
    )


def _neuron_node(name: str, neuron: LIF, shape: Shape, kind: NeuronKind) -> nir.LIF | nir.IF:
    def full(value: float) -> npt.NDArray[np.float32]:
        return np.full(shape, value, dtype=np.float32)

    common = {"v_reset": full(0), "v_threshold": full(neuron.threshold + 0.5), "metadata": {"layer": name}}
    if kind == "IF":
        return IF(r=full(1), **common)
    if kind == "IF as a rate":
        return nir.IF(r=full(1 / TIME_STEP), **common)
    tau = _NORSE_STEP if kind == "LIF of 1 ms" else TIME_STEP
    return nir.LIF(tau=full(tau), r=full(1), v_leak=full(0), **common)


def _neuron_kind(metadata: Record) -> NeuronKind:
    kind = metadata.text("neurons") if "neurons" in metadata else "LIF"
    known = {str(name): name for name in _KIND_NAMES}
    if kind not in known:
        raise NetworkError(f"metadata 'neurons': {kind!r} is no kind of neuron: expected {', '.join(known)}")
    return known[kind]


def _header(metadata: Record, nodes: Group) -> tuple[Input, tuple[str, ...]]:
    version = metadata.integer("monospike_version")
    if version != _VERSION:
        raise NetworkError(f"metadata version {version} is not known here: expected {_VERSION}")
    names = metadata.names("layers")
    if not names:
        raise NetworkError("the metadata name no layers")
    shape = Shape(*nodes.group("input").integers("shape", (3,)).tolist())
    return Input(metadata.text("input"), shape, metadata.span("input_range")), names


def _layers(nodes: Group, source: str, names: tuple[str, ...], metadata: Record) -> list[Layer]:
    """The named layers, from their synapse nodes and the metadata there, or what the graph's has of them."""
    layers: list[Layer] = []
    for name in names:
        node = nodes.group(synapse_node(name))
        record = _metadata(node) if "metadata" in node else metadata.within(f"{synapse_node(name)}.")
        try:
            synapse = raised(recorded_synapse(record), _stored_conv(node))
            before = layers[-1].name if layers else source
            layers += recorded_layers(record, before, synapse, recorded_neuron(record))
        except NetworkError as error:
            raise node.error(str(error)) from None
    return layers


def _stored_conv(node: Group) -> Conv2d:
    if node.integer("groups") != 1:
        raise node.error(f"is {node.integer('groups')}, expected 1: groups are written as dense kernels", "groups")
    stride, padding, dilation = (
        tuple(node.integers(name, (2,)).tolist()) for name in ("stride", "padding", "dilation")
    )
    weight = node.integers("weight")
    if weight.ndim == 4 and weight.shape[2] != weight.shape[3]:
        raise node.error(f"has kernels of {weight.shape[2]}x{weight.shape[3]}, expected square ones", "weight")
    return Conv2d(weight, stride, padding, dilation)


def _metadata(group: Group) -> Record:
    """The metadata of the graph or of a node."""
    metadata = group.group("metadata")
    values = {
        name: metadata.text(name) if metadata.holds_text(name) else metadata.numbers(name) for name in metadata.names()
    }
    return Record(values)


def _check_graph(graph: Group, nodes: Group, expected: nir.NIRGraph) -> None:
    """Raises FormatError unless the file holds the nodes and edges of ``expected``, and nothing else."""
    if nodes.names() != sorted(expected.nodes):
        odd = sorted(set(nodes.names()) ^ set(expected.nodes))
        raise nodes.error(f"the metadata and the graph do not agree about the nodes {', '.join(odd)}")
    edges = [tuple(edge) for edge in graph.texts("edges", (len(expected.edges), 2)).tolist()]
    if sorted(edges) != sorted(expected.edges):
        raise graph.error("they do not connect the layers in the order of the metadata", "edges")
    check_agrees(graph, {"type": "NIRGraph", "metadata": expected.metadata})
    for name, node in expected.nodes.items():
        check_agrees(nodes.group(name), node.to_dict())


def _foreign(graph: Group, nodes: Group) -> FormatError:
    """What keeps a graph without our metadata from being a network of integers."""
    kinds = {name: nodes.group(name).text("type") for name in nodes.names()}
    missing = ["the integer metadata that monospike writes"]
    unknown = sorted(f"{kind} ({name})" for name, kind in kinds.items() if kind not in _KINDS)
    if unknown:
        missing.append(f"a meaning for the nodes {', '.join(unknown)}: known are {', '.join(_KINDS)}")
    fractional = [name for name, kind in kinds.items() if kind == "Conv2d" and _is_fractional(nodes.group(name))]
    if fractional:
        missing.append(f"whole-number weights in {', '.join(fractional)}")
    return graph.error(f"cannot be read as a network of integers; missing: {'; '.join(missing)}")


def _is_fractional(node: Group) -> bool:
    weight: Any = node.numbers("weight")
    return not bool(np.all(np.isfinite(weight)) and np.all(weight == np.floor(weight)))
