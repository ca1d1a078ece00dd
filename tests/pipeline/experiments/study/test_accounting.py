"""The table of S4-KD's accounting."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.operations import LayerWork, Work
from pipeline.experiments.study.accounting import accounting_rows
from pipeline.planning.literature_energy import joules, twin_joules

ENERGY = {"kind": "energy", "of": "one", "to": "three", "at_most": 0.346}


def work(steps: int, first: float, synops: float, head: float) -> Work:
    """An encoder of ``first`` MACs a step, a backbone layer of ``synops`` in all, and a head of ``head`` MACs."""
    layers = (
        LayerWork("search_conv1", True, 10, 0.0, 0.0, first * steps, first),
        LayerWork("search_conv2", True, 10, 5.0, synops, 0.0, 40e6),
        LayerWork("head", False, 0, 0.0, 0.0, head, head),
    )
    return Work(steps, layers, first)


def model(made: Work, time_steps: int | None) -> dict[str, Any]:
    energy = {s: {a: {"mean": joules(made, s, a)} for a in ("fp32", "int8")} for s in ("backbone", "full")}
    return {"time_steps": time_steps, "summary": {"energy": energy}}


def models() -> dict[str, dict[str, Any]]:
    return {
        "teacher": model(work(1, 50e6, 0, 10e6), None),
        "three": model(work(3, 2e6, 30e6, 1e6), 3),
        "one": model(work(1, 2e6, 8e6, 1e6), 1),
    }


def test_first_layer_macs_and_synops_are_priced_by_the_published_rule_in_both_scopes_and_arithmetics() -> None:
    header, *rows = accounting_rows(models(), [ENERGY])
    assert header[1:] == ["backbone, fp32", "full, fp32", "backbone, int8", "full, int8"]
    found = {row[0]: row[1:] for row in rows}
    # 4.6 pJ x 2e6 + 0.9 pJ x 8e6, and 1e6 MACs of the head; 0.23 and 0.03 pJ in 8 bits
    assert found["one, one time step"] == ["16.4 µJ", "21.0 µJ", "0.7 µJ", "0.9 µJ"]
    # The encoder counts at each of three steps: 4.6 pJ x 6e6 + 0.9 pJ x 30e6
    assert found["three, several time steps"][:2] == ["54.6 µJ", "59.2 µJ"]
    assert found["teacher, real-valued"][:2] == ["230.0 µJ", "276.0 µJ"]
    assert found["one over three"][0] == f"{16.4 / 54.6:.1%}"
    assert found["one over teacher"][1] == f"{21.0 / 276:.1%}"
    assert found["S4-KD over its parent, as published"] == ["34.6%", "34.6%", "–", "–"]


def test_a_twin_multiplies_where_activations_are_numbers_and_adds_where_they_are_one_bit() -> None:
    made = work(3, 2e6, 30e6, 1e6)
    # 2, 40 and 1 million connections, once a frame; 0.23 pJ a multiply-accumulate, 0.03 pJ an addition
    assert twin_joules(made, "int8") == pytest.approx(9.89e-6)
    assert twin_joules(made, "binary") == pytest.approx((0.23 * 3e6 + 0.03 * 40e6) * 1e-12)


@pytest.mark.parametrize(
    "goals",
    [[], [{**ENERGY, "to": "missing"}], [{**ENERGY, "to": "teacher"}], [{"kind": "above", "of": "one", "to": "three"}]],
)
def test_without_a_goal_of_energy_or_its_models_there_is_no_table(goals: list[dict[str, Any]]) -> None:
    assert accounting_rows(models(), goals) == []
