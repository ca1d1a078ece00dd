"""The graph of a file as a picture: SVG without any other program. Rows lead down; what closes a cycle is dashed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from netx.bundle import load
from netx.fingerprint import fingerprint
from netx.foreign import shown
from netx.layered import Edge, Layout, Place, layered
from netx.network import Layer, Network
from netx.neurons import LIF, Accumulator, Delta, SigmaDelta
from netx.nir_graph import NirGraph, is_ours, read_graph
from netx.synapses import Conv2d, Correlation, Dense, Pool, Recurrent, Upsample

_FONT, _CHARACTER, _LINE = 12, 7.3, 16
_PADDING, _GAP, _SPACE, _MARGIN, _LOOP, _ASIDE = 8, 24, 40, 24, 28, 14
_LONGEST = 48
"""Characters of a name or a line; longer ones are cut."""

_STYLE = (
    "text{font:12px monospace;text-anchor:middle;fill:#1b1f24}.name{font-weight:bold}"
    "rect{fill:#eef3f8;stroke:#51657a}.end rect{fill:#fff}.edge{fill:none;stroke:#51657a;marker-end:url(#tip)}"
    ".back{stroke-dasharray:5 3;stroke:#b4441f}"
)


@dataclass(frozen=True)
class Picture:
    """A graph to be drawn. boxes: for each node what is said below its name. ends: inputs and outputs."""

    title: str
    boxes: Mapping[str, tuple[str, ...]]
    edges: tuple[Edge, ...]
    ends: frozenset[str] = frozenset()
    note: str = ""


def picture_of_file(path: Path) -> Picture:
    """What is in a ``.nir`` file of anybody: its nodes; else the network of integers that ``netx.bundle.load`` reads.

    Raises FormatError as those do.
    """
    path = Path(path)
    if path.suffix == ".nir" and path.is_file() and not is_ours(path):
        return picture_of_graph(read_graph(path), path.name)
    return picture_of_network(load(path), path.name)


def picture_of_network(network: Network, title: str) -> Picture:
    """Inputs and layers, a layer that feeds back with an edge to itself."""
    boxes: dict[str, tuple[str, ...]] = {s.name: (f"input, {s.shape}", str(s.range)) for s in network.inputs}
    edges = [(source, layer.name) for layer in network.layers for source in layer.inputs]
    for layer in network.layers:
        boxes[layer.name] = _layer_lines(layer, str(network.shape(layer.name)))
        if isinstance(layer.synapse, Recurrent):
            edges.append((layer.name, layer.name))
    ends = frozenset([*network.outputs, *(source.name for source in network.inputs)])
    return Picture(title, boxes, tuple(edges), ends, f"fingerprint {fingerprint(network)}")


def picture_of_graph(graph: NirGraph, title: str) -> Picture:
    """The nodes of a NIR graph, flat, with the shapes of their weights or of their neurons' parameters."""
    boxes: dict[str, tuple[str, ...]] = {}
    for name, node in graph.nodes.items():
        said = ("weight", "v_threshold", "tau", "tau_mem", "r", "shape", "input_type", "kernel_size", "delay", "scale")
        lines = [f"{key} {_shape_of(node.values[key])}" for key in said if key in node.values][:1]
        boxes[name] = (node.kind, *lines)
    ends = frozenset(name for name, node in graph.nodes.items() if node.kind in ("Input", "Output"))
    return Picture(title, boxes, tuple(graph.edges), ends)


