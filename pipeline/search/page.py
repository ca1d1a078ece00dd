"""The results of a search as one self-contained page, in the report's style."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.report.template import filled
from pipeline.search import plots, table

_FOLDER = Path(__file__).parent


def render(results: Mapping[str, Any]) -> str:
    """The page as HTML; it holds all it shows."""
    built = [row for row in results["candidates"] if row["reason"] is None]
    values = {
        "results": results,
        "chips": [_chip(results, built, name) for name in results["chips"]],
        "front": table.page_rows([row for row in built if row["number"] in results["front"]]),
        "candidates": table.page_rows(built),
        "refused": [(table.in_words(row), row["reason"]) for row in results["candidates"] if row["reason"] is not None],
        "everything": json.dumps(results["config"], indent=1),
    }
    return filled(_FOLDER, {}, values)


def _chip(results: Mapping[str, Any], built: list[Mapping[str, Any]], name: str) -> dict[str, Any]:
    one = results["fronts"][name]
    rows = [row for row in built if row["chip"] == name]
    best = [row for row in rows if row["number"] in one["candidates"]]
    return {
        "name": name,
        **results["chips"][name],
        "objectives": one["objectives"],
        "missing": [o for o in results["config"]["objectives"] if o not in one["objectives"]],
        "plot": Markup(plots.pareto(f"pareto-{name}", rows, one["candidates"], one["objectives"])),
        "rows": table.page_rows(best),
        "built": len(rows),
    }
