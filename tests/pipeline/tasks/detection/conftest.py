"""Data sets and answers from few numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.detection import DetectionSet, LabelledPicture
from pipeline.tasks.detection.predictions import Detections

Row = Sequence[float]
"""Of an object: picture, class, x, y, width, height. Of a detection: the score after them."""


@pytest.fixture(scope="session")
def objects() -> Callable[..., DetectionSet]:
    """A set of the classes a, b, c from rows of objects. pictures: how many, counted from 1; crowd, difficult: places
    in the rows; areas: by place, where it is not the box's."""

    def make(
        *rows: Row,
        pictures: int = 1,
        crowd: Sequence[int] = (),
        difficult: Sequence[int] = (),
        areas: dict[int, float] | None = None,
    ) -> DetectionSet:
        table = np.array(rows, dtype=np.float64).reshape(-1, 6)
        found = []
        for number in range(1, pictures + 1):
            places = np.flatnonzero(table[:, 0] == number)
            x, y, width, height = table[places, 2:].T
            own_areas = [
                (areas or {}).get(int(place), w * h) for place, w, h in zip(places, width, height, strict=True)
            ]
            found.append(
                LabelledPicture(
                    number,
                    Path(f"{number}.png"),
                    (1000, 1000),
                    np.stack([x, y, x + width, y + height], axis=1),
                    table[places, 1].astype(np.int64),
                    np.isin(places, difficult),
                    np.isin(places, crowd),
                    np.array(own_areas, dtype=np.float64),
                )
            )
        return DetectionSet(("a", "b", "c"), tuple(found))

    return make


@pytest.fixture(scope="session")
def answers() -> Callable[..., dict[int, Detections]]:
    """Answers to pictures counted from 1, from rows of detections."""

    def make(*rows: Row, pictures: int = 1) -> dict[int, Detections]:
        table = np.array(rows, dtype=np.float64).reshape(-1, 7)
        result = {}
        for number in range(1, pictures + 1):
            own = table[table[:, 0] == number]
            x, y, width, height = own[:, 2:6].T
            boxes = np.stack([x, y, x + width, y + height], axis=1)
            result[number] = Detections(boxes, own[:, 6], own[:, 1].astype(np.int64))
        return result

    return make
