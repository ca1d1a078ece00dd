"""What COCO's evaluation does that one would not expect: each trap of docs/detection.md, with its figures by hand.

The figures are those measured with pycocotools 2.0.11, faster-coco-eval 1.8.0 and hotcoco 1.3.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.datasets.detection import DetectionSet
from pipeline.tasks.detection.metrics.coco import IOU_THRESHOLDS, evaluate_coco
from pipeline.tasks.detection.metrics.scores import scores
from pipeline.tasks.detection.predictions import Detections

Objects = Callable[..., DetectionSet]
Answers = Callable[..., dict[int, Detections]]

BOX = 0, 0, 100, 100
FAR = 300, 300, 100, 100
FARTHER = 600, 600, 100, 100


def of_a(pictures: DetectionSet, found: dict[int, Detections], key: str = "map") -> Any:
    """A score of the class a."""
    return scores(pictures, found)["per_class"]["a"][key]


def test_a_single_object_found_is_one_but_for_the_last_bit(objects: Objects, answers: Answers) -> None:
    assert of_a(objects((1, 0, *BOX)), answers((1, 0, *BOX, 0.9))) == 0.9999999999999998
    two = objects((1, 0, *BOX), (1, 0, *FAR))
    assert of_a(two, answers((1, 0, *BOX, 0.9), (1, 0, *FAR, 0.8))) == 1.0


def test_a_class_without_objects_is_left_out_and_one_without_detections_is_zero(
    objects: Objects, answers: Answers
) -> None:
    """Class b is never found, class c does not occur, and what is found of it costs nothing."""
    pictures = objects((1, 0, *BOX), (1, 1, *FAR))
    got = scores(pictures, answers((1, 0, *BOX, 0.9), (1, 2, *FARTHER, 0.99)))
    assert [got["per_class"][name]["map"] for name in "abc"] == [pytest.approx(1.0), 0.0, None]
    assert got["map"] == pytest.approx(0.5)
    assert (got["per_class"]["c"]["voc07"], got["per_class"]["b"]["voc"], got["voc"]) == (None, 0.0, 0.5)


def test_nothing_found_at_all_is_zero(objects: Objects, answers: Answers) -> None:
    """pycocotools' loadRes raises IndexError here."""
    got = scores(objects((1, 0, *BOX)), answers())
    assert (got["map"], got["map50"], got["mar100"], got["voc07"], got["map_small"]) == (0.0, 0.0, 0.0, 0.0, None)


def test_no_object_at_all_is_no_score(objects: Objects, answers: Answers) -> None:
    got = scores(objects(), answers((1, 0, *BOX, 0.9)))
    assert {got[key] for key in ("map", "map50", "map75", "mar100", "voc07", "voc")} == {None}


@pytest.mark.parametrize(("score", "expected"), [(0.95, 0.5), (0.5, 1.0)])
def test_a_picture_without_objects_counts(objects: Objects, answers: Answers, score: float, expected: float) -> None:
    """What is found there is wrong: it halves the precision where it is surer than what is right."""
    pictures = objects((1, 0, *BOX), pictures=2)
    found = answers((1, 0, *BOX, 0.9), (2, 0, *BOX, score), pictures=2)
    assert of_a(pictures, found) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [(50, 0.1), (55, 0.2), (60, 0.3), (75, 0.6), (80, 0.7), (85, 0.8), (90, 0.9), (95, 1.0)],
)
def test_an_overlap_equal_to_the_threshold_counts(
    objects: Objects, answers: Answers, sides: int, expected: float
) -> None:
    """torchmetrics' float32 thresholds miss 55, 60, 80 and 85 by one each."""
    found = answers((1, 0, 0, 0, 100, sides, 0.9))
    assert of_a(objects((1, 0, *BOX)), found) == pytest.approx(expected)


def test_thresholds_are_of_double_precision(objects: Objects, answers: Answers) -> None:
    result = evaluate_coco(objects((1, 0, *BOX)), answers((1, 0, 0, 0, 100, 55, 0.9)))
    assert IOU_THRESHOLDS[1] == 0.55
    hits = result.precision[:, 0, 0, 0, -1] > 0.5
    assert hits.tolist() == [True, True, *[False] * 8]


@pytest.mark.parametrize(("picture", "expected"), [(1, 1.0), (2, 0.5)])
def test_equal_scores_go_by_picture(objects: Objects, answers: Answers, picture: int, expected: float) -> None:
    pictures = objects((picture, 0, *BOX), pictures=2)
    rows = [(1, 0, *BOX, 0.9), (2, 0, *BOX, 0.9)]
    assert of_a(pictures, answers(*rows, pictures=2)) == pytest.approx(expected)
    back = dict(reversed(answers(*rows, pictures=2).items()))
    assert of_a(pictures, back) == pytest.approx(expected), "whatever the order of the answers"


