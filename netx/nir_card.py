"""``nir-card.json``: what a reader of an exported ``.nir`` file wants to know before opening it, beside the file.

Its fields are described in docs/exchange.md. What people fill in (licence, authors, links, tags) is kept when the files
are exported again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netx.bundle import load, recorded
from netx.errors import FormatError, MonospikeError
from netx.files import write_whole
from netx.hdf5 import opened
from netx.nir_graph import read_graph

CARD = "nir-card.json"
VERSION = 1

_MOST_BYTES = 1 << 24
_OURS: dict[str, Any] = {"licence": None, "authors": [], "links": [], "tags": [], "description": ""}
"""What people fill in, as it is at first."""

_NEURONS = ("LIF", "IF", "LI", "I", "CubaLIF", "CubaLI", "Threshold")
_LINEAR = ("Affine", "Linear", "Conv1d", "Conv2d", "Scale", "SumPool2d", "AvgPool2d")

_PARAMETERS = {"weight", "bias", "scale", "delay", "threshold", "v_threshold", "v_reset", "v_leak", "r", "w_in"}
_PARAMETERS |= {"tau", "tau_mem", "tau_syn"}
"""What counts as a parameter: not the sizes of windows."""


def write_card(written: Path, reader: str, before: Mapping[str, Any]) -> Path:
    """Write the card of all ``.nir`` files of ours in a folder, beside them, and return its path.

    written: the ``.nir`` file, or the folder of them, that was just written for the simulator ``reader``. before: what
    ``earlier_card`` gave before that; what it says people have filled in, and of files that are still the same, stays.
    Raises FormatError when what was written cannot be read or the card cannot be written; other files that cannot be
    read are left out.
    """
    written = Path(written)
    path = card_path(written)
    known = {entry["file"]: entry for entry in before.get("files", []) if isinstance(entry, dict) and "file" in entry}
    files = []
    for file in sorted(path.parent.glob("*.nir")):
        new = written in (file, path.parent)
        try:
            if not recorded(file):
                continue  # somebody else's
            entry = _entry(file)
        except MonospikeError:
            if new:
                raise
            continue
        old = known.get(file.name, {})
        readers = old.get("written_for", []) if old.get("sha256") == entry["sha256"] else []
        files.append({**entry, "written_for": sorted({*readers, *([reader] if new else [])})})
    card = {"nir_card": VERSION, **{key: before.get(key, value) for key, value in _OURS.items()}, "files": files}
    try:
        with write_whole(path) as temporary:
            temporary.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def card_path(written: Path) -> Path:
    """Where the card of a ``.nir`` file, or of a folder of them, stands."""
    return (written.parent if written.suffix == ".nir" else written) / CARD


def earlier_card(written: Path) -> dict[str, Any]:
    """The card that ``write_card`` would replace; empty where there is none.

    Raises FormatError when something else has its name.
    """
    path = card_path(Path(written))
    if not path.exists():
        return {}
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("is larger than any card")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{path}: is no card that could be brought up to date ({error}): move it away") from None
    if not isinstance(content, dict) or not isinstance(content.get("files", []), list):
        raise FormatError(f"{path}: is no card that could be brought up to date: move it away")
    return content


def _nir_version(file: Path) -> str:
    with opened(file) as root:
        return root.text("version")


def _entry(file: Path) -> dict[str, Any]:
    """What one file's own content says."""
    graph, network = read_graph(file), load(file)
    kinds = Counter(node.kind for node in graph.nodes.values())
    parameters = sum(
        int(np.size(value)) for node in graph.nodes.values() for key, value in node.values.items() if key in _PARAMETERS
    )
    return {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        **recorded(file),
        "nir_version": _nir_version(file),
        "dt": graph.dt,
        "reset": "to zero",
        "layout": "channel, height, width",
        "inputs": [{"name": one.name, "shape": list(one.shape), "range": list(one.range)} for one in network.inputs],
        "outputs": [{"name": name, "shape": list(network.shape(name))} for name in network.outputs],
        "neuron_types": {kind: kinds[kind] for kind in _NEURONS if kinds[kind]},
        "linear_ops": {kind: kinds[kind] for kind in _LINEAR if kinds[kind]},
        "nodes": len(graph.nodes),
        "edges": len(graph.edges),
        "parameters": parameters,
        "neurons": sum(network.shape(layer.name).size for layer in network.layers if layer.neuron is not None),
    }
