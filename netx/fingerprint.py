"""One number for a network's integers: the same from whatever file they were read, another when one of them changes.

SHA-256 over canonical JSON (keys sorted, no spaces, ASCII). Layers and inputs stand for each other by digests, so that
names and the order of layers that do not depend on each other are none of it; how, says ``fingerprint``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from netx.network import Network

VERSION = 1
"""Of the way in which it is computed; part of what is hashed."""


def fingerprint(network: Network) -> str:
    """64 hexadecimal digits of a network.

    An input's digest is that of ``{"input": index, "range": [low, high], "shape": [c, h, w]}``, a layer's that of
    ``{"inputs": [digests], "neuron": fields or null, "synapse": fields}``, where fields are those of netx's classes and
    ``kind``, the class's name; an array is ``{"int32": digest of its little-endian bytes, "shape": [...]}``. The
    network's is that of ``{"fingerprint": 1, "inputs": [...], "layers": [sorted], "outputs": [...]}``.
    """
    digests: dict[str, str] = {}
    for index, source in enumerate(network.inputs):
        digests[source.name] = _digest({"input": index, "shape": list(source.shape), "range": list(source.range)})
    for layer in network.layers:
        parts = {"synapse": _plain(layer.synapse), "neuron": None if layer.neuron is None else _plain(layer.neuron)}
        digests[layer.name] = _digest({"inputs": [digests[name] for name in layer.inputs], **parts})
    return _digest(
        {
            "fingerprint": VERSION,
            "inputs": [digests[source.name] for source in network.inputs],
            "layers": sorted(digests[layer.name] for layer in network.layers),
            "outputs": [digests[name] for name in network.outputs],
        }
    )


def stamp(network: Network) -> dict[str, str]:
    """What every file of a network records: its fingerprint, and the tool and version that wrote it."""
    return {"fingerprint": fingerprint(network), "tool": tool()}


def tool() -> str:
    """Who writes files here: ``monospike`` and its version."""
    try:
        return f"monospike {version('monospike')}"
    except PackageNotFoundError:
        return "monospike, not installed"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value, dtype="<i4")
        return {"int32": hashlib.sha256(array.tobytes()).hexdigest(), "shape": list(value.shape)}
    if isinstance(value, tuple):
        return [int(one) for one in value]
    return value if value is None or isinstance(value, bool) else int(value)


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