def svg(picture: Picture) -> str:
    """The picture as an SVG document. Raises NetworkError when it is too large to be looked at."""
    sizes = {name: _size(name, lines) for name, lines in picture.boxes.items()}
    layout = layered(sizes, picture.edges, _GAP, _SPACE)
    loops = any(source == target for source, target in layout.ways)
    width = layout.width + 2 * _MARGIN + (_LOOP if loops else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{layout.height + 2 * _MARGIN:.0f}" '
        f'viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {layout.height + 2 * _MARGIN:.0f}">',
        f"<title>{_text(picture.title)}</title>",
        *([f"<desc>{_text(picture.note, 200)}</desc>"] if picture.note else []),
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#51657a"/></marker></defs>',
        *(_edge(edge, layout, sizes) for edge in layout.ways),
        *(_box(name, layout.centres[name], sizes[name], picture) for name in picture.boxes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _layer_lines(layer: Layer, shape: str) -> tuple[str, ...]:
    synapse, neuron = layer.synapse, layer.neuron
    kind = type(synapse).__name__
    if isinstance(synapse, Conv2d):
        kind += f" {synapse.kernel[0]}x{synapse.kernel[1]}"
        kind += f" / {synapse.stride[0]}x{synapse.stride[1]}" if synapse.stride != (1, 1) else ""
        kind += f", {synapse.groups} groups" if synapse.groups > 1 else ""
    elif isinstance(synapse, Pool):
        kind += f" {synapse.kernel[0]}x{synapse.kernel[1]} / {synapse.stride[0]}x{synapse.stride[1]}"
    elif isinstance(synapse, Dense) and synapse.delay.any():
        kind += f", delays up to {int(synapse.delay.max())}"
    elif isinstance(synapse, Upsample):
        kind += f" {synapse.factor[0]}x{synapse.factor[1]}{' with zeros' if synapse.zeros else ''}"
    elif isinstance(synapse, Correlation):
        kind += f", gain {synapse.gain}"
    said = [kind]
    if isinstance(neuron, (LIF, Delta, SigmaDelta)):
        said.append(f"{type(neuron).__name__} {neuron.threshold}")
    elif neuron is not None:
        said.append("read-out" if isinstance(neuron, Accumulator) else type(neuron).__name__)
    return (*said, shape)


def _shape_of(value: object) -> str:
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= 4 and value.dtype.kind in "iu":
        return "x".join(map(str, value.tolist()))
    return "x".join(map(str, np.shape(value))) or str(value)  # type: ignore[arg-type]


def _size(name: str, lines: tuple[str, ...]) -> Place:
    longest = max(len(_cut(line)) for line in (name, *lines))
    return longest * _CHARACTER + 2 * _PADDING, (len(lines) + 1) * _LINE + 2 * _PADDING - 4


def _box(name: str, centre: Place, size: Place, picture: Picture) -> str:
    left, top = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    rows = [
        f'<text x="{centre[0]:.1f}" y="{top + _PADDING + _FONT - 2 + index * _LINE:.1f}"'
        f"{' class=' + chr(34) + 'name' + chr(34) if index == 0 else ''}>{_text(line)}</text>"
        for index, line in enumerate((name, *picture.boxes[name]))
    ]
    kind = "node end" if name in picture.ends else "node"
    frame = f'<rect x="{left:.1f}" y="{top:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" rx="4"/>'
    return f'<g class="{kind}"><title>{_text(name, 400)}</title>{frame}{"".join(rows)}</g>'


def _edge(edge: Edge, layout: Layout, sizes: Mapping[str, Place]) -> str:
    source, target = edge
    title = f"<title>{_text(f'{source} to {target}', 800)}</title>"
    (x, y), (wide, high) = layout.centres[source], sizes[source]
    if source == target:
        right = x + wide / 2
        out, start, end = right + _LOOP, y + high / 4, y - high / 4
        way = (
            f"M{right:.1f} {start:.1f}C{out:.1f} {y + high / 2:.1f} {out:.1f} {y - high / 2:.1f} {right:.1f} {end:.1f}"
        )
        return f'<path class="edge back" d="{way}">{title}</path>'
    points = list(layout.ways[edge])
    turn = -1 if edge in layout.back else 1
    # Beside the edge that it may lie on: two nodes that read each other.
    aside = _ASIDE if edge in layout.back else 0
    points[0] = (x + aside, y + turn * high / 2)
    below = layout.centres[target]
    points[-1] = (below[0] + aside, below[1] - turn * sizes[target][1] / 2)
    way = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (a, b), (c, d) in pairwise(points):
        middle = (b + d) / 2
        way += f"C{a:.1f} {middle:.1f} {c:.1f} {middle:.1f} {c:.1f} {d:.1f}"
    return f'<path class="edge{" back" if turn < 0 else ""}" d="{way}">{title}</path>'


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _text(text: str, longest: int = _LONGEST) -> str:
    """``text`` in XML; signs that XML cannot hold are shown by their numbers, or as a question mark."""
    allowed = re.sub("[\ufffe\uffff]", "?", shown(text))
    return escape(_cut(allowed, longest), {'"': "&quot;"})
