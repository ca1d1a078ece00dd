"""Plots of the report as inline SVG. Ink takes the colour of the page's text, for light and dark schemes alike."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import TICKDOWN, MarkerStyle
from matplotlib.ticker import EngFormatter, Locator, NullLocator

from netx.foreign import shown

BLUE, ORANGE, GREEN, GREY = "#3b8fc4", "#e07000", "#0b9e78", "#8a8f98"
"""After Okabe and Ito (Color universal design, 2008), shifted to be readable on white and on black."""

INK = "#010203"
"""Stands for the page's text colour until the SVG is written: no plot has this colour otherwise."""
_WIDTH = 5.2
_POINTS = 72
"""Of an inch, in which SVG is written whatever the figure has."""
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
}


def headroom(rows: Sequence[Mapping[str, Any]]) -> str:
    """Worst case, largest observed value and limit of every layer's accumulator, logarithmic."""

    def draw(figure: Figure) -> None:
        ax = row_axes(figure, [row["layer"] for row in rows])
        places = range(len(rows))
        worst = [row["worst_case"] for row in rows]
        limit = max(row["limit"] for row in rows)
        ax.barh(
            places, worst, color=[BLUE if row["worst_case"] <= row["limit"] else ORANGE for row in rows], alpha=0.75
        )
        ax.plot([row["observed"] for row in rows], places, "D", color=INK, markersize=5)
        ax.vlines([row["limit"] for row in rows], np.array(places) - 0.5, np.array(places) + 0.5, color=ORANGE, lw=2)
        ax.set(xscale="log", xlim=(1, max(limit, *worst) * 2), xlabel="magnitude (weight units)")

    return svg("headroom", _height(rows), draw)


def activity(rows: Sequence[Mapping[str, Any]]) -> str:
    """Operations of every layer per frame: synaptic operations, of which effective, and multiply-accumulates."""

    def draw(figure: Figure) -> None:
        ax = row_axes(figure, [row["name"] for row in rows])
        places = range(len(rows))
        effective = [row["effective_synops"] for row in rows]
        ax.barh(places, effective, color=BLUE, label="synops, weight not zero")
        rest = [row["synops"] - row["effective_synops"] for row in rows]
        ax.barh(places, rest, left=effective, color=BLUE, alpha=0.4, label="synops, weight zero")
        ax.barh(places, [row["macs"] for row in rows], color=ORANGE, label="multiply-accumulates")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.set_xlabel("operations per frame")
        figure.legend(loc="outside upper center", ncols=2)

    return svg("activity", _height(rows) + 0.3, draw)


def energy_totals(energies: Mapping[str, Mapping[str, Any]]) -> str:
    """Range and typical energy of a frame under every profile, logarithmic; a square where there is an ANN's."""

    def draw(figure: Figure) -> None:
        ax = row_axes(figure, list(energies))
        _ranges(ax, [row["joules_per_frame"] for row in energies.values()])
        conventional = [
            (row["ann_joules_per_frame"]["typical"], place)
            for place, row in enumerate(energies.values())
            if row.get("ann_joules_per_frame")
        ]
        for joules, place in conventional:
            ax.plot(joules, place, "s", color=ORANGE, markersize=7, fillstyle="none", markeredgewidth=1.8)

    return svg("energy", _height(energies), draw)


def energy_layers(name: str, layers: Mapping[str, Mapping[str, float]]) -> str:
    """Range and typical energy of every layer per frame under one profile, logarithmic."""

    def draw(figure: Figure) -> None:
        _ranges(row_axes(figure, list(layers)), list(layers.values()))

    return svg(f"energy-{name}", _height(layers), draw)


def _ranges(ax: Axes, estimates: Sequence[Mapping[str, float]]) -> None:
    # A logarithm has no zero: an estimate of nothing is not drawn.
    floor = min((v for row in estimates for v in row.values() if v > 0), default=1e-12)
    drawn = [(place, row) for place, row in enumerate(estimates) if row["high"] > 0]
    low, high = [max(row["low"], floor) for _, row in drawn], [row["high"] for _, row in drawn]
    ax.hlines([place for place, _ in drawn], low, high, BLUE, linewidth=7, alpha=0.45, capstyle="projecting")
    typical = [(row["typical"], place) for place, row in drawn if row["typical"] > 0]
    ax.plot([value for value, _ in typical], [place for _, place in typical], "o", color=BLUE, markersize=8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(EngFormatter(unit="J"))
    ax.set_xlabel("joules per frame")


def row_axes(figure: Figure, names: Sequence[str]) -> Axes:
    """Axes with a row for each of ``names``, from above."""
    ax = figure.subplots()
    ax.set_yticks(range(len(names)), [shown(name) for name in names], parse_math=False)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=INK, alpha=0.15)
    ax.set_axisbelow(True)
    return ax


def _height(rows: Sequence[Any] | Mapping[str, Any]) -> float:
    return 0.75 + 0.3 * len(rows)


def svg(name: str, height: float, draw: Callable[[Figure], None]) -> str:
    """The drawing as an SVG element that fits its place on the page, and is the same every time."""
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(_WIDTH, height), dpi=_POINTS, layout="constrained")
        canvas = FigureCanvasSVG(figure)
        draw(figure)
        _lay_out(figure)
        file = io.StringIO()
        canvas.print_svg(file, metadata={"Date": None})
    return _inline(file.getvalue(), name)


def _lay_out(figure: Figure) -> None:
    """Give everything its place; ``Figure.savefig`` would draw all of it once for that alone."""
    dense = {ax: ax.xaxis.get_minor_locator() for ax in figure.axes if _has_bare_minor_ticks(ax)}
    for ax in dense:
        ax.xaxis.set_minor_locator(NullLocator())
    engine = figure.get_layout_engine()
    assert engine is not None, "figures are made with one"
    engine.execute(figure)
    figure.set_layout_engine("none")
    for ax, locator in dense.items():
        ax.add_artist(_minor_ticks(ax, locator))


def _has_bare_minor_ticks(ax: Axes) -> bool:
    """Whether the horizontal axis is a logarithmic one of more than a decade: matplotlib labels shorter ones between
    the powers of ten, too."""
    low, high = sorted(ax.get_xlim())
    return ax.get_xscale() == "log" and high > 10 * low


def _minor_ticks(ax: Axes, locator: Locator) -> Line2D:
    """All at once: matplotlib's own are three lines and two texts each, and there are up to a hundred of them."""
    locator.set_axis(ax.xaxis)
    low, high = sorted(ax.get_xlim())
    places = [place for place in locator() if low <= place <= high]
    return Line2D(
        places,
        [0] * len(places),
        linestyle="none",
        marker=MarkerStyle(TICKDOWN),
        markersize=matplotlib.rcParams["xtick.minor.size"],
        markeredgewidth=matplotlib.rcParams["xtick.minor.width"],
        color=INK,
        transform=ax.get_xaxis_transform(),
        clip_on=False,
    )


def _inline(svg: str, name: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    # Identifiers of several plots share one page.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    return svg.replace(INK, "currentColor")
