"""What one frame of an input is: writers put axes for batch or time in front of it, and some none at all.

The NIR paper's exporters stored the shape of the sample data that they had traced the network with, such as (256, 12)
for 256 steps of 12 values (``paper/03_rnn``) or (1, 2, 34, 34) for a batch of one (``paper/02_cnn``).
"""

from __future__ import annotations

import numpy as np

from netx.nir_graph import IDENTITY, NirGraph, NirNode

Sizes = tuple[int, ...]


def stored_shape(node: NirNode) -> Sizes | None:
    """The shape that an Input says it has; None where it says none."""
    stored = node.values.get("shape")
    if stored is None or isinstance(stored, str) or stored.ndim != 1 or not stored.size:
        return None
    return tuple(int(size) for size in stored)


def frame_shape(graph: NirGraph, name: str, stored: Sizes) -> Sizes:
    """The last of the sizes that the input ``name`` says it has: as many as the nodes that read it can take."""
    for start in range(len(stored)):
        if _taken(graph, name, stored[start:], set()):
            return stored[start:]
    return stored


def _taken(graph: NirGraph, name: str, sizes: Sizes, seen: set[str]) -> bool:
    """Whether all nodes that read ``name`` can read values of these sizes."""
    readers = [target for source, target in graph.edges if source == name and target not in seen]
    seen |= set(readers)
    return all(_takes(graph, reader, sizes, seen) for reader in readers)


def _takes(graph: NirGraph, name: str, sizes: Sizes, seen: set[str]) -> bool:
    node = graph.nodes[name]
    values = {key: np.asarray(value) for key, value in node.values.items() if not isinstance(value, str)}
    count = int(np.prod(sizes, dtype=object))
    if node.kind in (IDENTITY, "Input"):
        return _taken(graph, name, sizes, seen)
    if node.kind == "Flatten":
        return _taken(graph, name, (count,), seen)
    if node.kind in ("Affine", "Linear"):
        return values["weight"].shape[-1:] == (count,)
    if node.kind in ("Conv1d", "Conv2d"):
        axes = 2 if node.kind == "Conv1d" else 3
        channels = values["weight"].shape[1] * int(values["groups"].flat[0]) if values["weight"].ndim > 1 else 0
        return len(sizes) == axes and sizes[0] == channels
    if node.kind in ("SumPool2d", "AvgPool2d"):
        return len(sizes) == 3
    largest = max((value.size for value in values.values()), default=1)
    return largest in (1, count) or largest == sizes[0]
