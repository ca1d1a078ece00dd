"""Lints a file or a folder of them: whatever is wrong becomes a finding; nothing is raised but for a missing file.

Every file is read by the readers themselves. What they refuse is an error here, and what has none here they read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from netx.bundle import MANIFEST, load
from netx.errors import FormatError, MonospikeError
from netx.foreign import LONGEST_NAME, shown
from netx.hdf5 import opened
from netx.lint import net_layers, net_neurons, net_weights, nir_graph, nir_meaning, nir_readers, reader_table
from netx.lint.finding import Finding, Rule, Severity
from netx.lint.net_view import net_view
from netx.lint.network_rules import NETWORK, Reached
from netx.network import Network
from netx.nir_graph import flattened, stored_graph
from netx.stamp import read_stamp
from netx.types import Shape

NOT_READABLE = Rule(
    "file-not-readable",
    Severity.ERROR,
    "The file is no whole HDF5 file, or something in it is damaged, missing, too large, or outside of the file.",
    "Export it again; links and references to other files are not followed.",
    "HDF5 File Format Specification 3.0; netx.hdf5, netx.nir_graph",
)

NOT_IMPORTABLE = Rule(
    "not-importable",
    Severity.ERROR,
    "monospike cannot make a network of integers of the file.",
    "Mend what the message names.",
    "netx.net_file, netx.nir_file, netx.bundle",
)

CHANGED = Rule(
    "changed-since-export",
    Severity.WARNING,
    "The file records the fingerprint of another network than it holds: it was changed after it had been written.",
    "Export it again.",
    "netx.fingerprint, netx.stamp",
)

_SUFFIXES = (".net", ".nir")
_NIR_GRAPH = (nir_graph.GRAPH, nir_readers.GRAPH, reader_table.GRAPH)
_NIR_NODE = (nir_graph.NODE, nir_readers.NODE, reader_table.NODE)
_NIR_FLAT = (nir_graph.FLAT, nir_meaning.FLAT)
_NET_LAYER = (net_layers.LAYER, net_weights.LAYER, net_neurons.LAYER)
_FAMILIES = (net_layers.FILE, *_NET_LAYER, *_NIR_GRAPH, *_NIR_NODE, *_NIR_FLAT, NETWORK)


def rules() -> tuple[Rule, ...]:
    """Every rule there is."""
    return (NOT_READABLE, NOT_IMPORTABLE, CHANGED, *(rule for family in _FAMILIES for rule in family.rules))


def lint(path: Path, input_shape: Shape | None = None) -> list[Finding]:
    """All that is wrong with the ``.net`` or ``.nir`` file ``path``, or the folder of them, the worst first.

    input_shape: (channel, height, width), for a ``.net`` file that does not say it. Raises FormatError only when there
    is no such file, or its name ends otherwise.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    else:
        files = [path] if path.suffix in _SUFFIXES else []
    if not path.exists() or (not files and not (path / MANIFEST).exists()):
        what = "is no .net or .nir file, nor a folder of them" if path.exists() else "there is no such file or folder"
        raise FormatError(f"{path}: {what}")
    found, foreign = [], False
    for file in files:
        if file.suffix == ".net":
            found += _net_findings(file)
        else:
            findings, own = _nir_findings(file)
            found += findings
            foreign = foreign or not own
    if not (foreign and path.suffix == ".nir"):
        found += _network_findings(path, input_shape, found)
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.rule.severity))


def _net_findings(path: Path) -> list[Finding]:
    problems: list[FormatError] = []
    found: list[Finding] = []
    try:
        with opened(path) as root:
            file = net_view(root, problems.append)
            found += net_layers.FILE.findings(file, path)
            for layer in file.layers:
                for family in _NET_LAYER:
                    found += family.findings(layer, path, layer.raw.place)
    except FormatError as error:
        problems.append(error)
    return [*_unread(path, problems, found), *found]


def _nir_findings(path: Path) -> tuple[list[Finding], bool]:
    """The findings, and whether the file says of itself that monospike wrote it."""
    problems: list[FormatError] = []
    found: list[Finding] = []
    try:
        with opened(path) as root:
            stored = stored_graph(root, problems.append)
    except FormatError as error:
        return list(_unread(path, [*problems, error], [])), False
    for graph in stored.and_within():
        for graph_rules in _NIR_GRAPH:
            found += graph_rules.findings(graph, path, graph.place)
        for node in graph.nodes:
            for node_rules in _NIR_NODE:
                found += node_rules.findings(node, path, node.place)
    flat = flattened(stored, path, problems.append)
    for flat_rules in _NIR_FLAT[: 1 if stored.own else None]:  # there is no guessing at what our own files mean
        found += flat_rules.findings(flat, path)
    return [*_unread(path, problems, found), *found], stored.own


def _unread(path: Path, problems: Iterable[FormatError], found: Iterable[Finding]) -> Iterator[Finding]:
    """What the reader refuses, but for what a rule found at the same place."""
    known = {re.sub(r"\[.*", "", finding.place) for finding in found if finding.rule.severity is Severity.ERROR}
    for message, place in dict.fromkeys((str(problem), problem.place) for problem in problems):
        if place not in known or not place:
            said = _without(message, path, place)
            yield Finding(NOT_READABLE, path, place, said)


def _without(message: str, path: Path, place: str) -> str:
    """``message`` without the path and the place that it begins with."""
    return message.removeprefix(f"{path}: ").removeprefix(f"{shown(place, longest=LONGEST_NAME)}: ")


def _network_findings(path: Path, input_shape: Shape | None, found: list[Finding]) -> Iterator[Finding]:
    """What is wrong with the network of integers in ``path``, or that there is none, if that is not known yet."""
    try:
        network = load(path, input_shape)
    except MonospikeError as error:
        if not any(finding.rule.severity is Severity.ERROR for finding in found):
            place = error.place if isinstance(error, FormatError) else ""
            yield Finding(NOT_IMPORTABLE, path, place, _without(str(error), path, place))
        return
    stamp = read_stamp(path, network)
    if stamp.changed:
        yield Finding(CHANGED, path, "", str(stamp))
    yield from network_findings(network, path)


def network_findings(network: Network, path: Path) -> Iterator[Finding]:
    """What is wrong with a network of integers that came from ``path``."""
    yield from NETWORK.findings(Reached(network), path)


def for_reader(findings: list[Finding], reader: str) -> list[Finding]:
    """``findings`` as they matter to one of ``READERS``.

    What the reader refuses, or runs otherwise whatever one does, counts as an error; what is another's not at all.

    What concerns nirtorch concerns those that build on it: norse, snnTorch and sinabs. The rules about ``.net`` files
    are lava-dl's, and errors or not as they stand.
    """
    meant = {reader, "nirtorch"} if reader in ("norse", "snntorch", "sinabs") else {reader}
    kept = [finding for finding in findings if finding.rule.reader in (None, *meant)]
    return [
        replace(finding, rule=replace(finding.rule, severity=Severity.ERROR))
        if finding.rule.refused and reader != "lava"
        else finding
        for finding in kept
    ]