def test_ids_may_be_longer_than_a_double_holds(objects: Objects, answers: Answers) -> None:
    """They are numbers of 64 bits in many files; in a table of doubles 2**60 and 2**60 + 1 are the same picture."""
    pictures = objects((1, 0, *BOX), (2, 0, *FAR), pictures=2)
    longer = {1: 2**60, 2: 2**60 + 1}
    found = answers((1, 0, *BOX, 0.9), (2, 0, *FAR, 0.9), pictures=2)
    renamed = replace(pictures, pictures=tuple(replace(p, id=longer[p.id]) for p in pictures.pictures))
    assert of_a(renamed, {longer[key]: answer for key, answer in found.items()}) == of_a(pictures, found) == 1.0


def test_equal_scores_in_a_picture_go_by_their_order(objects: Objects, answers: Answers) -> None:
    pictures, right, wrong = objects((1, 0, *BOX)), (1, 0, *BOX, 0.9), (1, 0, *FAR, 0.9)
    assert of_a(pictures, answers(right, wrong)) == pytest.approx(1.0)
    assert of_a(pictures, answers(wrong, right)) == pytest.approx(0.5)


@pytest.mark.parametrize(("inside", "expected"), [(50, 0.55), (49, 0.5), (95, 1.0)])
def test_a_crowd_overlaps_by_the_share_of_the_detection(
    objects: Objects, answers: Answers, inside: int, expected: float
) -> None:
    """Of a detection of 100 x 100 so many columns lie in the crowd: ignored up to that threshold, wrong above it; the
    other detection is right. By hand: half at as many thresholds as are above."""
    pictures = objects((1, 0, 0, 0, 400, 400), (1, 0, *FARTHER), crowd=[0])
    found = answers((1, 0, 400 - inside, 0, 100, 100, 0.95), (1, 0, *FARTHER, 0.9))
    assert of_a(pictures, found) == pytest.approx(expected)


def test_any_number_may_fall_into_a_crowd_and_an_object_comes_first(objects: Objects, answers: Answers) -> None:
    pictures = objects((1, 0, 0, 0, 400, 400), (1, 0, *BOX), crowd=[0])
    inside = [(1, 0, 30 * i, 200, 50, 50, 0.99) for i in range(5)]
    # The last overlaps the crowd by all of itself, and the object by .8.
    assert of_a(pictures, answers(*inside, (1, 0, 0, 0, 100, 80, 0.5)), "map75") == pytest.approx(1.0)


def test_a_class_of_crowds_alone_has_no_score(objects: Objects, answers: Answers) -> None:
    pictures = objects((1, 0, *BOX), crowd=[0])
    assert of_a(pictures, answers((1, 0, *BOX, 0.9))) is None
    assert of_a(pictures, answers((1, 0, *BOX, 0.9)), "objects") == 0


def test_a_difficult_object_is_neither_found_nor_missed(objects: Objects, answers: Answers) -> None:
    """COCO's ``ignore`` would be overwritten by ``iscrowd`` in every library; an area beyond all ranges is not."""
    pictures = objects((1, 0, *BOX), (1, 0, *FAR), difficult=[1])
    right = (1, 0, *BOX, 0.9)
    for found in (answers(right), answers(right, (1, 0, *FAR, 0.95))):
        assert of_a(pictures, found) == pytest.approx(1.0)
        assert of_a(pictures, found, "voc07") == of_a(pictures, found, "voc") == 1.0
    # It is no crowd: a quarter of it is a mistake.
    assert of_a(pictures, answers(right, (1, 0, 300, 300, 50, 50, 0.95))) == pytest.approx(0.5)


def test_ranges_of_area_share_their_bounds_and_the_files_area_decides(objects: Objects, answers: Answers) -> None:
    """32 x 32 is small and medium, 96 x 96 medium and large; the third is as large as its outline, not its box."""
    boxes = [(1, 0, 0, 0, 32, 32), (1, 0, 200, 0, 96, 96), (1, 0, 400, 0, 100, 100)]
    pictures = objects(*boxes, areas={2: 1000.0})
    for index, ranges in ((0, {"small", "medium"}), (1, {"medium", "large"}), (2, {"small"})):
        got = scores(pictures, answers((*boxes[index], 0.9)))
        assert {area for area in ("small", "medium", "large") if got[f"map_{area}"]} == ranges


def test_pictures_without_an_answer_do_not_count(objects: Objects, answers: Answers) -> None:
    """A picture that could not be read costs nothing; one in which nothing was found does."""
    pictures = objects((1, 0, *BOX), (2, 0, *BOX), pictures=2)
    found = answers((1, 0, *BOX, 0.9), pictures=2)
    assert of_a(pictures, found) == pytest.approx(51 / 101), "recalls 0 to .50 of 101"
    del found[2]
    got = scores(pictures, found)
    assert (got["map"], got["images"], got["objects"]) == (pytest.approx(1.0), 1, 1)


def test_a_curve_has_101_points(objects: Objects, answers: Answers) -> None:
    pictures = objects((1, 0, *BOX), (1, 0, *FAR))
    found = answers((1, 0, *BOX, 0.9), (1, 0, *FARTHER, 0.8), (1, 0, *FAR, 0.7))
    curve = evaluate_coco(pictures, found).curve(0)
    assert curve is not None
    # Half is found before the mistake, the rest at two of three.
    np.testing.assert_allclose(curve, [1.0] * 51 + [2 / 3] * 50)
    assert evaluate_coco(pictures, found).curve(1) is None
