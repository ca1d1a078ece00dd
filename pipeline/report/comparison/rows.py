"""What runs have in common, and what differs, as tables with a column for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.comparison.read import FinishedRun
from pipeline.report.page import joules, seconds
from pipeline.report.template import number

NONE = "–"
"""Stands where a run has no such figure."""


@dataclass(frozen=True)
class Cell:
    """A figure of one run. share: of the largest in its row, 0 to 1, None where that says nothing."""

    text: str
    share: float | None = None


@dataclass(frozen=True)
class Table:
    """title: of the section. about: what is to be known of it. rows: label and a cell for each run."""

    anchor: str
    title: str
    about: str
    rows: Sequence[tuple[str, Sequence[Cell]]]


def tables(runs: Sequence[FinishedRun]) -> list[Table]:
    """All tables that have a row."""
    reports = [run.report for run in runs]
    found = [
        Table(
            "accuracy", "Accuracy", "On each run's own samples: compare where the data are the same.", _scores(reports)
        ),
        Table("size", "Network and work", "Means over the frames of each run.", _work(reports)),
        Table(
            "spiking", "Spiking neurons by layer", "Share of a layer's neurons that spike on a frame.", _rates(reports)
        ),
        Table(
            "energy",
            "Energy of a frame",
            "Typical dynamic energy by published tables. Tables cover different things: compare within a row.",
            _energies(reports),
        ),
        Table("chips", "Chips", "The network that runs at every frame, as it was placed.", _chips(reports)),
        Table("time", "Seconds by stage", "Wall-clock time of each run, on its own machine.", _stages(reports)),
        Table("settings", "Settings that differ", "Of the configurations; all others are the same.", _settings(runs)),
        Table(
            "versions", "Versions that differ", "Of packages and system.", _differing([r["versions"] for r in reports])
        ),
    ]
    return [table for table in found if table.rows]


Row = tuple[str, Sequence[Cell]]
Get = Callable[[Mapping[str, Any]], float | None]


def _row(label: str, reports: Sequence[Mapping[str, Any]], get: Get, say: Callable[[float], str]) -> list[Row]:
    """One row; none where no run has the figure. Bars are drawn where no figure is negative."""
    values = [get(report) for report in reports]
    there = [value for value in values if value is not None]
    if not there:
        return []
    most = max(there) if min(there) >= 0 else 0
    return [
        (label, [Cell(NONE) if value is None else Cell(say(value), value / most if most else None) for value in values])
    ]


def _scores(reports: Sequence[Mapping[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    for form in _union(report["accuracy"] for report in reports):
        of_form = [report["accuracy"].get(form) for report in reports]
        if not any(isinstance(scores, dict) for scores in of_form):
            rows += _row(form, reports, lambda report, form=form: report["accuracy"].get(form), number)  # type: ignore[misc]
            continue
        for metric in _union(scores for scores in of_form if isinstance(scores, dict)):

            def get(report: Mapping[str, Any], form: str = form, metric: str = metric) -> float | None:
                scores = report["accuracy"].get(form)
                return scores.get(metric) if isinstance(scores, dict) else None

            rows += _row(f"{metric}, {form}".replace("_", " "), reports, get, "{:.4f}".format)
    return rows


def _work(reports: Sequence[Mapping[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    for key in ("layers", "neurons", "synapses", "parameters"):
        rows += _row(key, reports, lambda report, key=key: report["network"][key], number)  # type: ignore[misc]
    for key in ("spikes", "synops", "effective_synops", "macs", "dense_macs", "neuron_updates"):
        label = f"{key} a frame".replace("_", " ")
        rows += _row(label, reports, lambda r, key=key: r["activity"].get(f"{key}_per_frame"), number)  # type: ignore[misc]
    used = lambda report: max((row["worst_case"] / row["limit"] for row in report["headroom"]), default=None)  # noqa: E731
    return rows + _row("fullest accumulator, worst case", reports, used, "{:.1%}".format)


def _rates(reports: Sequence[Mapping[str, Any]]) -> list[Row]:
    by_layer = [
        {row["name"]: row["spikes"] / row["neurons"] for row in report["activity"]["layers"]} for report in reports
    ]
    rows: list[Row] = []
    for layer in _union(by_layer):
        rates = [rates.get(layer) for rates in by_layer]
        if any(rates):
            cells = [Cell(NONE) if rate is None else Cell(f"{rate:.1%}", min(rate, 1.0)) for rate in rates]
            rows.append((layer, cells))
    return rows


def _energies(reports: Sequence[Mapping[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    for table in _union(report["energy"] for report in reports):
        title = next(r["energy"][table].get("title", table) for r in reports if table in r["energy"])
        for label, key in ((title, "joules_per_frame"), (f"{title}, same network not spiking", "ann_joules_per_frame")):

            def get(report: Mapping[str, Any], table: str = table, key: str = key) -> float | None:
                found = (report["energy"].get(table) or {}).get(key)
                return None if found is None else found["typical"]

            rows += _row(label, reports, get, joules)
    return rows


def _chips(reports: Sequence[Mapping[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    for chip in _union(report.get("planning", {}) for report in reports):
        plans = [report.get("planning", {}).get(chip) for report in reports]
        fits = [NONE if plan is None else "yes" if plan["fits"] else "no" for plan in plans]
        rows.append((f"{chip}: fits", [Cell(text) for text in fits]))
        for label, get, say in _PLANNED:

            def of_chip(report: Mapping[str, Any], chip: str = chip, get: Get = get) -> float | None:
                plan = report.get("planning", {}).get(chip)
                return None if plan is None else get(plan)

            rows += _row(f"{chip}: {label}", reports, of_chip, say)
    return rows


def _typical(estimates: Mapping[str, Any] | None) -> float | None:
    return None if not estimates else estimates["typical"]


_PLANNED: tuple[tuple[str, Get, Callable[[float], str]], ...] = (
    ("cores", lambda plan: plan["cores"], number),
    ("energy of a frame", lambda plan: _typical(plan["joules"]["dynamic"]), joules),
    ("answered after", lambda plan: _typical((plan.get("seconds") or {}).get("latency")), seconds),
)


def _stages(reports: Sequence[Mapping[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    for stage in _union(report["seconds"] for report in reports):
        rows += _row(stage, reports, lambda report, stage=stage: report["seconds"].get(stage), "{:.1f}".format)  # type: ignore[misc]
    return rows


def _settings(runs: Sequence[FinishedRun]) -> list[Row]:
    flat = [dict(_flat(run.report["config"], "")) for run in runs]
    return _differing([{key: value for key, value in values.items() if key != "name"} for values in flat])


def _flat(value: Any, name: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _differing(values: Sequence[Mapping[str, str]]) -> list[Row]:
    return [
        (key, [Cell(one.get(key, NONE)) for one in values])
        for key in _union(values)
        if len({one.get(key) for one in values}) > 1
    ]


def _union(names: Iterable[Iterable[str]]) -> list[str]:
    """All names, in the order in which they first come."""
    return list(dict.fromkeys(name for some in names for name in some))
