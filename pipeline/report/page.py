"""report.html: one page that holds all it shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from pipeline.report import plots
from pipeline.report.drawing import FLOAT, INTEGER, TRUTH
from pipeline.report.figures import Figures
from pipeline.report.pictures import MAX_CHANNELS, boxed_frame, png, spike_tiles
from pipeline.report.template import filled

_FOLDER = Path(__file__).parent
_STRIP_SEQUENCES, _STRIP_FRAMES = 3, 6


def render(report: Mapping[str, Any], figures: Figures, gif: bytes) -> str:
    """The page as HTML. ``report`` fits the schema; ``gif`` is the animation of ``figures``."""
    filters = {
        "number": number,
        "joules": joules,
        "seconds": seconds,
        "pretty": lambda value: json.dumps(value, indent=2),
    }
    values = {
        "report": report,
        "colours": {"truth": TRUTH, "float": FLOAT, "integer": INTEGER, "blue": plots.BLUE, "orange": plots.ORANGE},
        "animation": _uri(gif, "gif"),
        "plots": _plots(report, figures),
        "strips": _strips(figures),
        "crops": {"template": _picture(figures.template), "search": _picture(figures.search)},
        "tiles": _tiles(figures),
        "chips": {name: Markup(svg) for name, svg in figures.chips.items()},
        "fronts": figures.fronts,
        "compared": _compared(report["verification"]["layers"]),
        "shown_sequences": min(len(figures.sequences), plots.MAX_SEQUENCES),
    }
    return filled(_FOLDER, filters, values)


def number(value: float) -> str:
    """A count for people: ``1,234,567``; fractions with as many digits as tell something."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.3g}"


def joules(value: float) -> str:
    """An energy with its prefix: ``1.23 µJ``."""
    return _with_prefix(value, "J")


def seconds(value: float) -> str:
    """A time with its prefix: ``1.23 µs``."""
    return _with_prefix(value, "s")


def _with_prefix(value: float, unit: str) -> str:
    for prefix, factor in (("", 1.0), ("m", 1e-3), ("µ", 1e-6), ("n", 1e-9)):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value / 1e-12:.3g} p{unit}"


def _compared(layers: Sequence[Mapping[str, Any]]) -> int | None:
    """Values compared in all layers; None where one does not say."""
    return sum(layer["values"] for layer in layers) if all("values" in layer for layer in layers) else None


def _plots(report: Mapping[str, Any], figures: Figures) -> dict[str, Any]:
    energy = report["energy"]
    by_layer = {
        name: Markup(plots.energy_layers(name, row["layers"])) for name, row in energy.items() if row.get("layers")
    }
    return {
        "overlap": Markup(plots.overlap(figures.sequences)),
        "headroom": Markup(plots.headroom(report["headroom"])) if report["headroom"] else "",
        "activity": Markup(plots.activity(report["activity"]["layers"])) if report["activity"]["layers"] else "",
        "energy": Markup(plots.energy_totals(energy)) if energy else "",
        "energy_layers": by_layer,
        "planning": {name: _planning_plots(name, plan) for name, plan in report.get("planning", {}).items()},
    }


def _planning_plots(name: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Energy by layer and by unit; nothing where there is none to show."""
    if not plan["joules"]["dynamic"]:
        return {}
    layers = {layer["name"]: layer["joules"] for layer in plan["layers"]}
    units = {unit: joules for unit, joules in plan["joules"]["units"].items() if joules["high"] > 0}
    return {
        "layers": Markup(plots.energy_layers(f"planning-layers-{name}", layers)),
        "units": Markup(plots.energy_layers(f"planning-units-{name}", units)),
    }


def _strips(figures: Figures) -> list[dict[str, Any]]:
    """Evenly spaced frames of the first sequences."""
    strips = []
    for sequence in figures.sequences[:_STRIP_SEQUENCES]:
        chosen = np.unique(np.linspace(0, len(sequence.frames) - 1, _STRIP_FRAMES).round().astype(int)).tolist()
        frames = [
            {
                "frame": frame,
                "float": float(sequence.float_iou[frame]),
                "integer": float(sequence.integer_iou[frame]),
                "uri": _uri(png(boxed_frame(sequence, frame).quantize(192)), "png"),
            }
            for frame in chosen
        ]
        strips.append({"name": sequence.name, "frames": frames})
    return strips


def _tiles(figures: Figures) -> list[dict[str, Any]]:
    tiles = []
    for name, spikes in figures.spikes.items():
        picture = spike_tiles(spikes)
        tiles.append(
            {
                "name": name,
                "shape": spikes.shape,
                "share": float(np.count_nonzero(spikes)) / spikes.size,
                "shown": min(spikes.shape[0], MAX_CHANNELS),
                "width": picture.width,
                "uri": _uri(png(picture), "png"),
            }
        )
    return tiles


def _picture(pixels: Any) -> str:
    return _uri(png(Image.fromarray(pixels)), "png")


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
