"""The front holds what no other candidate beats, and nothing else."""

import numpy as np
import pytest

from pipeline.experiments.dse.front import front, least


def _dominates(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("objectives", "values"), [(1, 5), (2, 4), (3, 3), (4, 4), (2, 1000)])
def test_the_front_is_what_comparing_all_with_all_leaves(objectives, values):
    rng = np.random.default_rng(objectives * values)
    for _ in range(20):
        costs = rng.integers(values, size=(25, objectives)).astype(np.float64)  # many are equal
        expected = [not any(_dominates(other, row) for other in costs.tolist()) for row in costs.tolist()]
        assert least(costs).tolist() == expected


def test_more_accuracy_and_less_of_the_rest_are_better():
    rows = [
        {"mean_iou": 0.6, "energy": 2.0},
        {"mean_iou": 0.7, "energy": 2.0},
        {"mean_iou": 0.5, "energy": 1.0},
        {"mean_iou": 0.5, "energy": 1.5},
        {"mean_iou": 0.7, "energy": 2.0},
    ]
    assert front(rows, ["mean_iou", "energy"]) == [1, 2, 4]


def test_what_has_no_figure_cannot_be_weighed():
    rows = [{"agreement": 0.9, "cores": None}, {"agreement": 0.8, "cores": 4.0}, {"agreement": None, "cores": 1.0}]
    assert front(rows, ["agreement", "cores"]) == [1]
    assert front(rows[:1], ["agreement", "cores"]) == []
    assert front([], ["agreement", "cores"]) == []
