"""Energy as S4-KD reckons it: teacher, multi-step student and its single-step successor in one table.

``E = 4.6 pJ * multiply-accumulates + 0.9 pJ * synops`` (``pipeline.planning.literature_energy``), and
the same in 8-bit integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PUBLISHED = 0.346
"""Energy of S4-KD over that of its multi-step parent, Spiking SiamFC++: Neural Networks 188:107478 (2025), abstract,
which does not say what of the tracker it counts."""

_COLUMNS = (("backbone", "fp32"), ("full", "fp32"), ("backbone", "int8"), ("full", "int8"))


def accounting_rows(models: Mapping[str, Mapping[str, Any]], goals: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A block for each goal of energy over that of several time steps, with a header; empty where a study has none, or
    not yet its models.

    models, goals: as in a study's results and configuration. The teacher is the first model without time steps.
    """
    rows: list[list[str]] = []
    teacher = next((label for label, model in models.items() if model["time_steps"] is None), None)
    for goal in goals:
        if goal["kind"] != "energy" or not {goal["of"], goal["to"]} <= set(models):
            continue
        if (models[goal["to"]]["time_steps"] or 1) == 1:  # no parent of several time steps
            continue
        several, single = (_energies(models[goal[key]]) for key in ("to", "of"))
        if teacher is not None:
            rows.append([f"{teacher}, real-valued", *map(_joules, _energies(models[teacher]))])
        rows.append([f"{goal['to']}, several time steps", *map(_joules, several)])
        rows.append([f"{goal['of']}, one time step", *map(_joules, single)])
        if teacher is not None:
            rows.append([f"{goal['of']} over {teacher}", *_shares(single, _energies(models[teacher]))])
        rows.append([f"{goal['of']} over {goal['to']}", *_shares(single, several)])
    if not rows:
        return []
    header = ["energy of a frame", *(f"{scope}, {arithmetic}" for scope, arithmetic in _COLUMNS)]
    published = ["S4-KD over its parent, as published", f"{PUBLISHED:.1%}", f"{PUBLISHED:.1%}", "–", "–"]
    return [header, *rows, published]


def _energies(model: Mapping[str, Any]) -> list[float]:
    return [model["summary"]["energy"][scope][arithmetic]["mean"] for scope, arithmetic in _COLUMNS]


def _joules(value: float) -> str:
    return f"{value * 1e6:.1f} µJ"


def _shares(part: Sequence[float], whole: Sequence[float]) -> list[str]:
    return [f"{a / b:.1%}" if b else "–" for a, b in zip(part, whole, strict=True)]
