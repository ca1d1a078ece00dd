"""A detector at work on pictures and data sets. It is a simple one that does find its objects: filled rectangles, each
of the colour of its class, on black."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from netx.errors import MonospikeError
from pipeline.core.progress import Progress
from pipeline.datasets.config import DetectionData
from pipeline.datasets.detection import DetectionSet, open_detection
from pipeline.datasets.images import RGB
from pipeline.tasks.detection.coco_json import results
from pipeline.tasks.detection.detect import JSON_NAME, detect
from pipeline.tasks.detection.metrics.answers import AnswerFile
from pipeline.tasks.detection.metrics.evaluate import answer_all, summary
from pipeline.tasks.detection.predictions import Detections

QUIET = Progress(quiet=True)
THINGS = {"a": [(0, 10, 10, 30, 30), (1, 40, 20, 70, 50)], "b": [], "c": [(1, 5, 5, 25, 45)]}
"""Class, x1, y1, x2, y2 by picture."""


class Rectangles:
    """Finds them by their colours; the fuller its bounds, the surer."""

    classes = ("red", "green")

    def __init__(self) -> None:
        self.asked = 0

    def step(self, frame: RGB) -> Detections:
        self.asked += 1
        rows = []
        for index in range(2):
            mask = ((frame[..., index] > 127) & (frame[..., 1 - index] < 128)).astype(np.uint8)
            count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
            for x, y, width, height, area in stats[1:count].tolist():
                rows.append((x, y, x + width, y + height, 0.9 * area / (width * height), index))
        table = np.array(rows, dtype=np.float64).reshape(-1, 6)
        return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def drawn(things: list[tuple[int, ...]]) -> RGB:
    frame = np.zeros((60, 80, 3), np.uint8)
    for index, x1, y1, x2, y2 in things:
        frame[y1:y2, x1:x2, index] = 255
    return frame


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The pictures with a COCO file whose numbers have gaps."""
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, (stem, things) in enumerate(THINGS.items()):
        Image.fromarray(drawn(things)).save(folder / "images" / f"{stem}.png")
        images.append({"id": 100 - number, "file_name": f"{stem}.png", "width": 80, "height": 60})
        for index, x1, y1, x2, y2 in things:
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            entry = {"id": len(annotations) + 5, "image_id": 100 - number, "category_id": (13, 4)[index], **box}
            annotations.append(entry)
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 13, "name": "red"}, {"id": 4, "name": "green"}],
    }
    (folder / "it.json").write_text(json.dumps(content))
    return folder


def opened(root: Path) -> DetectionSet:
    return open_detection(DetectionData(root=str(root)), Rectangles.classes)


def test_a_detector_is_scored_and_its_results_are_cocos(root: Path, tmp_path: Path) -> None:
    pictures = opened(root)
    answers = answer_all(pictures, Rectangles().step, AnswerFile(tmp_path / "kept.jsonl"), QUIET)
    got = summary(pictures, answers)
    assert (got["map"], got["voc07"], got["images"], got["objects"]) == (pytest.approx(1.0), 1.0, 3, 3)
    assert (got["failed"], got["issues"]) == ({}, [])
    assert got["fps"] > 0
    listed = json.loads(json.dumps(results(pictures, answers.found)))
    assert [(entry["image_id"], entry["category_id"], entry["bbox"]) for entry in listed] == [
        (100, 13, [10, 10, 20, 20]),
        (100, 4, [40, 20, 30, 30]),
        (98, 4, [5, 5, 20, 40]),
    ]
    (tmp_path / "results.json").write_text(json.dumps(listed))
    assert len(COCO(str(root / "it.json")).loadRes(str(tmp_path / "results.json")).anns) == 3


def test_a_stopped_evaluation_goes_on_and_a_cut_line_is_no_answer(root: Path, tmp_path: Path) -> None:
    kept, pictures, first = tmp_path / "answers" / "kept.jsonl", opened(root), Rectangles()
    whole = answer_all(pictures, first.step, AnswerFile(kept), QUIET)
    lines = kept.read_text().splitlines()
    assert (first.asked, len(lines)) == (3, 3)
    kept.write_text("\n".join([lines[0], lines[1], lines[2][:40]]))
    again = Rectangles()
    second = answer_all(pictures, again.step, AnswerFile(kept), QUIET)
    assert again.asked == 1
    assert results(pictures, second.found) == results(pictures, whole.found)
    assert len(kept.read_text().splitlines()) == 3
    # A picture that has changed is asked about again.
    Image.fromarray(drawn([(0, 1, 1, 9, 9)])).save(root / "images" / "b.png")
    changed = answer_all(pictures, again.step, AnswerFile(kept), QUIET)
    assert (again.asked, len(changed.found[99])) == (2, 1)


