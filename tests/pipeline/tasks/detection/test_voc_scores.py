"""Pascal VOC's average precision and confusions, against loops over single boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pipeline.datasets.detection import DetectionSet
from pipeline.tasks.detection.metrics.matching import confusion, voc_curve
from pipeline.tasks.detection.metrics.scores import drawn
from pipeline.tasks.detection.predictions import Detections

Objects = Callable[..., DetectionSet]
Answers = Callable[..., dict[int, Detections]]
Box = tuple[float, ...]

BOX, FAR, FARTHER = (0, 0, 100, 100), (300, 300, 100, 100), (600, 600, 100, 100)


def shared(one: Box, other: Box) -> float:
    """Intersection over union of two boxes of corners."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)


def plain(pictures: DetectionSet, found: dict[int, Detections], label: int) -> tuple[float, float]:
    """The challenge's rules read literally: by eleven points, and by all."""
    detections = [
        (-float(answer.scores[i]), picture.id, tuple(answer.boxes[i].tolist()))
        for picture in pictures.pictures
        for answer in [found[picture.id]]
        for i in range(len(answer))
        if answer.classes[i] == label
    ]
    detections.sort(key=lambda one: one[0])
    truth = {
        p.id: [
            (tuple(b), bool(d)) for b, c, d in zip(p.boxes.tolist(), p.classes, p.difficult, strict=True) if c == label
        ]
        for p in pictures.pictures
    }
    positives = sum(not difficult for things in truth.values() for _, difficult in things)
    taken, right, wrong, points = set(), 0, 0, []
    for _, picture, box in detections:
        best, which = 0.0, None
        for number, (other, _) in enumerate(truth[picture]):
            if shared(box, other) > best:
                best, which = shared(box, other), number
        if best > 0.5 and which is not None and truth[picture][which][1]:
            continue
        if best > 0.5 and (picture, which) not in taken:
            taken.add((picture, which))
            right += 1
        else:
            wrong += 1
        points.append((right / positives, right / (right + wrong)))
    eleven = sum(max([p for r, p in points if r >= t * 0.1], default=0.0) for t in range(11)) / 11
    area, before = 0.0, 0.0
    for number, (recall, _) in enumerate(points):
        area += (recall - before) * max(p for _, p in points[number:])
        before = recall
    return eleven, area


def cases(objects: Objects, answers: Answers) -> Iterator[tuple[DetectionSet, dict[int, Detections]]]:
    for seed in range(15):
        random = np.random.default_rng(seed)
        count = int(random.integers(10, 30))
        truth = np.column_stack(
            [random.integers(1, 6, count), random.integers(0, 3, count), random.uniform(0, 300, (count, 2)),
             random.uniform(20, 200, (count, 2))]
        )  # fmt: skip
        near = truth[random.integers(0, count, 3 * count)]
        near[:, 2:] += random.normal(0, 8, (3 * count, 4))
        near[:, 4:] = np.maximum(near[:, 4:], 5)
        near[:, 1] = np.where(random.random(3 * count) < 0.2, random.integers(0, 3, 3 * count), near[:, 1])
        rows = np.column_stack([near, random.integers(1, 20, 3 * count) / 20])
        difficult = np.flatnonzero(random.random(count) < 0.2)
        yield objects(*truth, pictures=5, difficult=difficult), answers(*rows, pictures=5)


def test_both_average_precisions_are_a_plain_loops(objects: Objects, answers: Answers) -> None:
    compared = 0
    for pictures, found in cases(objects, answers):
        for label in range(3):
            curve = voc_curve(pictures, found, label)
            if curve.objects:
                expected = plain(pictures, found, label)
                assert (curve.eleven_point(), curve.all_point()) == pytest.approx(expected, abs=1e-12)
                compared += 0 < expected[0] < 1
    assert compared > 30


@pytest.mark.parametrize(("sides", "expected"), [(50, 0.0), (51, 1.0)])
def test_voc_wants_more_than_half(objects: Objects, answers: Answers, sides: int, expected: float) -> None:
    curve = voc_curve(objects((1, 0, *BOX)), answers((1, 0, 0, 0, 100, sides, 0.9)), 0)
    assert (curve.eleven_point(), curve.all_point()) == (expected, expected)


