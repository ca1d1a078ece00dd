"""Two networks, from whatever files, held against each other: what they are, and, where it may show, what they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from netx import FormatError, Input, Layer, Network
from netx.bundle import MANIFEST, load
from netx.difference import differences, graph_differences
from netx.fingerprint import fingerprint
from netx.nir_graph import NirGraph, is_ours, read_graph
from netx.stamp import read_stamp
from netx.types import Shape
from pipeline.deploy.network_diff.found import Diff, Frames
from pipeline.model_zoo.networks import read_network

_IN_RUNS = ("quantize/network", "network.nir", "network.net")
"""Where the folder of a run has its network: of ``deploy``, and of ``import``."""

_MOST_LINES = 40

_UNRUN = "and so the same spikes on any frames; --count or --frames runs both all the same"


def diff(one: Path, other: Path, frames: Frames, input_shape: Shape | None = None) -> Diff:
    """Hold ``other`` against ``one``: ``.net`` or ``.nir`` files, folders of them, folders of runs, packaged models.

    input_shape: of ``.net`` files that do not say it. Where nothing differs, both run only if ``frames`` asks for it.

    Raises MonospikeError for what cannot be read, and for a file of others against what is no NIR graph.
    """
    paths = [_network_in(path) for path in (one, other)]
    foreign = [path.suffix == ".nir" and path.is_file() and not is_ours(path) for path in paths]
    if not any(foreign):
        return _networks(paths[0], paths[1], frames, input_shape)
    for path, name in zip(paths, (one, other), strict=True):
        if path.suffix != ".nir" or not path.is_file():
            raise FormatError(
                f"{name}: is held against the NIR graph of others, and is none: import that with monospike import first"
            )
    return _graphs(read_graph(paths[0]), read_graph(paths[1]), frames)


def _network_in(path: Path) -> Path:
    """The file or folder of a network that ``path`` names: itself, or what is in the folder of a run."""
    if path.is_dir() and not (path / MANIFEST).is_file():
        for name in _IN_RUNS:
            if (path / name).exists():
                return path / name
        raise FormatError(f"{path}: has no network: neither {MANIFEST} nor {', '.join(_IN_RUNS)}")
    return path


def _networks(one: Path, other: Path, frames: Frames, input_shape: Shape | None) -> Diff:
    found = Diff()
    networks = []
    for path in (one, other):
        in_files = path.is_dir() or path.suffix in (".net", ".nir")
        network = load(path, input_shape) if in_files else read_network(path)
        said_of = read_stamp(path, network) if in_files else f"fingerprint {fingerprint(network)}"
        found.say(f"{path}: {said_of}")
        networks.append(network)
    expected, got = networks[0], _named_alike(networks[0], networks[1])
    if got is not networks[1]:
        found.say("names differ, and layers are taken in their order")
    said = differences(expected, got)
    alike = fingerprint(networks[0]) == fingerprint(networks[1])
    if alike:
        said = {}  # what is left are names and an order that does nothing
    for line in _listed(said):
        found.differs(line)
    if not said:
        found.say("the same integers")
        if alike and not frames.asked:
            found.say(_UNRUN)
            return found
    # Imported here because it loads torch, which takes seconds and is not needed to compare files.
    from pipeline.deploy.network_diff.spikes import compare_networks

    compare_networks(found, expected, got, said, frames)
    return found


def _named_alike(expected: Network, got: Network) -> Network:
    """``got`` with the names of ``expected`` where all shapes are the same in order, and the names are not."""
    ones: list[Input | Layer] = [*expected.inputs, *expected.layers]
    others: list[Input | Layer] = [*got.inputs, *got.layers]
    alike = len(expected.inputs) == len(got.inputs) and len(ones) == len(others)
    if not alike or {one.name for one in ones} == {one.name for one in others}:
        return got
    if any(expected.shape(one.name) != got.shape(two.name) for one, two in zip(ones, others, strict=True)):
        return got
    names = {two.name: one.name for one, two in zip(ones, others, strict=True)}
    return Network(
        tuple(replace(source, name=names[source.name]) for source in got.inputs),
        tuple(
            replace(layer, name=names[layer.name], inputs=tuple(names[name] for name in layer.inputs))
            for layer in got.layers
        ),
        tuple(names[name] for name in got.outputs),
    )


def _graphs(expected: NirGraph, got: NirGraph, frames: Frames) -> Diff:
    found = Diff()
    said = graph_differences(expected, got)
    for line in _listed(said):
        found.differs(line)
    if not said:
        found.say("the same nodes, parameters and edges")
        if not frames.asked:
            found.say(_UNRUN)
            return found
    from pipeline.deploy.network_diff.spikes import compare_graphs

    compare_graphs(found, expected, got, said, frames)
    return found


def _listed(said: Mapping[str, list[str]]) -> list[str]:
    lines = [f"{name}: {text}" if name else text for name, texts in said.items() for text in texts]
    rest = len(lines) - _MOST_LINES
    return lines if rest <= 0 else [*lines[:_MOST_LINES], f"... and {rest} more"]
