"""Plans as files: one JSON for all chips, and for each a CSV and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.core.files import json_text, write_text
from pipeline.planning.plan import Plan
from pipeline.planning.values import csv_text, plan_values
from sim.mapping.drawing import chip_svg


def save_plans(folder: Path, plans: Sequence[Plan]) -> None:
    """Write ``planning.json`` (values by chip), ``planning-CHIP.csv`` and ``planning-CHIP.svg`` into ``folder``."""
    write_text(folder / "planning.json", json_text({plan.mapping.chip: plan_values(plan) for plan in plans}))
    for plan in plans:
        write_text(folder / f"planning-{plan.mapping.chip}.csv", csv_text(plan))
        write_text(folder / f"planning-{plan.mapping.chip}.svg", plan_svg(plan))


def plan_svg(plan: Plan) -> str:
    """The chip as a picture."""
    mesh = plan.question.chip.mesh
    assert mesh is not None, "a plan is of a chip with a mesh"
    return chip_svg(plan.mapping, mesh)
