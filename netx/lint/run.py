"""Lints a file or a folder of them: whatever is wrong becomes a finding; nothing is raised but for a missing file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from netx.bundle import MANIFEST, load
from netx.errors import FormatError, MonospikeError
from netx.hdf5 import opened
from netx.lint import (
    net_layers,
    net_neurons,
    net_weights,
    nir_graph,
    nir_readers,
    reader_norse,
    reader_sinabs,
    reader_snntorch,
)
from netx.lint.finding import Finding, Rule, Severity
from netx.lint.net_layers import INPUT_SHAPE_MISSING
from netx.lint.net_view import net_view
from netx.lint.network_rules import NETWORK, Reached
from netx.lint.nir_view import nir_view
from netx.net_file import read_net
from netx.network import Network
from netx.types import Shape

NOT_READABLE = Rule(
    "file-not-readable",
    Severity.ERROR,
    "The file is no whole HDF5 file, or a value in it is damaged, too large, or lies outside of the file.",
    "Export it again; links and references to other files are not followed.",
    "HDF5 File Format Specification 3.0; netx.hdf5",
)

NOT_IMPORTABLE = Rule(
    "not-importable",
    Severity.ERROR,
    "monospike cannot make a network of integers of the file.",
    "Mend what the message names.",
    "netx.net_file, netx.nir_file, netx.bundle",
)

_SUFFIXES = (".net", ".nir")
_NIR_GRAPH = (nir_graph.GRAPH, nir_readers.GRAPH, reader_norse.GRAPH, reader_snntorch.GRAPH)
_NIR_NODE = (nir_graph.NODE, nir_readers.NODE, reader_norse.NODE, reader_snntorch.NODE, reader_sinabs.NODE)
_NET_LAYER = (net_layers.LAYER, net_weights.LAYER, net_neurons.LAYER)
_FAMILIES = (net_layers.FILE, *_NET_LAYER, *_NIR_GRAPH, *_NIR_NODE, NETWORK)


def rules() -> tuple[Rule, ...]:
    """Every rule there is."""
    return (NOT_READABLE, NOT_IMPORTABLE, *(rule for family in _FAMILIES for rule in family.rules))


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
    shapeless = any(finding.rule.name == INPUT_SHAPE_MISSING for finding in found) and input_shape is None
    broken = any(finding.rule.severity is Severity.ERROR for finding in found)
    found += [
        finding
        for finding in _network_findings(path, input_shape)
        if finding.rule is not NOT_IMPORTABLE or not (foreign or shapeless or broken)
    ]
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.rule.severity))


def _net_findings(path: Path) -> list[Finding]:
    problems: list[str] = []
    found: list[Finding] = []
    try:
        with opened(path) as root:
            file = net_view(root, problems)
            found += net_layers.FILE.findings(file, path)
            for layer in file.layers:
                for family in _NET_LAYER:
                    found += family.findings(layer, path, layer.raw.place)
    except FormatError as error:
        problems.append(str(error))
    return [*_unreadable(path, problems), *found]


def _nir_findings(path: Path) -> tuple[list[Finding], bool]:
    """The findings, and whether the file says of itself that monospike wrote it."""
    problems: list[str] = []
    found: list[Finding] = []
    own = False
    try:
        with opened(path) as root:
            graphs = nir_view(root, problems)
            own = bool(graphs) and graphs[0].own
            for graph in graphs:
                for rules in _NIR_GRAPH:
                    found += rules.findings(graph, path, graph.place)
                for node in graph.nodes:
                    for family in _NIR_NODE:
                        found += family.findings(node, path, node.place)
    except FormatError as error:
        problems.append(str(error))
    return [*_unreadable(path, problems), *found], own


def _unreadable(path: Path, problems: list[str]) -> Iterator[Finding]:
    for problem in dict.fromkeys(problems):
        yield Finding(NOT_READABLE, path, "", problem.removeprefix(f"{path}: "))


def _network_findings(path: Path, input_shape: Shape | None) -> Iterator[Finding]:
    try:
        network = read_net(path, input_shape) if path.suffix == ".net" and path.is_file() else load(path)
    except MonospikeError as error:
        yield Finding(NOT_IMPORTABLE, path, "", str(error).removeprefix(f"{path}: "))
        return
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
