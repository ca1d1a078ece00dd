"""Graphs as the NIR authors published them: written by versions of nir from 0.0.6 to 1.0.4, with what these left out.

The files of the NIR paper (neuromorphs/NIR, ``paper/01_lif``, ``02_cnn``, ``03_rnn``) say that nir 0.1.1 or 0.2.0 wrote
them. Their layouts are built here with h5py, node by node, as nir 0.0.6, 0.1.0, 0.2.0, 1.0.0 and 1.0.4 were seen to lay
out the same graphs; weights are our own. None of these versions writes ``v_reset`` or metadata.
"""

from pathlib import Path
from typing import Any

import graphs_to_import
import h5py
import numpy as np

from netx.nir_graph import read_graph
from quantize.nir_import import Imported, import_graph

Node = dict[str, Any]
Edges = list[tuple[str, str]]


def store(group: h5py.Group, values: Node) -> None:
    """Datasets and groups as ``nir.write`` made them: text of variable length, everything else as it is."""
    for name, value in values.items():
        if isinstance(value, str):
            group.create_dataset(name, data=value, dtype=h5py.string_dtype())
        elif isinstance(value, dict):
            store(group.create_group(name), value)
        else:
            group.create_dataset(name, data=value)


def graph(nodes: dict[str, Node], edges: Any) -> Node:
    return {"type": "NIRGraph", "nodes": nodes, "edges": edges}


def written(path: Path, content: Node, version: str | None = "0.1.1") -> Path:
    with h5py.File(path, "w") as file:
        if version is not None:
            file["version"] = version
        store(file.create_group("node"), content)
    return path


def end(kind: str, *shape: int) -> Node:
    return {"type": kind, "shape": np.array(shape)}


def linear(weight: np.ndarray, bias: np.ndarray | None = None) -> Node:
    both = {"weight": weight.astype(np.float32)}
    return {"type": "Linear", **both} if bias is None else {"type": "Affine", **both, "bias": bias.astype(np.float32)}


def spikes(*shape: int, rate: float = 0.3) -> np.ndarray:
    return (np.random.default_rng(7).random(shape) < rate).astype(np.float32)


def imported(path: Path, frames: np.ndarray) -> Imported:
    return import_graph(read_graph(path), {"x": frames})


def both(result: Imported) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For every layer the spikes of the float reference and of the integers, (sequence, frame, neuron)."""
    pairs = graphs_to_import.both(result)
    return {node: tuple(one.reshape(*one.shape[:2], -1) for one in pair) for node, pair in pairs.items()}
