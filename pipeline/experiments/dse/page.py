"""The results of a search as one self-contained page, in the report's style."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.experiments.dse import plots, table
from pipeline.report.figures import ChipFront
from pipeline.report.template import filled

_FOLDER = Path(__file__).parent


def render(results: Mapping[str, Any]) -> str:
    """The page as HTML; it holds all it shows."""
    built = _built(results)
    values = {
        "results": results,
        "objectives": table.headings(results["config"]["objectives"]),
        "chips": chip_fronts(results),
        "front": table.page_rows([row for row in built if row["number"] in results["front"]]),
        "candidates": table.page_rows(built),
        "refused": [(table.in_words(row), row["reason"]) for row in results["candidates"] if row["reason"] is not None],
        "everything": json.dumps(results["config"], indent=1),
    }
    return filled(_FOLDER, {}, values)


def chip_fronts(results: Mapping[str, Any]) -> tuple[ChipFront, ...]:
    """The front on each chip of a search, to be shown."""
    return tuple(_chip_front(results, name) for name in results["chips"])


def _chip_front(results: Mapping[str, Any], name: str) -> ChipFront:
    objectives, best = (results["fronts"][name][key] for key in ("objectives", "candidates"))
    rows = [row for row in _built(results) if row["chip"] == name]
    return ChipFront(
        name=name,
        title=results["chips"][name]["title"],
        source=results["chips"][name]["source"],
        objectives=table.headings(objectives),
        missing=table.headings([one for one in results["config"]["objectives"] if one not in objectives]),
        plot=Markup(plots.pareto(f"pareto-{name}", rows, best, objectives)),
        rows=table.page_rows([row for row in rows if row["number"] in best]),
        built=len(rows),
    )


def _built(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in results["candidates"] if row["reason"] is None]
