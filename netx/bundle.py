"""Any network on disk: one file where it is a single chain, else a folder with a file for each chain and a manifest.

``manifest.json`` lists inputs, the order of the layers, outputs, the chains' files, and the glue that neither format
represents: correlations, concatenations and what flattens between chains, with all their integers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from netx.chain import Chain, chain_network, chains, check_plain, glue
from netx.errors import FormatError, NetworkError
from netx.files import write_whole
from netx.fingerprint import stamp
from netx.hdf5 import Group, opened
from netx.net_file import read_net, write_net
from netx.network import Input, Layer, Network
from netx.neurons import LIF, Accumulator, Neuron
from netx.nir_file import NeuronKind, read_nir, write_nir
from netx.synapses import Concat, Correlation, Flatten, Synapse, Upsample
from netx.types import Range, Shape

FileFormat: TypeAlias = Literal["net", "nir"]

MANIFEST = "manifest.json"

_VERSION = 1
_FILE_NAME = re.compile(r"[A-Za-z0-9_]+\.(net|nir)")
_MANIFEST_MAX = 1 << 24
"""Bytes; a manifest holds some hundred a layer."""

_READERS = {".net": read_net, ".nir": read_nir}


@dataclass(frozen=True)
class Part:
    """One chain on disk. source: the input or layer it reads. layers: its layers with neurons, in order."""

    file: Path
    source: str
    layers: tuple[str, ...]


def save(
    network: Network,
    path: Path,
    format: FileFormat = "net",
    neurons: NeuronKind = "LIF",
    notes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write ``network`` to one file where ``path`` ends in ``.net`` or ``.nir``, to a folder of ``format`` otherwise.

    neurons: see ``write_nir``. notes: more to be kept in the manifest, and in ``.nir`` files. The file or folder
    appears whole or not at all; one that ``save`` wrote before is replaced. Raises FormatError when the format cannot
    hold the network, the path cannot be written, or it is a folder with something else in it.
    """
    path = Path(path)
    if path.suffix in _READERS:
        _write(network, path, neurons, notes)
        return
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise FormatError(f"{path}: holds something else than a network: choose another folder")
    try:
        for layer in glue(network):
            check_plain(layer)
    except NetworkError as error:
        raise FormatError(f"{path}: a folder cannot hold this network: {error}") from None
    files = {f"{index}_{chain.layers[0]}.{format}": chain for index, chain in enumerate(chains(network))}
    try:
        with write_whole(path) as temporary:
            temporary.mkdir()
            for name, chain in files.items():
                try:
                    _write(chain_network(network, chain), temporary / name, neurons, notes)
                except FormatError as error:  # which names the place where it was on its way
                    raise FormatError(str(error).replace(str(temporary), str(path)), error.place) from None
            text = json.dumps({**_manifest(network, files), **({"notes": dict(notes)} if notes else {})}, indent=1)
            (temporary / MANIFEST).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror or error})") from None


def load(path: Path, input_shape: Shape | None = None) -> Network:
    """The network that ``save`` wrote to the file or folder ``path``, equal to it, or that of lava-dl's ``.net`` file.

    input_shape: (channel, height, width) of the input, which only a ``.net`` file that begins with a convolution leaves
    out (see ``read_net``). Raises FormatError, with the file and the place in it, when it is anything else, or when it
    says that its input has another shape.
    """
    path = Path(path)
    if path.suffix == ".net" and not path.is_dir():
        return read_net(path, input_shape)
    network = _loaded_folder(path) if path.is_dir() else _reader(path)(path)
    if input_shape is not None and [source.shape for source in network.inputs] != [input_shape]:
        said = ", ".join(f"{source.name!r} is {source.shape}" for source in network.inputs)
        raise FormatError(f"{path}: says that its input {said}, not {input_shape}: leave --input-shape out")
    return network


def _loaded_folder(path: Path) -> Network:
    manifest = _Manifest.read(path)
    parts_ = manifest.parts()
    networks = {part: _READERS[part.file.suffix](part.file) for part in parts_}
    layers = {layer.name: layer for network in networks.values() for layer in network.layers}
    layers |= {layer.name: layer for layer in manifest.glue()}
    order = manifest.names("layers")
    if sorted(order) != sorted(layers):
        odd = sorted(set(order) ^ set(layers))
        raise manifest.error(f"layers: the list and the files do not agree about {', '.join(odd) or 'their number'}")
    try:
        network = Network(manifest.inputs(), tuple(layers[name] for name in order), manifest.names("outputs"))
        for part, own in networks.items():
            chain = Chain(part.source, tuple(layer.name for layer in own.layers))
            if part.layers != _with_neurons(own) or own != chain_network(network, chain):
                raise FormatError(f"{part.file}: does not hold the layers or the input that {MANIFEST} says")
    except NetworkError as error:
        raise manifest.error(str(error)) from None
    return network


