"""report.html: one page that holds all it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image

from pipeline.report import plots
from pipeline.report.figures import Figures, SpikeFrame
from pipeline.report.pictures import MAX_CHANNELS, png, spike_tiles, uri
from pipeline.report.template import filled

_FOLDER = Path(__file__).parent


def render(report: Mapping[str, Any], figures: Figures) -> str:
    """The page as HTML. ``report`` fits the schema."""
    values = {
        "report": report,
        "headline": figures.headline,
        "sections": [
            {
                "anchor": one.anchor,
                "title": one.title,
                "navigation": one.navigation or one.title,
                "html": Markup(one.html),
            }
            for one in figures.sections
        ],
        "colours": {"blue": plots.BLUE, "orange": plots.ORANGE},
        "plots": _plots(report),
        "pictures": {name: _picture(pixels) for one in figures.spikes for name, pixels in one.pictures.items()},
        "tiles": [tile for one in figures.spikes for tile in _tiles(one)],
        "chips": {name: Markup(svg) for name, svg in figures.chips.items()},
        "fronts": figures.fronts,
        "compared": _compared(report["verification"]["layers"]),
    }
    return filled(_FOLDER, {"joules": joules, "seconds": seconds, "pretty": _pretty}, values)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2)


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


def _plots(report: Mapping[str, Any]) -> dict[str, Any]:
    energy = report["energy"]
    by_layer = {
        name: Markup(plots.energy_layers(name, row["layers"])) for name, row in energy.items() if row.get("layers")
    }
    return {
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


def _tiles(frame: SpikeFrame) -> Iterator[dict[str, Any]]:
    for name, spikes in frame.spikes.items():
        picture = spike_tiles(spikes)
        yield {
            "name": name,
            "shape": spikes.shape,
            "share": float(np.count_nonzero(spikes)) / spikes.size,
            "shown": min(spikes.shape[0], MAX_CHANNELS),
            "width": picture.width,
            "uri": uri(png(picture), "png"),
        }


def _picture(pixels: npt.NDArray[np.uint8]) -> str:
    return uri(png(Image.fromarray(pixels)), "png")
