"""Plots of a search, as inline SVG in the report's style."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from pipeline.experiments.dse.config import BETTER, Objective
from pipeline.report.plots import BLUE, GREY, INK, svg

Rows = Sequence[Mapping[str, Any]]

_UNITS = {"energy": "J", "latency": "s"}
_LABELS = {"mean_iou": "mean IoU", "agreement": "agreement", "energy": "energy of a frame", "latency": "time to answer"}
_MARKS = "osD^vP*X"
_NUMBERED = 14
"""Best candidates of which each has its number beside it."""


def pareto(name: str, rows: Rows, best: Collection[int], objectives: Sequence[Objective]) -> str:
    """What candidates are worth over what they cost: a panel for each cost; the best ones filled and numbered.

    rows: candidates that could be built, of one chip. best: numbers of those on the front, which is of all objectives
    together: in a single panel another one may lie above. Nothing where no cost is known.
    """
    worths = [one for one in objectives if BETTER[one] == "more"]
    costs = [one for one in objectives if BETTER[one] == "less"]
    if not worths or not costs or not rows:
        return ""
    models = list(dict.fromkeys(row["model"] for row in rows))

    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(costs), len(worths), squeeze=False)
        for line, cost in zip(axes, costs, strict=True):
            for ax, worth in zip(line, worths, strict=True):
                _points(ax, rows, models, best, (cost, worth))
        if len(models) > 1:
            figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3)

    return svg(name, 0.3 + 2.3 * len(costs), draw)


def _points(
    ax: Axes, rows: Rows, models: Sequence[str], best: Collection[int], axes: tuple[Objective, Objective]
) -> None:
    x, y = axes
    known = [row for row in rows if None not in (row[x], row[y])]
    # The best ones last, which is on top.
    for on_front in (False, True):
        for index, model in enumerate(models):
            there = [row for row in known if row["model"] == model and (row["number"] in best) == on_front]
            ax.plot(
                [row[x] for row in there],
                [row[y] for row in there],
                _MARKS[index % len(_MARKS)],
                color=BLUE if on_front else GREY,
                fillstyle="full" if on_front else "none",
                label=model if on_front else None,
                markersize=6,
            )
    for row in known if len(best) <= _NUMBERED else ():
        if row["number"] in best:
            ax.annotate(str(row["number"]), (row[x], row[y]), (4, 4), textcoords="offset points", fontsize=8)
    if x in _UNITS:
        ax.xaxis.set_major_formatter(EngFormatter(unit=_UNITS[x]))
        ax.tick_params(axis="x", labelrotation=20)
    ax.set(xlabel=_LABELS.get(x, x), ylabel=_LABELS.get(y, y))
    ax.grid(color=INK, alpha=0.15)