def parts(path: Path, input_shape: Shape | None = None) -> list[Part]:
    """The chains in what ``save`` wrote, in the network's order. Layers in none of them are glue.

    input_shape: see ``load``. Raises FormatError as ``load`` does, but reads only the manifest of a folder.
    """
    path = Path(path)
    if path.is_dir():
        return _Manifest.read(path).parts()
    network = load(path, input_shape)
    return [Part(path, network.inputs[0].name, _with_neurons(network))]


def recorded(path: Path) -> dict[str, str]:
    """What ``save`` recorded of a network in the file or folder ``path``: its ``fingerprint`` and the ``tool``.

    Empty for a file of others, or of a monospike that did not record it. Raises FormatError for what is no such file.
    """
    path = Path(path)
    if path.is_dir():
        found = _Manifest.read(path).texts()
    else:
        _reader(path)
        with opened(path) as root:
            found = _stamped(root, path.suffix)
    return {key: found[key] for key in ("fingerprint", "tool") if isinstance(found.get(key), str)}


def _stamped(root: Group, suffix: str) -> dict[str, Any]:
    if suffix == ".net":
        return dict(root.group("monospike").attributes()) if "monospike" in root else {}
    graph = root.group("node")
    if "metadata" not in graph:
        return {}
    metadata = graph.group("metadata")
    return {name: metadata.text(name) for name in ("fingerprint", "tool") if _has_text(metadata, name)}


def _has_text(group: Group, name: str) -> bool:
    return name in group and group.holds_text(name)


def _write(network: Network, path: Path, neurons: NeuronKind, notes: Mapping[str, str]) -> None:
    if path.suffix == ".net":
        write_net(network, path)
    else:
        write_nir(network, path, neurons, notes)


def _with_neurons(network: Network) -> tuple[str, ...]:
    return tuple(layer.name for layer in network.layers if layer.neuron is not None)


def _reader(path: Path) -> Any:
    if path.suffix not in _READERS:
        what = (
            "is not a .net or .nir file, nor a folder of them" if path.exists() else "there is no such file or folder"
        )
        raise FormatError(f"{path}: {what}")
    return _READERS[path.suffix]


def _manifest(network: Network, files: Mapping[str, Chain]) -> dict[str, Any]:
    return {
        "monospike_network": _VERSION,
        "inputs": [
            {"name": source.name, "shape": list(source.shape), "range": list(source.range)} for source in network.inputs
        ],
        "layers": [layer.name for layer in network.layers],
        "outputs": list(network.outputs),
        "parts": [
            {"file": name, "source": chain.source, "layers": list(_with_neurons(chain_network(network, chain)))}
            for name, chain in files.items()
        ],
        "glue": [_glue_entry(layer) for layer in glue(network)],
        **stamp(network),
    }


def _glue_entry(layer: Layer) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": layer.name, "inputs": list(layer.inputs), "synapse": type(layer.synapse).__name__}
    if isinstance(layer.synapse, Correlation):
        entry |= {"gain": int(layer.synapse.gain), "copies": int(layer.synapse.copies)}
    if isinstance(layer.synapse, Upsample):
        wire = layer.synapse
        entry |= {"factor": list(wire.factor), "zeros": wire.zeros, "trailing": list(wire.trailing)}
    neuron = layer.neuron
    if neuron is not None:
        entry["neuron"] = {"type": type(neuron).__name__, "bias": neuron.bias.tolist()}
    if isinstance(neuron, LIF):
        keys = ("threshold", "bias_exponent", "current_decay", "voltage_decay")
        entry["neuron"] |= {key: int(getattr(neuron, key)) for key in keys}
    return entry


