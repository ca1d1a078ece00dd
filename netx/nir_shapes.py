"""The shapes that a NIR graph says, and whether they fit each other.

What one frame of an input is has to be found: writers put axes for batch or time in front of it, and some none at all.
The NIR paper's exporters stored the shape of the sample data that they had traced the network with, such as (256, 12)
for 256 steps of 12 values (``paper/03_rnn``) or (1, 2, 34, 34) for a batch of one (``paper/02_cnn``).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx.errors import NetworkError
from netx.nir_graph import IDENTITY, NEURONS, NirGraph, NirNode
from netx.synapses import conv_output_size
from netx.types import Pair, Shape

Sizes = tuple[int, ...]

MOST_AXES = 32
"""Of an array, in the oldest numpy that we run with (1.26 ``NPY_MAXDIMS``); damaged files say millions."""

_MAX_WINDOW = 1 << 15
"""Of a kernel, stride, padding or dilation; damaged files say billions."""

_PASSING = (IDENTITY, "Input", "Flatten")
"""Kinds whose readers decide."""

_ELEMENTWISE = ("Scale", "Delay", "Threshold", *NEURONS)
"""Kinds that leave a shape as it is: their parameters and their readers decide."""


def stored_shape(node: NirNode) -> Sizes | None:
    """The shape that an Input says it has; None where it says none."""
    stored = node.numbers("shape")
    if stored is None or stored.ndim != 1 or not stored.size or not np.isfinite(stored).all():
        return None
    return tuple(int(size) for size in stored)


def frame_shape(graph: NirGraph, name: str, stored: Sizes) -> Sizes:
    """The last of the sizes that the input ``name`` says it has: as many as the nodes that read it can take, and no
    ones in front that they can do without."""
    readers: dict[str, list[str]] = {}
    for source, target in graph.edges:
        readers.setdefault(source, []).append(target)
    ends = (stored[start:] for start in range(max(0, len(stored) - MOST_AXES), len(stored)))
    taken = [sizes for sizes in ends if _taken(graph, readers, name, sizes)]
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
    weight = values.get("weight", np.zeros(0))
    count = math.prod(sizes)
    if node.kind in ("Affine", "Linear"):
        return weight.shape[-1:] == (count,)
    if node.kind in ("Conv1d", "Conv2d"):
        axes = 2 if node.kind == "Conv1d" else 3
        channels = weight.shape[1] * _groups(node) if weight.ndim > 1 else 0
        return len(sizes) == axes and sizes[0] == channels
    if node.kind in ("SumPool2d", "AvgPool2d"):
        return len(sizes) == 3
    largest = max((value.size for value in values.values()), default=1)
    return largest in (1, count, sizes[0])


@dataclass(frozen=True)
class Misfit:
    """A node that cannot take what arrives, or whose own parameters contradict each other."""

    node: str
    reason: str


def misfits(graph: NirGraph) -> list[Misfit]:
    """Every node of ``graph`` whose shapes contradict those of what it reads, or one another; none where all fit.

    A parameter of neurons is for all of them, for each channel, or for each neuron. Where an input does not say its
    shape, what follows is known from the weights on. Kinds that are not known take and give anything.
    """
    inference = _Inference(graph)
    for name, node in graph.nodes.items():
        if node.kind == "Input":
            inference.visit(name, None)
    inference.spread()
    for name, node in graph.nodes.items():
        if not inference.reached(name):  # by no input with a shape: it speaks for itself
            inference.settle(name, _stated(node))
            inference.spread()
    return list(inference.found.values())


class _Inference:
    """Follows the edges from shapes that are known, each edge once."""

    def __init__(self, graph: NirGraph) -> None:
        self.found: dict[str, Misfit] = {}
        self._graph = graph
        self._given: dict[str, Shape] = {}
        self._arrived: dict[str, Shape] = {}
        self._waiting: deque[str] = deque()
        self._readers: dict[str, list[str]] = {}
        for source, target in graph.edges:
            self._readers.setdefault(source, []).append(target)

    def reached(self, name: str) -> bool:
        """Whether anything is known of what ``name`` reads or gives."""
        return name in self._given or name in self._arrived or name in self.found

    def visit(self, name: str, source: Shape | None) -> None:
        """``name`` reads ``source``, nothing where it is an input."""
        try:
            self.settle(name, _given(self._graph, name, source))
        except NetworkError as error:
            self.found.setdefault(name, Misfit(name, str(error)))
            self.settle(name, _stated(self._graph.nodes[name]))

    def settle(self, name: str, shape: Shape | None) -> None:
        """``name`` gives ``shape``, if that is known and nothing else is."""
        if shape is not None and name not in self._given:
            self._given[name] = shape
            self._waiting.append(name)

    def spread(self) -> None:
        """Go on until nothing more follows."""
        while self._waiting:
            source = self._waiting.popleft()
            shape = self._given[source]
            for target in self._readers.get(source, []):
                before = self._arrived.setdefault(target, shape)
                if before == shape:
                    self.visit(target, shape)
                else:
                    reason = f"sums up values of different shapes, {before} and {shape}"
                    self.found.setdefault(target, Misfit(target, reason))


def as_shape_of_frame(sizes: Sizes) -> Shape:
    """NIR's shape, (n,), (channel, length) or (channel, height, width), as a Shape; ones in front of it are dropped.

    Raises NetworkError for anything else.
    """
    first = next((place for place, size in enumerate(sizes) if size != 1), len(sizes))
    kept = sizes[max(0, min(first, len(sizes) - 3)) :]  # a damaged file may say millions
    if len(kept) == 2 and kept[0] == 1:
        kept = kept[1:]
    if not 1 <= len(kept) <= 3 or min(kept) < 1:
        shown = f"({', '.join(map(str, sizes[:8]))}{', ...' if len(sizes) > 8 else ''})"
        raise NetworkError(f"has the shape {shown}: expected one to three sizes of at least 1")
    if len(kept) == 2:
        return Shape(kept[0], 1, kept[1])
    return Shape(kept[0], *(kept[1:] or (1, 1)))


def _stated(node: NirNode) -> Shape | None:
    """What a node gives, whatever it reads, where its parameters say so."""
    weight = node.numbers("weight")
    if node.kind in ("Affine", "Linear"):
        return None if weight is None or weight.ndim < 2 else Shape(weight.shape[-2], 1, 1)
    if node.kind in NEURONS or node.kind == "Threshold":
        shapes = [value.shape for value in node.values.values() if not isinstance(value, str) and value.size > 1]
        try:
            return as_shape_of_frame(max(shapes, key=math.prod)) if shapes else None
        except NetworkError:
            return None
    return None


def _given(graph: NirGraph, name: str, source: Shape | None) -> Shape | None:
    """What the node ``name`` gives where it reads ``source``. Raises NetworkError where it cannot read that."""
    node = graph.nodes[name]
    if node.kind == "Input":
        stored = stored_shape(node)
        if stored is None:
            return None
        return as_shape_of_frame(frame_shape(graph, name, stored) if len(stored) <= MOST_AXES else stored)
    if source is None:
        return None
    if node.kind in ("Affine", "Linear"):
        return _multiplied(node, source)
    if node.kind in ("Conv1d", "Conv2d", "SumPool2d", "AvgPool2d"):
        return _windowed(node, source)
    if node.kind == "Flatten":
        return Shape(source.size, 1, 1)
    for parameter, value in node.values.items():
        if node.kind in (*NEURONS, "Threshold", "Scale", "Delay") and not isinstance(value, str):
            _check_spread(parameter, value, source, by_channel=node.kind != "Delay")
    if node.kind == "Output" and (stored := stored_shape(node)) is not None and math.prod(stored) % source.size:
        raise NetworkError(f"says its shape is {tuple(stored)}, but reads {source}")
    return source


def _check_spread(name: str, value: npt.NDArray, shape: Shape, by_channel: bool) -> None:
    if value.size not in (1, shape.size, *([shape.channel] if by_channel else [])):
        raise NetworkError(f"reads {shape}, but its {name} has {value.size} values, of shape {value.shape}")


def _multiplied(node: NirNode, source: Shape) -> Shape | None:
    weight, bias = node.numbers("weight"), node.numbers("bias")
    if weight is None:
        return None
    if weight.ndim < 2 or any(size != 1 for size in weight.shape[:-2]) or not weight.size:
        raise NetworkError(f"its weights have the shape {weight.shape}, expected (out, in)")
    out, ins = weight.shape[-2:]
    if ins != source.size:
        raise NetworkError(f"reads {source}, but its weights, of shape {weight.shape}, expect {ins} values")
    if bias is not None and bias.size not in (1, out):
        raise NetworkError(f"its bias has {bias.size} values, expected {out}")
    return Shape(out, 1, 1)


def _windowed(node: NirNode, source: Shape) -> Shape | None:
    """What a convolution or a pooling gives."""
    pooled = node.kind in ("SumPool2d", "AvgPool2d")
    weight, bias = node.numbers("weight"), node.numbers("bias")
    if pooled:
        out, kernel = source.channel, _pair(node, "kernel_size", 1)
    else:
        if weight is None:
            return None
        weight = weight[:, :, None, :] if node.kind == "Conv1d" and weight.ndim == 3 else weight
        groups = _groups(node)
        if weight.ndim != 4 or not weight.size or groups < 1 or len(weight) % groups:
            raise NetworkError(f"its weights have the shape {weight.shape}, in {groups} groups")
        if source.channel != weight.shape[1] * groups:
            raise NetworkError(f"reads {source.channel} channels, but its weights expect {weight.shape[1] * groups}")
        out, kernel = len(weight), (weight.shape[2], weight.shape[3])
        if bias is not None and bias.size not in (1, out):
            raise NetworkError(f"its bias has {bias.size} values, expected {out}")
    stride = _pair(node, "stride", 1)
    dilation = (1, 1) if pooled else _pair(node, "dilation", 1)
    stored = node.values.get("padding")
    padding = stored if isinstance(stored, str) else None
    if padding == "same" and not pooled and stride == (1, 1):
        return Shape(out, source.height, source.width)
    if padding is not None and (pooled or padding != "valid"):
        raise NetworkError(f"its padding is {padding!r} at stride {stride}")
    around = (0, 0) if padding is not None else _pair(node, "padding", 0)
    rows, columns = (
        conv_output_size(source[1 + axis], kernel[axis], stride[axis], around[axis], dilation[axis]) for axis in (0, 1)
    )
    if min(rows, columns) < 1:
        raise NetworkError(f"its kernel of {kernel} does not fit into {source}")
    return Shape(out, rows, columns)


def _groups(node: NirNode) -> int:
    """How many groups a convolution has; 0 where that is no number of groups."""
    stored = node.numbers("groups")
    value = float(stored.flat[0]) if stored is not None and stored.size else 1.0
    return int(value) if 1 <= value <= _MAX_WINDOW else 0


def _pair(node: NirNode, name: str, low: int) -> Pair:
    """Whole numbers for (height, width); of the one axis of Conv1d the number for the width."""
    stored = node.values.get(name, np.array(low))
    values = np.zeros(0) if isinstance(stored, str) else np.asarray(stored, np.float64).ravel()
    whole = np.isfinite(values).all() and bool((values == np.floor(values)).all())
    if values.size not in (1, 2) or not whole or (values < low).any() or values.max() > _MAX_WINDOW:
        shown = stored if isinstance(stored, str) else values[:4]
        raise NetworkError(f"its {name} is {shown}: expected one or two whole numbers of at least {low}")
    last = int(values[-1])
    if node.kind == "Conv1d":
        return {"stride": 1, "dilation": 1}.get(name, 0), last
    return int(values[0]), last
