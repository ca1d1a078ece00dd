"""What trainings have logged by step, as curves short enough to draw."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOG = "log.jsonl"

MOST_POINTS = 300
"""Of a curve; of longer ones every second, third, ... point is kept, and the last."""

_TAIL = 1 << 16
"""Bytes at the end of a log in which its last line is looked for."""

Curve = list[tuple[int, float]]


def logs(folder: Path) -> dict[str, Path]:
    """The logs of a run's trainings by their folder within it: its own, a deployment's, or those of pruned stages."""
    files = [folder / LOG, *sorted(folder.glob(f"*/{LOG}"))]
    return {path.parent.relative_to(folder).as_posix(): path for path in files if path.is_file()}


def curves(log: Path) -> dict[str, Curve]:
    """By name, the points (step, value) of a log; lines that are cut off and values that are no finite number are left
    out."""
    found: dict[str, Curve] = {}
    for step, values in _lines(log.read_text(encoding="utf-8", errors="replace")):
        for name, value in values.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                found.setdefault(name, []).append((step, float(value)))
    return {name: _thinned(curve) for name, curve in found.items()}


def last_step(log: Path) -> int:
    """The last step that a log tells of; 0 where it tells of none."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        text = file.read().decode("utf-8", "replace")
    return max((step for step, _ in _lines(text)), default=0)


def _lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict) and type(step := values.pop("step", None)) is int:
            yield step, values


def _thinned(curve: Curve) -> Curve:
    step = -(-len(curve) // MOST_POINTS)
    return curve if step <= 1 else [*curve[:-1:step], curve[-1]]
