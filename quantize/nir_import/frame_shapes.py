"""What one frame of an input is: writers put axes for batch or time in front of it, and some none at all.

The NIR paper's exporters stored the shape of the sample data that they had traced the network with, such as (256, 12)
for 256 steps of 12 values (``paper/03_rnn``) or (1, 2, 34, 34) for a batch of one (``paper/02_cnn``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from netx.nir_graph import IDENTITY, NirGraph, NirNode

Sizes = tuple[int, ...]

_PASSING = (IDENTITY, "Input", "Flatten")
"""Kinds whose readers decide."""

_ELEMENTWISE = ("Scale", "Delay", "Threshold", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
"""Kinds that leave a shape as it is: their parameters and their readers decide."""


def stored_shape(node: NirNode) -> Sizes | None:
    """The shape that an Input says it has; None where it says none."""
    stored = node.values.get("shape")
    if stored is None or isinstance(stored, str) or stored.ndim != 1 or not stored.size:
        return None
    return tuple(int(size) for size in stored)


def frame_shape(graph: NirGraph, name: str, stored: Sizes) -> Sizes:
    """The last of the sizes that the input ``name`` says it has: as many as the nodes that read it can take, and no
    ones in front that they can do without."""
    readers: dict[str, list[str]] = {}
    for source, target in graph.edges:
        readers.setdefault(source, []).append(target)
    taken = [stored[start:] for start in range(len(stored)) if _taken(graph, readers, name, stored[start:])]
    if not taken:
        return stored
    return min((sizes for sizes in taken if math.prod(sizes) == math.prod(taken[0])), key=len)


def _taken(graph: NirGraph, readers: Mapping[str, list[str]], name: str, sizes: Sizes) -> bool:
    """Whether all nodes that read ``name``, maybe through others that only hand on, can read values of these sizes."""
    waiting, seen = [(name, sizes)], {name}
    while waiting:
        source, given = waiting.pop()
        for reader in readers.get(source, []):
            if reader in seen:
                continue
            seen.add(reader)
            kind = graph.nodes[reader].kind
            if kind in _PASSING:
                waiting.append((reader, (math.prod(given),) if kind == "Flatten" else given))
            elif not _takes(graph.nodes[reader], given):
                return False
            elif kind in _ELEMENTWISE:
                waiting.append((reader, given))
    return True


def _takes(node: NirNode, sizes: Sizes) -> bool:
    values = {key: np.asarray(value) for key, value in node.values.items() if not isinstance(value, str)}
    count = math.prod(sizes)
    if node.kind in ("Affine", "Linear"):
        return values["weight"].shape[-1:] == (count,)
    if node.kind in ("Conv1d", "Conv2d"):
        axes = 2 if node.kind == "Conv1d" else 3
        channels = values["weight"].shape[1] * int(values["groups"].flat[0]) if values["weight"].ndim > 1 else 0
        return len(sizes) == axes and sizes[0] == channels
    if node.kind in ("SumPool2d", "AvgPool2d"):
        return len(sizes) == 3
    largest = max((value.size for value in values.values()), default=1)
    return largest in (1, count, sizes[0])