class _Manifest:
    """A parsed manifest; every method checks what it reads and raises FormatError that says where."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self._folder = folder
        self._content = content

    @staticmethod
    def read(folder: Path) -> _Manifest:
        """The manifest of ``folder``."""
        path = folder / MANIFEST
        try:
            if path.stat().st_size > _MANIFEST_MAX:
                raise FormatError(f"{path}: is larger than {_MANIFEST_MAX} bytes")
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror}); a network's folder has one") from None
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{path}: is not JSON ({error})") from None
        manifest = _Manifest(folder, content)
        if not isinstance(content, dict) or content.get("monospike_network") != _VERSION:
            raise manifest.error(f"is not the manifest of a network: expected monospike_network: {_VERSION}")
        return manifest

    def error(self, message: str) -> FormatError:
        """The error ``message`` about this manifest."""
        return FormatError(f"{self._folder / MANIFEST}: {message}")

    def texts(self) -> dict[str, str]:
        """What is text at its top."""
        return {key: value for key, value in self._content.items() if isinstance(value, str)}

    def names(self, key: str) -> tuple[str, ...]:
        """The list of names called ``key``."""
        return self._strings(self._content, key, key)

    def inputs(self) -> tuple[Input, ...]:
        """The network's inputs."""
        result = []
        for place, entry in self._entries("inputs"):
            shape = self._integers(entry, "shape", place)
            span = self._integers(entry, "range", place)
            if len(shape) != 3 or len(span) != 2:
                raise self.error(f"{place}: expected shape [channel, height, width] and range [low, high]")
            try:
                result.append(Input(self._string(entry, "name", place), Shape(*shape), Range(*span)))
            except NetworkError as error:
                raise self.error(f"{place}: {error}") from None
        return tuple(result)

    def parts(self) -> list[Part]:
        """The chains; their files are there, in the manifest's own folder."""
        result = []
        for place, entry in self._entries("parts"):
            name = self._string(entry, "file", place)
            file = self._folder / name
            if not _FILE_NAME.fullmatch(name) or file.is_symlink():
                raise self.error(f"{place}.file: {name!r} is not the name of a .net or .nir file in this folder")
            if not file.is_file():
                raise self.error(f"{place}.file: {name!r} is missing")
            layers = self._strings(entry, "layers", f"{place}.layers")
            if not layers:
                raise self.error(f"{place}.layers: is empty")
            result.append(Part(file, self._string(entry, "source", place), layers))
        return result

    def glue(self) -> list[Layer]:
        """The layers that no file holds."""
        result = []
        for place, entry in self._entries("glue"):
            name, inputs = self._string(entry, "name", place), self._strings(entry, "inputs", f"{place}.inputs")
            try:
                result.append(Layer(name, inputs, self._synapse(entry, place), self._neuron(entry, place)))
            except NetworkError as error:
                raise self.error(f"{place}: {error}") from None
        return result

    def _synapse(self, entry: dict[str, Any], place: str) -> Synapse:
        kind = self._string(entry, "synapse", place)
        if kind == "Correlation":
            return Correlation(self._integer(entry, "gain", place), self._integer(entry, "copies", place))
        if kind in ("Concat", "Flatten"):
            return Concat() if kind == "Concat" else Flatten()
        if kind == "Upsample":
            factor, trailing = (self._integers(entry, key, place) for key in ("factor", "trailing"))
            return Upsample(factor, entry.get("zeros"), trailing)  # type: ignore[arg-type]
        raise self.error(f"{place}.synapse: {kind!r} is not known: expected Correlation, Concat, Flatten or Upsample")

    def _neuron(self, entry: dict[str, Any], place: str) -> Neuron | None:
        if "neuron" not in entry:
            return None
        place, neuron = f"{place}.neuron", entry["neuron"]
        if not isinstance(neuron, dict):
            raise self.error(f"{place}: expected an object")
        bias = self._integers(neuron, "bias", place)
        kind = self._string(neuron, "type", place)
        if kind == "Accumulator":
            return Accumulator(bias)  # type: ignore[arg-type]
        if kind != "LIF":
            raise self.error(f"{place}.type: {kind!r} is not a neuron: expected LIF or Accumulator")
        keys = ("bias_exponent", "current_decay", "voltage_decay")
        values = (self._integer(neuron, key, place) for key in keys)
        return LIF(self._integer(neuron, "threshold", place), bias, *values)  # type: ignore[arg-type]

    def _entries(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        value = self._content.get(key)
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.error(f"{key}: expected a list of objects")
        return [(f"{key}[{index}]", entry) for index, entry in enumerate(value)]

    def _string(self, entry: dict[str, Any], key: str, place: str) -> str:
        if not isinstance(entry.get(key), str):
            raise self.error(f"{place}.{key}: expected text, got {entry.get(key)!r}")
        return entry[key]

    def _strings(self, entry: dict[str, Any], key: str, place: str) -> tuple[str, ...]:
        value = entry.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(f"{place}: expected a list of names")
        return tuple(value)

    def _integer(self, entry: dict[str, Any], key: str, place: str) -> int:
        return self._integers({key: [entry.get(key)]}, key, place)[0]

    def _integers(self, entry: dict[str, Any], key: str, place: str) -> list[int]:
        value = entry.get(key)
        if not isinstance(value, list) or not all(type(item) is int and abs(item) < 1 << 31 for item in value):
            raise self.error(f"{place}.{key}: expected integers of at most 32 bits, got {value!r}")
        return value