def test_eleven_points_all_points_and_cocos_101_are_three_scores(objects: Objects, answers: Answers) -> None:
    """One of three objects is found, after one mistake: precision 1/2 up to a recall of 1/3."""
    pictures = objects((1, 0, *BOX), (1, 0, *FAR), (1, 0, *FARTHER))
    found = answers((1, 0, 0, 300, 100, 100, 0.9), (1, 0, *BOX, 0.8))
    curve = voc_curve(pictures, found, 0)
    assert curve.eleven_point() == pytest.approx(4 / 11 / 2), "at 0, .1, .2, .3"
    assert curve.all_point() == pytest.approx(1 / 3 / 2)
    assert drawn(pictures, found, 0.1).precisions["a"].mean() == pytest.approx(34 / 101 / 2), "at 0, .01, ... .33"


def test_three_of_ten_are_less_than_the_eleven_points_third_step(objects: Objects, answers: Answers) -> None:
    """3 times .1 is more than .3 in double precision; the kit and its successors all count so."""
    boxes = [(1, 0, 100 * i, 0, 50, 50) for i in range(10)]
    for count, points in ((2, 3), (3, 3), (4, 5), (6, 6), (7, 7), (8, 9)):
        curve = voc_curve(objects(*boxes), answers(*((*box, 0.9) for box in boxes[:count])), 0)
        assert curve.eleven_point() == pytest.approx(points / 11)
        assert curve.all_point() == pytest.approx(count / 10)


def test_a_second_detection_of_an_object_is_wrong_and_of_a_difficult_one_is_not(
    objects: Objects, answers: Answers
) -> None:
    pictures = objects((1, 0, *BOX), (1, 0, *FAR), difficult=[1])
    twice = answers((1, 0, *BOX, 0.9), (1, 0, *BOX, 0.8), (1, 0, *FAR, 0.7), (1, 0, *FAR, 0.6))
    curve = voc_curve(pictures, twice, 0)
    assert (curve.precision.tolist(), curve.recall.tolist(), curve.objects) == ([1, 0.5], [1, 1], 1)


def test_a_detection_whose_best_object_is_taken_does_not_take_the_next(objects: Objects, answers: Answers) -> None:
    """VOC looks at the best overlap alone, where COCO takes the best that is free."""
    pictures = objects((1, 0, *BOX), (1, 0, 0, 30, 100, 100))
    found = answers((1, 0, *BOX, 0.9), (1, 0, 0, 5, 100, 100, 0.8))
    assert voc_curve(pictures, found, 0).precision.tolist() == [1, 0.5]
    assert drawn(pictures, found, 0.1).precisions["a"].tolist() == [1.0] * 101


def test_confusions_count_every_object_once_and_every_mistake(objects: Objects, answers: Answers) -> None:
    pictures = objects((1, 0, *BOX), (1, 1, *FAR), (1, 2, *FARTHER), (1, 2, 0, 600, 50, 50), crowd=[2], difficult=[3])
    found = answers(
        (1, 0, *BOX, 0.9),  # right
        (1, 0, *BOX, 0.8),  # again
        (1, 2, *FAR, 0.9),  # b, called c
        (1, 1, *FARTHER, 0.9),  # a crowd
        (1, 1, 0, 600, 50, 50, 0.9),  # a difficult object
        (1, 1, *FAR, 0.2),  # below the score that counts
        (1, 1, 900, 0, 50, 50, 0.5),  # nothing is there
    )
    table = confusion(pictures, found, least=0.3)
    assert table.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]]
    missed = confusion(pictures, answers(), least=0.3)
    assert missed[:, 3].tolist() == [1, 1, 0, 0]
    assert missed[:, :3].sum() == 0


def test_rows_of_confusions_add_up_to_the_objects(objects: Objects, answers: Answers) -> None:
    for pictures, found in cases(objects, answers):
        table = confusion(pictures, found, least=0.5)
        expected = np.zeros(3, int)
        for picture in pictures.pictures:
            np.add.at(expected, picture.classes[~picture.difficult], 1)
        assert table[:3].sum(axis=1).tolist() == expected.tolist()
        assert table[:, :3].sum() <= sum(int((answer.scores >= 0.5).sum()) for answer in found.values())
