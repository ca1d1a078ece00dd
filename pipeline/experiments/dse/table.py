"""The candidates of a search as rows of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

_SETTINGS = ("number", "model", "time_steps", "weight_bits", "thresholds", "encoder", "head", "chip")
_FIGURES = ("mean_iou", "agreement", "energy", "latency", "cores", "chips")
_RANGES = ("energy_range", "host_energy_range", "static_energy_range", "latency_range")
_ESTIMATES = ("low", "typical", "high")
_UNITS = {"energy": "J", "latency": "s"}

Row = Mapping[str, Any]


def csv_text(results: Mapping[str, Any]) -> str:
    """All candidates as CSV, energies in joules and times in seconds; a cell is empty where nothing is known."""
    file = io.StringIO()
    writer = csv.writer(file)
    ranged = [f"{name.removesuffix('_range')}_{estimate}" for name in _RANGES for estimate in _ESTIMATES]
    writer.writerow([*_SETTINGS, *_FIGURES, *ranged, "on_front", "on_front_of_chip", "reason"])
    overall = set(results["front"])
    by_chip = {number for one in results["fronts"].values() for number in one["candidates"]}
    for row in results["candidates"]:
        ranges = [value for name in _RANGES for value in row.get(name) or [None] * len(_ESTIMATES)]
        fronts = [int(row["number"] in overall), int(row["number"] in by_chip)]
        writer.writerow(
            [*(row[name] for name in _SETTINGS), *(row.get(n) for n in _FIGURES), *ranges, *fronts, row["reason"]]
        )
    return file.getvalue()


def page_rows(candidates: list[Row]) -> list[list[str]]:
    """Candidates for people: a head, and a row each; columns that say nothing of any of them are left out."""
    names = [name for name in (*_SETTINGS, *_FIGURES) if any(row.get(name) is not None for row in candidates)]
    return [[_heading(name) for name in names], *[[shown(name, row.get(name)) for name in names] for row in candidates]]


def shown(name: str, value: Any) -> str:
    """A setting or figure in words, with its unit."""
    if value is None:
        return "–"
    if name in _UNITS:
        # Imported here because matplotlib takes half a second, and few commands print a table.
        from matplotlib.ticker import EngFormatter

        return str(EngFormatter(unit=_UNITS[name], places=3)(value))
    if name in ("mean_iou", "agreement"):
        return f"{value:.3f}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def in_words(row: Row) -> str:
    """What a candidate is."""
    parts = [row["model"], f"{row['weight_bits']} bits", f"thresholds x {row['thresholds']:g}"]
    parts += [f"{part} on the host" for part in ("encoder", "head") if row[part] == "host"]
    return ", ".join([*parts, row["chip"]])


def lines(results: Mapping[str, Any]) -> list[str]:
    """The front of every chip, for the terminal."""
    by_number = {row["number"]: row for row in results["candidates"]}
    said = []
    for chip, one in results["fronts"].items():
        title = ", ".join(headings(one["objectives"])) or "nothing could be built"
        said.append(f"{chip}: best in {title}")
        for number in one["candidates"]:
            row = by_number[number]
            figures = ", ".join(f"{_heading(name)} {shown(name, row[name])}" for name in one["objectives"])
            said.append(f"  {number:4}  {in_words(row)}: {figures}")
    return said


def headings(names: Iterable[str]) -> tuple[str, ...]:
    """Settings, figures and objectives in words."""
    return tuple(map(_heading, names))


def _heading(name: str) -> str:
    return {"number": "no.", "mean_iou": "mean IoU", "time_steps": "T", "weight_bits": "weight bits"}.get(name, name)
