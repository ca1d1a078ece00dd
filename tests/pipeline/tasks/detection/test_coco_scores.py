"""COCO's average precision against pycocotools, bit by bit, on random pictures."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from netx.errors import MonospikeError
from pipeline.datasets.config import DetectionData
from pipeline.datasets.detection import DetectionSet, open_detection
from pipeline.tasks.detection.metrics.coco import evaluate_coco, rows_of, truth_of
from pipeline.tasks.detection.metrics.scores import scores
from pipeline.tasks.detection.predictions import NOTHING, Detections

Objects = Callable[..., DetectionSet]
Answers = Callable[..., dict[int, Detections]]


def oracle(pictures: DetectionSet, found: dict[int, Detections]) -> COCOeval:
    """What pycocotools makes of the same boxes."""
    truth = COCO()
    truth.dataset = truth_of(pictures, found)
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows_of(found)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def random_case(seed: int, objects: Objects, answers: Answers) -> tuple[DetectionSet, dict[int, Detections]]:
    """20 pictures of three classes: found boxes lie near true ones or anywhere, scores repeat, some are crowds, some
    difficult, sizes are of all ranges, and pictures may be without objects."""
    random = np.random.default_rng(seed)
    count = int(random.integers(40, 80))
    sizes = random.choice([8.0, 32, 40, 96, 200], (count, 2)) * random.choice([1.0, 0.7], (count, 2))
    boxes = np.concatenate([random.uniform(0, 700, (count, 2)).round(1), sizes], axis=1)
    who = np.stack([random.integers(1, 21, count), random.integers(0, 3, count)], axis=1)
    truth = np.concatenate([who, boxes], axis=1)
    near = truth[random.integers(0, count, 3 * count)]
    near[:, 2:] *= random.choice([1, 1, 0.97, 1.05, 0.8], (3 * count, 4))
    near[:, 1] = np.where(random.random(3 * count) < 0.2, random.integers(0, 3, 3 * count), near[:, 1])
    steps = 10 if seed % 2 else 10**6
    rows = np.concatenate([near, random.integers(1, steps, (3 * count, 1)) / steps], axis=1)
    flags = random.random(count)
    pictures = objects(
        *truth, pictures=20, crowd=np.flatnonzero(flags < 0.2), difficult=np.flatnonzero((flags > 0.2) & (flags < 0.3))
    )
    return pictures, answers(*rows, pictures=20)


@pytest.mark.parametrize("seed", range(12))
def test_every_bit_is_as_pycocotools_has_it(seed: int, objects: Objects, answers: Answers) -> None:
    pictures, found = random_case(seed, objects, answers)
    expected, result = oracle(pictures, found), evaluate_coco(pictures, found)
    assert np.array_equal(result.precision, expected.eval["precision"])
    assert np.array_equal(result.recall, expected.eval["recall"])
    got = scores(pictures, found)
    keys = ("map", "map50", "map75", "map_small", "map_medium", "map_large")
    assert [got[key] for key in keys] == expected.stats[:6].tolist()
    assert [result.average_recall(most) for most in (1, 10, 100)] == expected.stats[6:9].tolist()
    assert [result.average_recall(area=area) for area in ("small", "medium", "large")] == expected.stats[9:].tolist()
    for index, name in enumerate(pictures.classes):
        alone = expected.eval["precision"][:, :, index, 0, -1]
        assert got["per_class"][name]["map"] == np.mean(alone[alone > -1])


@pytest.mark.parametrize(("zero", "expected"), [(0, 76 / 101 * 3 / 4), (3, 76 / 101)])
def test_an_annotation_with_the_id_zero_is_lost_to_pycocotools_and_not_here(
    objects: Objects, answers: Answers, zero: int, expected: float
) -> None:
    """Trap 1: it counts as missed, and what found it as a mistake; surest or least sure of four."""
    boxes = [(1, 0, 200 * i, 0, 100, 100) for i in range(4)]
    pictures, found = objects(*boxes), answers(*((*box, 0.9 - 0.1 * i) for i, box in enumerate(boxes)))
    content = truth_of(pictures, found)
    content["annotations"][zero]["id"] = 0
    with mock.patch(f"{__name__}.truth_of", return_value=content):
        assert oracle(pictures, found).stats[0] == pytest.approx(expected)
    assert scores(pictures, found)["map"] == pytest.approx(1.0)


def test_more_than_100_detections_of_a_class_in_a_picture_are_cut_as_pycocotools_cuts_them(
    objects: Objects, answers: Answers
) -> None:
    """Trap 3: maxDets is 1, 10, 100. The true box is the 101st by its score, then the 100th."""
    pictures = objects((1, 0, 0, 0, 50, 50))
    far = [(1, 0, 500, 500, 50, 50, 0.9)] * 99
    for more, expected in ((1, 0.0), (0, 0.01)):  # by hand: one right of 100
        found = answers(*far, *far[:more], (1, 0, 0, 0, 50, 50, 0.5))
        assert scores(pictures, found)["map"] == pytest.approx(expected, abs=1e-12)
        assert scores(pictures, found)["map"] == oracle(pictures, found).stats[0]


def test_a_data_set_of_coco_scores_as_its_own_file_does(tmp_path: Path, objects: Objects, answers: Answers) -> None:
    """Ids with gaps, in any order, and areas of outlines: pycocotools reads the file itself."""
    pictures, found = random_case(3, objects, answers)
    content = truth_of(pictures, found)
    random = np.random.default_rng(0)
    for entry in content["images"]:
        entry["file_name"] = f"{entry['id']}.png"
        entry["id"] = 1000 - 7 * entry["id"]
    for entry in content["annotations"]:
        entry["id"] *= 3
        entry["image_id"] = 1000 - 7 * entry["image_id"]
        entry["category_id"] = {1: 90, 2: 17, 3: 44}[entry["category_id"]]
        entry["area"] *= random.uniform(0.5, 1)
    content["categories"] = [{"id": 90, "name": "a"}, {"id": 17, "name": "b"}, {"id": 44, "name": "c"}]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    from PIL import Image

    for entry in content["images"]:
        Image.new("1", (1000, 1000)).save(tmp_path / entry["file_name"])
    read = open_detection(DetectionData(root=str(tmp_path)))
    assert (read.classes, read.category_ids) == (("b", "c", "a"), (17, 44, 90))
    renamed = {
        1000 - 7 * key: Detections(a.boxes, a.scores, np.array([2, 0, 1])[a.classes]) for key, a in found.items()
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        rows = rows_of(found)
        rows[:, 0], rows[:, 6] = 1000 - 7 * rows[:, 0], np.array([0, 90, 17, 44])[rows[:, 6].astype(int)]
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    got = scores(read, renamed)
    np.testing.assert_allclose([got["map"], got["map50"], got["map_small"]], evaluation.stats[[0, 1, 3]], atol=1e-12)
    assert got["map"] not in (0, 1)


def test_answers_that_do_not_fit_the_set_are_named(objects: Objects, answers: Answers) -> None:
    pictures = objects((1, 0, 0, 0, 50, 50))
    with pytest.raises(MonospikeError, match="detections for the picture 2, which the data set does not have"):
        scores(pictures, {2: NOTHING})
    with pytest.raises(MonospikeError, match="picture 1: a detection is of class 3 of 3"):
        scores(pictures, answers((1, 3, 0, 0, 5, 5, 0.5)))
    with pytest.raises(
        MonospikeError, match="a box, a score and a class an object, got boxes \\(1, 4\\), scores \\(2,\\)"
    ):
        Detections(np.zeros((1, 4)), np.zeros(2), np.zeros(2, np.int64))
    with pytest.raises(MonospikeError, match="a number that is not finite"):
        Detections(np.full((1, 4), np.nan), np.zeros(1), np.zeros(1, np.int64))
