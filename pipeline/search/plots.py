"""Plots of a search, as inline SVG in the report's style."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from pipeline.report.plots import BLUE, GREY, INK, svg
from pipeline.search.config import BETTER, Objective

_UNITS = {"energy": "J", "latency": "s"}
_LABELS = {"mean_iou": "mean IoU", "agreement": "agreement", "energy": "energy of a frame", "latency": "time to answer"}
_MARKS = "osD^vP*X"
_NUMBERED = 14
"""Best candidates of which each has its number beside it."""


def pareto(name: str, rows: Sequence[Mapping[str, Any]], best: Collection[int], objectives: Sequence[Objective]) -> str:
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
                for index, model in enumerate(models):
                    for front in (False, True):
                        there = [r for r in rows if r["model"] == model and (r["number"] in best) == front]
                        known = [(r[cost], r[worth]) for r in there if None not in (r[cost], r[worth])]
                        ax.plot(
                            *zip(*known, strict=True) if known else ([], []),
                            _MARKS[index % len(_MARKS)],
                            color=BLUE if front else GREY,
                            fillstyle="full" if front else "none",
                            label=model if front else None,
                            markersize=6,
                        )
                if len(best) <= _NUMBERED:
                    for row in rows:
                        if row["number"] in best and None not in (row[cost], row[worth]):
                            place = (row[cost], row[worth])
                            ax.annotate(str(row["number"]), place, (4, 4), textcoords="offset points", fontsize=8)
                if cost in _UNITS:
                    ax.xaxis.set_major_formatter(EngFormatter(unit=_UNITS[cost]))
                    ax.tick_params(axis="x", labelrotation=20)
                ax.set(xlabel=_LABELS.get(cost, cost), ylabel=_LABELS.get(worth, worth))
                ax.grid(color=INK, alpha=0.15)
        if len(models) > 1:
            figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3)

    return svg(name, 0.3 + 2.3 * len(costs), draw)
