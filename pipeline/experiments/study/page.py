"""The results of a study as one self-contained page, in the report's style."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from pipeline.core.judging import Judge
from pipeline.experiments.study import plots, tables
from pipeline.experiments.study.accounting import accounting_rows
from pipeline.report.template import filled

_FOLDER = Path(__file__).parent
_EMPHASISED = re.compile(r"\*(\w+)\*")
"""In Markdown."""

Logs = Mapping[str, Mapping[str, plots.Points]]
"""What every training logged: by its name, ``RUN, seed N``, then by the logged name."""


def render(results: tables.Results, judge: Judge, logs: Logs) -> str:
    """The page as HTML; it holds all it shows. judge: of the study's task."""
    values = {
        "results": results,
        "verdicts": tables.VERDICTS,
        "benchmarks": [_benchmark(results, judge, name) for name in results["benchmarks"]],
        "figure": judge.main.label,
        "parts": judge.parts.capitalize(),
        "part_title": tables.part_title(judge),
        "still": judge.still.words if judge.still else "",
        "cost_words": Markup(_EMPHASISED.sub(r"<em>\1</em>", str(escape(tables.cost_words(results, judge))))),
        "costs": tables.cost_rows(results),
        "accounting": accounting_rows(results["models"], results["config"]["goals"]),
        "accounting_words": tables.ACCOUNTING,
        "ablation_words": tables.ABLATION,
        "energies": Markup(plots.energies(_energies(results))) if results["models"] else "",
        "curves": _curves(logs),
        "everything": json.dumps(results["config"], indent=1),
    }
    return filled(_FOLDER, {}, values)


def _benchmark(results: tables.Results, judge: Judge, name: str) -> dict[str, Any]:
    models, still, main = results["models"], results["fixed"].get(name), judge.main
    by_form = {label: model["summary"]["scores"].get(name, {}) for label, model in models.items()}
    means = {label: {form: s[main.key] for form, s in f.items() if main.key in s} for label, f in by_form.items() if f}
    parts = tables.shown_parts(results, judge, name)
    rows = tables.part_rows(results, judge, name)
    drawn = plots.parts(parts, [row[0] for row in rows[1:]], still and still[judge.parts], main.label) if rows else ""
    return {
        "name": name,
        "words": tables.benchmark_words(results, judge, name),
        "scores": tables.score_rows(results, judge, name),
        "ablation": tables.ablation_rows(results, judge, name),
        "plot": Markup(plots.scores(means, still and still[main.key], main.label)) if means else "",
        "parts": Markup(drawn),
        "part_rows": rows,
    }


def _energies(results: tables.Results) -> dict[str, dict[str, float]]:
    return {
        label: {scope: by["fp32"]["mean"] for scope, by in model["summary"]["energy"].items()}
        for label, model in results["models"].items()
    }


def _curves(logs: Logs) -> dict[str, Markup]:
    """A plot for each run, whose lines are its seeds."""
    runs: dict[str, dict[str, Mapping[str, plots.Points]]] = {}
    for name, log in logs.items():
        run, seed = name.split(", ")
        if log:
            runs.setdefault(run, {})[seed] = log
    return {run: Markup(plots.curves(run, seeds)) for run, seeds in runs.items()}
