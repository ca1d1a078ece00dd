"""Plots of a study, as inline SVG in the report's style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.report.plots import BLUE, GREEN, GREY, INK, ORANGE, row_axes, svg
from pipeline.training.logs import SPEED

Points = Sequence[tuple[int, float]]
"""(step, value)."""

_COLUMNS = 2
_COLOURS = (BLUE, ORANGE, GREEN, GREY)
_SMOOTHED = 40
"""Parts that a curve of losses is averaged in: single batches are noisy."""
_MARKED = 12
"""Curves of fewer points show each of them."""


def curves(name: str, logs: Mapping[str, Mapping[str, Points]]) -> str:
    """Losses and validation of one run: a panel for each name that was logged, a line for each seed.

    logs: by seed, then by name.
    """
    names = sorted({logged for log in logs.values() for logged in log if logged not in ("rate", SPEED)})
    rows = max(math.ceil(len(names) / _COLUMNS), 1)

    def draw(figure: Figure) -> None:
        axes = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
        for ax in axes[len(names) :]:
            ax.set_axis_off()
        for ax, logged in zip(axes, names, strict=False):
            for index, (seed, log) in enumerate(logs.items()):
                steps, values = _averaged(log.get(logged, ()))
                mark = "o" if len(steps) < _MARKED else ""  # a single point makes no line
                ax.plot(steps, values, mark + "-", color=_COLOURS[index % len(_COLOURS)], ms=3, lw=1.2, label=seed)
            ax.set_title(logged, loc="left", fontsize=9)
            ax.grid(axis="y", color=INK, alpha=0.15)
        if names and len(logs) > 1:
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(logs))

    return svg(f"curves-{name}", 0.4 + 1.5 * rows, draw)


def scores(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], still: float | None, score: str) -> str:
    """A score of every model: a bar for each form, a line from the smallest to the largest seed, a dot for the mean.

    rows: by model, then by form, spreads. still: that of an answer that never changes. score: what it is called.
    """

    def draw(figure: Figure) -> None:
        ax = row_axes(figure, list(rows))
        for place, forms in enumerate(rows.values()):
            for index, (form, spread) in enumerate(forms.items()):
                at = place + (index - (len(forms) - 1) / 2) * 0.36
                colour = {"float": BLUE, "integer": ORANGE}[form]
                ax.barh(at, spread["mean"], 0.32, color=colour, alpha=0.6)
                ax.plot([spread["min"], spread["max"]], [at, at], color=INK, linewidth=1.6)
                ax.plot(spread["mean"], at, "o", color=INK, markersize=3.5)
        if still is not None:
            ax.axvline(still, color=GREY, linestyle=":", linewidth=1.8)
        ax.set(xlim=(0, 1), xlabel=score)

    return svg("scores", 0.75 + 0.5 * len(rows), draw)


def energies(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Joules a frame of every model with both scopes. rows: by model, then by scope."""

    def draw(figure: Figure) -> None:
        ax = row_axes(figure, list(rows))
        for place, scopes in enumerate(rows.values()):
            for index, (scope, joules) in enumerate(scopes.items()):
                colour = {"backbone": GREEN, "full": GREY}[scope]
                ax.barh(place + (index - 0.5) * 0.36, joules * 1e6, 0.32, color=colour, alpha=0.8)
        ax.set_xlabel("energy of a frame, µJ")

    return svg("energies", 0.75 + 0.5 * len(rows), draw)


def parts(
    shown: Mapping[str, Mapping[str, Mapping[str, Any]]],
    names: Sequence[str],
    still: Mapping[str, float] | None,
    score: str,
) -> str:
    """A score of every sequence, or class: a dot a model with its range over the seeds, a line for what never changes.

    shown: by model, then by part, spreads. names: of the parts. still: by part. score: what it is called.
    """

    def draw(figure: Figure) -> None:
        ax = row_axes(figure, names)
        for place, value in enumerate((still or {}).values()):
            ax.plot([value] * 2, [place - 0.4, place + 0.4], color=GREY, linestyle=":", linewidth=2)
        for index, (label, rows) in enumerate(shown.items()):
            colour, mark = _COLOURS[index % 3], "osDv^"[index // 3 % 5]
            offset = (index - (len(shown) - 1) / 2) * 0.7 / max(len(shown), 1)
            for place, name in enumerate(names):
                if name in rows:
                    row = rows[name]
                    ax.plot([row["min"], row["max"]], [place + offset] * 2, color=colour, linewidth=1.4)
                    ax.plot(row["mean"], place + offset, mark, color=colour, markersize=4.5, label=label)
        handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
        ax.set(xlim=(0, 1), xlabel=score)

    return svg("parts", 1.2 + 0.16 * math.ceil(len(shown) / 3) + 0.12 * len(names) * (2 + len(shown)), draw)


def _averaged(points: Points) -> tuple[list[float], list[float]]:
    """Neighbouring points averaged where there are many."""
    parts = np.array_split(np.array(points, dtype=np.float64).reshape(-1, 2), min(max(len(points), 1), _SMOOTHED))
    means = [part.mean(axis=0) for part in parts if len(part)]
    return [float(step) for step, _ in means], [float(value) for _, value in means]