def test_a_picture_that_cannot_be_decoded_costs_the_others_nothing(root: Path, tmp_path: Path) -> None:
    file = root / "images" / "c.png"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    pictures = opened(root)
    answers = answer_all(pictures, Rectangles().step, AnswerFile(tmp_path / "kept.jsonl"), QUIET)
    got = summary(pictures, answers)
    assert list(got["failed"]) == [str(file)]
    assert "cannot be read as a picture" in got["failed"][str(file)]
    assert (got["images"], got["objects"], got["map"]) == (2, 2, pytest.approx(1.0))
    for name in "ab":
        (root / "images" / f"{name}.png").write_bytes(file.read_bytes())
    with pytest.raises(MonospikeError, match=r"none of the 3 pictures could be answered; the first: .*a.png"):
        answer_all(pictures, Rectangles().step, AnswerFile(tmp_path / "other.jsonl"), QUIET)


def test_boxes_are_drawn_and_written_for_every_picture_of_a_folder(root: Path, tmp_path: Path) -> None:
    (root / "images" / "bad.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    found = detect(root / "images", Rectangles(), 0.5, out, QUIET)
    assert (found.whole, list(found.failed)) == (True, ["bad.png"])
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "c.png", JSON_NAME]
    content = COCO(str(out / JSON_NAME))
    assert [image["file_name"] for image in content.loadImgs(content.getImgIds())] == ["a.png", "b.png", "c.png"]
    assert [content.cats[a["category_id"]]["name"] for a in content.anns.values()] == ["red", "green", "green"]
    assert [a["bbox"] for a in content.anns.values()] == [[10, 10, 20, 20], [40, 20, 30, 30], [5, 5, 20, 40]]
    assert all(0.5 <= a["score"] <= 1 for a in content.anns.values())
    before, after = drawn(THINGS["a"]), np.array(Image.open(out / "a.png"))
    # The outline lies on the bounds, in a colour of its own; inside, the picture is as it was.
    assert after[20, 10].tolist() == [0xE6, 0x6B, 0x00]
    assert after[35, 70].tolist() == [0x56, 0xB4, 0xE9]
    assert np.array_equal(after[23:29, 13:28], before[23:29, 13:28])
    assert np.array_equal(np.array(Image.open(out / "b.png")), drawn([]))


def test_what_is_less_sure_is_neither_drawn_nor_written(root: Path, tmp_path: Path) -> None:
    found = detect(root / "images" / "a.png", Rectangles(), 0.95, tmp_path / "out", QUIET)
    assert list(map(len, found.found.values())) == [0]
    assert json.loads((tmp_path / "out" / JSON_NAME).read_text())["annotations"] == []


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (80, 60))
    for x in range(5):
        writer.write(drawn([(1, 10 + 5 * x, 10, 40 + 5 * x, 40)])[..., ::-1])
    writer.release()
    return path


def test_a_video_is_an_animation_and_its_frames_are_numbered(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = detect(video, Rectangles(), 0.3, out, QUIET)
    assert (found.whole, len(found.images)) == (True, 5)
    content = json.loads((out / JSON_NAME).read_text())
    assert [(i["file_name"], i["frame"]) for i in content["images"]] == [("video.avi", n) for n in range(5)]
    lefts = [a["bbox"][0] for a in content["annotations"]]
    np.testing.assert_allclose(lefts, [10, 15, 20, 25, 30], atol=2)  # JPEG
    with Image.open(out / "video.gif") as picture:
        assert (picture.size, picture.n_frames) == ((80, 60), 5)


def test_interrupted_it_writes_what_it_has_come_to(video: Path, root: Path, tmp_path: Path) -> None:
    detector = Rectangles()
    step = detector.step

    def stop(after: int) -> Callable[[RGB], Detections]:
        def stopping(frame: RGB) -> Detections:
            if detector.asked >= after:
                raise KeyboardInterrupt
            return step(frame)

        return stopping

    for source, made in ((video, "video.gif"), (root / "images", "a.png")):
        detector.asked = 0
        with mock.patch.object(detector, "step", stop(2)):
            found = detect(source, detector, 0.3, tmp_path / "out", QUIET)
        assert (found.whole, len(found.images)) == (False, 2)
        assert (tmp_path / "out" / made).exists()
        assert len(json.loads((tmp_path / "out" / JSON_NAME).read_text())["images"]) == 2
    with mock.patch.object(detector, "step", stop(0)), pytest.raises(KeyboardInterrupt):
        detect(video, detector, 0.3, tmp_path / "none", QUIET)
    assert not (tmp_path / "none").exists()


def test_a_source_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, complaint in (("gone.png", "gone.png: there is no such"), ("empty", "empty: holds no picture")):
        with pytest.raises(MonospikeError, match=complaint):
            detect(tmp_path / name, Rectangles(), 0.3, tmp_path / "out", QUIET)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(MonospikeError, match=r"bad.png: nothing could be read; the first: .*bad.png: cannot be read"):
        detect(tmp_path / "bad.png", Rectangles(), 0.3, tmp_path / "out", QUIET)
    assert not (tmp_path / "out").exists()
