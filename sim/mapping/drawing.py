"""The chip as a picture: every core in the colour of its layer, filled as far as what binds it is used."""

from __future__ import annotations

from html import escape
from itertools import groupby

from netx.foreign import shown
from sim.hardware import Mesh
from sim.mapping.result import Core, LayerCores, Mapping

_CORE, _GAP, _MARGIN, _LINE = 26, 6, 14, 18
"""Pixels: side of a core, space between tiles, around everything, height of a line of the legend."""
_LETTER = 7
"""Pixels that a letter of the legend takes at the most, on average."""
_GOLDEN_ANGLE = 137.508
"""Degrees between the hues of consecutive layers: neighbours stay far apart however many there are."""


def chip_svg(mapping: Mapping, mesh: Mesh) -> str:
    """An SVG of the chips that are used, side by side, with a legend of the layers; a core says in its tooltip what it
    holds."""
    side = _tile_side(mesh)
    tile = side * _CORE + _GAP
    chip = mesh.columns * tile + 2 * _GAP
    a_chip = mesh.columns * mesh.rows * mesh.cores_per_tile
    chips = max(mapping.placement, default=0) // a_chip + 1
    legend = [_legend(layer) for layer in mapping.layers]
    column = 18 + _MARGIN + _LETTER * max(map(len, legend), default=0)
    width = max(chips * (chip + _MARGIN) + _MARGIN, column + _MARGIN, _LETTER * len(_headline(mapping)))
    lines = -(-len(legend) // ((width - _MARGIN) // column))
    top = _MARGIN + _LINE
    below = top + mesh.rows * tile + 2 * _GAP + _LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {below + (lines + 1) * _LINE}" '
        'font-family="sans-serif" font-size="12" role="img" fill="currentColor">',
        f"<title>{escape(shown(_headline(mapping)))}</title>",
        f'<text x="{_MARGIN}" y="{_MARGIN + 4}">{escape(shown(_headline(mapping)))}</text>',
    ]
    here = {
        site: (number, core) for number, (site, core) in enumerate(zip(mapping.placement, mapping.cores, strict=True))
    }
    hues = {layer.name: index * _GOLDEN_ANGLE % 360 for index, layer in enumerate(mapping.layers)}
    for site in range(chips * a_chip):
        place, inside = divmod(site % a_chip, mesh.cores_per_tile)
        x = _MARGIN + site // a_chip * (chip + _MARGIN) + place % mesh.columns * tile + inside % side * _CORE
        y = top + place // mesh.columns * tile + inside // side * _CORE
        parts.append(_drawn_core(x, y, *here[site], hues) if site in here else _drawn_empty(x, y))
    for index, (layer, text) in enumerate(zip(mapping.layers, legend, strict=True)):
        x, y = _MARGIN + index // lines * column, below + (index % lines) * _LINE
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="hsl({hues[layer.name]:.0f} 60% 50%)"/>')
        parts.append(f'<text x="{x + 18}" y="{y + 10}">{escape(shown(text))}</text>')
    return "\n".join([*parts, "</svg>", ""])


def describe_box(core: Core) -> str:
    """Which neurons a core holds, in words: channels, rows and columns from 0, ends included."""
    named = core.box._asdict().items()
    return ", ".join(f"{axis} {span.low}..{span.high - 1}" for axis, span in named)


def _tile_side(mesh: Mesh) -> int:
    side = 1
    while side * side < mesh.cores_per_tile:
        side += 1
    return side


def _legend(layer: LayerCores) -> str:
    cores, name = len(layer.cores), shown(layer.name, longest=40)
    return f"{name}: {cores} core{'' if cores == 1 else 's'}, bound by {layer.binding.replace('_', ' ')}"


def _headline(mapping: Mapping) -> str:
    counts = [f"{len(mapping.cores)} cores on {mapping.chips} x {mapping.chip}"]
    for rule, broken in groupby(sorted(violation.rule for violation in mapping.violations)):
        times = len(list(broken))
        counts.append(f"{rule} violated {'once' if times == 1 else f'{times} times'}")
    return "; ".join(counts)


def _drawn_core(x: int, y: int, number: int, core: Core, hues: dict[str, float]) -> str:
    size, filled = _CORE - 2, min(core.utilisation, 1) * (_CORE - 2)
    colour = f"hsl({hues[core.layer]:.0f} 60% 50%)"
    tip = (
        f"core {number}: {core.layer}, {describe_box(core)}; {core.neurons} neurons, {core.synapse_words} words of "
        f"synapses, {core.axons_in} axons in, {core.axons_out} out; {core.utilisation:.0%} of {core.binding}"
    )
    return (
        f"<g><title>{escape(tip)}</title>"
        f'<rect x="{x}" y="{y}" width="{size}" height="{size}" rx="3" fill="{colour}" fill-opacity="0.25" '
        f'stroke="{colour}"/>'
        f'<rect x="{x}" y="{y + size - filled:.1f}" width="{size}" height="{filled:.1f}" rx="3" fill="{colour}"/></g>'
    )


def _drawn_empty(x: int, y: int) -> str:
    size = _CORE - 2
    shape = f'x="{x}" y="{y}" width="{size}" height="{size}" rx="3"'
    return f'<rect {shape} fill="none" stroke="#8a8f98" stroke-opacity="0.4"/>'
