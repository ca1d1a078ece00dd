"""The Pareto front: the candidates that no other one beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.experiments.dse.config import BETTER, Objective


def front(rows: Sequence[Mapping[str, float | None]], objectives: Sequence[Objective]) -> list[int]:
    """Numbers of the rows that no other row dominates, in the order of the rows.

    A row dominates another when it is at least as good in every objective and better in one; of equal rows none does.
    A row without a figure for one of the objectives cannot be weighed and is left out.
    """
    weighed = [number for number, row in enumerate(rows) if all(row[name] is not None for name in objectives)]
    if not weighed:
        return []
    signs = np.array([-1.0 if BETTER[name] == "more" else 1.0 for name in objectives])
    figures = np.array([[rows[number][name] for name in objectives] for number in weighed], np.float64)
    return [weighed[index] for index in np.flatnonzero(least(figures * signs))]


def least(costs: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which rows of ``costs``, shape (row, objective), no other one dominates; less is better.

    In lexicographic order a row can only be dominated by one that comes before it, and then also by one of the front.
    """
    kept = np.zeros(len(costs), bool)
    found = np.empty((0, costs.shape[1]))
    for number in np.lexsort(costs.T[::-1]):
        row = costs[number]
        if not np.any(np.all(found <= row, axis=1) & np.any(found < row, axis=1)):
            kept[number] = True
            found = np.vstack([found, row])
    return kept
