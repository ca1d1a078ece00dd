"""The results of a study as one self-contained page, in the report's style."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.experiments.study import plots, tables
from pipeline.experiments.study.accounting import accounting_rows
from pipeline.report.template import filled

_FOLDER = Path(__file__).parent

Logs = Mapping[str, Mapping[str, plots.Points]]
"""What every training logged: by its name, ``RUN, seed N``, then by the logged name."""


def render(results: tables.Results, logs: Logs) -> str:
    """The page as HTML; it holds all it shows."""
    values = {
        "results": results,
        "verdicts": tables.VERDICTS,
        "benchmarks": [_benchmark(results, name) for name in results["benchmarks"]],
        "costs": tables.cost_rows(results),
        "accounting": accounting_rows(results["models"], results["config"]["goals"]),
        "accounting_words": tables.ACCOUNTING,
        "ablation_words": tables.ABLATION,
        "energies": Markup(plots.energies(_energies(results))) if results["models"] else "",
        "curves": _curves(logs),
        "everything": json.dumps(results["config"], indent=1),
    }
    return filled(_FOLDER, {}, values)


def _benchmark(results: tables.Results, name: str) -> dict[str, Any]:
    models, still = results["models"], results["fixed"].get(name)
    by_form = {label: model["summary"]["scores"].get(name, {}) for label, model in models.items()}
    means = {label: {e: s["mean_iou"] for e, s in forms.items()} for label, forms in by_form.items() if forms}
    followed = {label: (f.get("integer") or f["float"])["sequences"] for label, f in by_form.items() if f}
    return {
        "name": name,
        "words": tables.benchmark_words(results, name),
        "scores": tables.score_rows(results, name),
        "ablation": tables.ablation_rows(results, name),
        "plot": Markup(plots.scores(means, still and still["mean_iou"])) if means else "",
        "sequences": Markup(plots.sequences(followed, still["sequences"])) if followed and still else "",
        "sequence_rows": tables.sequence_rows(results, name),
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
