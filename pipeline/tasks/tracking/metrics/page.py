"""The scores as one self-contained page, in the report's style."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from pipeline.report import plots
from pipeline.report.template import filled

_FOLDER = Path(__file__).parent

_AXES = {
    "success": "overlap threshold",
    "precision": "centre error threshold, pixels",
    "normalised_precision": "centre error threshold, sizes of the object",
}


def render(summary: Mapping[str, Any]) -> str:
    """The page as HTML. ``summary`` fits ``schema.json``; the page holds all it shows."""
    columns = columns_of(summary)
    values = {
        "summary": summary,
        "single_frame": summary.get("single_frame", summary.get("looks")),  # as earlier releases called it
        "columns": columns,
        "plots": {name: Markup(_curve_plot(name, curve)) for name, curve in (summary["curves"] or {}).items()},
    }
    return filled(_FOLDER, {"score": score, "label": label}, values)


def columns_of(summary: Mapping[str, Any]) -> list[str]:
    """Keys of the sequences' rows that hold something, in one order for screen and page."""
    rows = summary["sequences"].values()
    return [key for key in next(iter(rows)) if any(row[key] is not None for row in rows)]


def label(key: str) -> str:
    """A key of the summary in words."""
    return {"mean_iou": "mean IoU", "fps": "frames/s"}.get(key, key.replace("_", " "))


def score(value: float | None) -> str:
    """A value for people: three digits after the point of a share, none of a count or a speed."""
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) and value < 10 else f"{value:,.0f}"


def _curve_plot(name: str, curve: Mapping[str, list[float]]) -> str:
    """Share of frames that pass each threshold, as inline SVG."""

    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        ax.plot(curve["thresholds"], curve["values"], color=plots.BLUE, linewidth=2.2)
        ax.set(xlabel=_AXES[name], ylabel="share of frames", ylim=(0, 1.02), xlim=(0, curve["thresholds"][-1]))
        ax.grid(color=plots.INK, alpha=0.15)

    return plots.svg(name, 3.0, draw)
