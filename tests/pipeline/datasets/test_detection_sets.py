"""Detectors' data sets in three layouts, and all that can be wrong with them: named, and the rest kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from netx.errors import MonospikeError
from pipeline.datasets.config import DetectionData
from pipeline.datasets.detection import DetectionSet, open_detection, open_detections, without_unreadable

SIZE = 80, 60
ONE_SET = {"a": [("dog", 10, 20, 30, 40)], "b": [("cat", 0, 0, 80, 60), ("dog", 5, 5, 6, 7)], "c": []}
"""What each layout is to say in its own way: pictures, and their objects' classes and corners."""


def picture(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def xml_object(name: str, *corners: float, difficult: int = 0) -> str:
    keys = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners, strict=True))
    return f"<object>\n<name>{name}</name><difficult>{difficult}</difficult><bndbox>{box}</bndbox></object>\n"


def write_voc(root: Path, content: dict[str, list[str]]) -> None:
    """A file an entry, line 1 the size; objects take two lines each."""
    for stem, objects in content.items():
        picture(root / "JPEGImages" / f"{stem}.png")
        file = root / "Annotations" / f"{stem}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        size = "<size><width>80</width><height>60</height></size>"
        file.write_text(f"<annotation>{size}\n{''.join(objects)}</annotation>")


def coco_content(objects: list[dict[str, Any]]) -> dict[str, Any]:
    images = [
        {"id": 10 * number, "file_name": f"{stem}.png", "width": 80, "height": 60}
        for number, stem in enumerate("abc", 1)
    ]
    return {
        "images": images,
        "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
        "annotations": objects,
    }


def write_coco(root: Path, content: dict[str, Any]) -> Path:
    for stem in "abc":
        picture(root / "images" / f"{stem}.png")
    path = root / "annotations" / "instances.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1))
    return path


def write_yolo(root: Path, labels: dict[str, str], names: str = "dog\ncat\n") -> None:
    for stem in "abc":
        picture(root / "images" / f"{stem}.png")
    (root / "labels").mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text(names)
    for stem, text in labels.items():
        (root / "labels" / f"{stem}.txt").write_text(text)


def voc(root: Path) -> None:
    inclusive = {  # its corners are counted from 1, and the last pixel belongs to the box
        stem: [xml_object(name, x1 + 1, y1 + 1, x2, y2) for name, x1, y1, x2, y2 in objects]
        for stem, objects in ONE_SET.items()
    }
    write_voc(root, inclusive)


def coco(root: Path) -> None:
    ids = {"a": 10, "b": 20, "c": 30}
    things = [
        {"id": len(name) + x2, "image_id": ids[stem], "category_id": {"dog": 18, "cat": 17}[name],
         "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for stem, objects in ONE_SET.items() for name, x1, y1, x2, y2 in objects
    ]  # fmt: skip
    write_coco(root, coco_content(things))


def yolo(root: Path) -> None:
    def line(name: str, x1: float, y1: float, x2: float, y2: float) -> str:
        middle = f"{(x1 + x2) / 160} {(y1 + y2) / 120} {(x2 - x1) / 80} {(y2 - y1) / 60}"
        return f"{('cat', 'dog').index(name)} {middle}\n"

    labels = {stem: "".join(line(*thing) for thing in objects) for stem, objects in ONE_SET.items() if objects}
    write_yolo(root, labels, "cat\ndog\n")


def test_several_sets_are_one_whose_pictures_are_counted_on(tmp_path: Path) -> None:
    coco(tmp_path / "first")
    yolo(tmp_path / "second")
    sets = [DetectionData(root=str(tmp_path / name)) for name in ("first", "second")]
    found = open_detections(sets, ("dog", "cat"))
    assert [(one.id, one.file.parent.parent.name, one.of) for one in found.pictures] == [
        *((number, "first", 0) for number in (1, 2, 3)),
        *((number, "second", 1) for number in (4, 5, 6)),
    ]
    assert found.classes == ("dog", "cat")
    one, other = ([p.classes.tolist() for p in found.pictures if p.of == of] for of in (0, 1))
    assert one == other, "by name, whatever numbers the files have for classes"
    again = open_detections([*sets, sets[0]], ("dog", "cat"))
    assert len(again) == 6
    assert [issue.split(": ")[1].split(";")[0] for issue in again.issues] == ["lies in two of the data sets"] * 3


@pytest.mark.parametrize("layout", [voc, coco, yolo])
def test_the_same_set_in_three_layouts_is_the_same(tmp_path: Path, layout: Callable[[Path], None]) -> None:
    layout(tmp_path)
    found = open_detection(DetectionData(root=str(tmp_path)))
    assert (found.classes, found.issues) == (("cat", "dog"), ())
    assert [picture.file.name for picture in found.pictures] == ["a.png", "b.png", "c.png"]
    assert {picture.size for picture in found.pictures} == {SIZE}
    for picture in found.pictures:
        expected = ONE_SET[picture.file.stem]
        assert [found.classes[index] for index in picture.classes] == [name for name, *_ in expected]
        np.testing.assert_allclose(picture.boxes, np.array([box for _, *box in expected]).reshape(-1, 4), atol=1e-9)
        np.testing.assert_allclose(picture.areas, [(x2 - x1) * (y2 - y1) for _, x1, y1, x2, y2 in expected])
        assert picture.read().shape == (60, 80, 3)


def test_coco_keeps_ids_areas_and_crowds_and_orders_classes_by_id(tmp_path: Path) -> None:
    things = [
        {"id": 0, "image_id": 20, "category_id": 18, "bbox": [1, 2, 10, 10], "area": 55.5, "iscrowd": 1, "ignore": 0},
        {"id": 7, "image_id": 20, "category_id": 17, "bbox": [1, 2, 3.5, 4], "iscrowd": 0},
    ]
    write_coco(tmp_path, coco_content(things))
    found = open_detection(DetectionData(root=str(tmp_path)))
    assert (found.classes, [p.id for p in found.pictures]) == (("cat", "dog"), [10, 20, 30])
    second = found.pictures[1]
    assert (second.classes.tolist(), second.crowd.tolist(), second.areas.tolist()) == (
        [1, 0],
        [True, False],
        [55.5, 14],
    )


def test_a_split_of_voc_is_what_its_list_names(tmp_path: Path) -> None:
    write_voc(tmp_path, {stem: [xml_object("dog", 1, 1, 9, 9, difficult=1)] for stem in "abc"})
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("c\ngone\na\n")
    (lists / "empty.txt").write_text("\n")
    found = open_detection(DetectionData(root=str(tmp_path), split="val"))
    assert [p.file.stem for p in found.pictures] == ["c", "a"]
    assert found.pictures[0].difficult.tolist() == [True]
    [issue] = found.issues
    assert issue.startswith(f"{lists / 'val.txt'}, line 2: there is no annotation")
    with pytest.raises(MonospikeError, match=r"empty.txt: the split is empty"):
        open_detection(DetectionData(root=str(tmp_path), split="empty"))
    with pytest.raises(MonospikeError, match=r"holds no ImageSets/Main/test.txt"):
        open_detection(DetectionData(root=str(tmp_path), split="test"))


def issues(root: Path, **values: Any) -> tuple[DetectionSet, str]:
    """The set, and the one thing that is wrong with it, without the folder's name."""
    found = open_detection(DetectionData(root=str(root), **values))
    [issue] = found.issues
    return found, issue.replace(f"{root}/", "")


@pytest.mark.parametrize(
    ("bad", "issue"),
    [
        (xml_object("dog", 90, 1, 99, 9), "the box from 89, 0 to 99, 9 lies outside its picture of 80x60"),
        (xml_object("dog", 9, 1, 8, 9), "the corners 9, 1, 8, 9 are no box; xmax and ymax come last"),
        (xml_object("cow", 1, 1, 9, 9), "the class 'cow' is none of cat, dog"),
        (xml_object("dog", 1, 1, 5, 9).replace(">5<", ">wide<"), "has no box, but ['1', '1', 'wide', '9']"),
    ],
)
def test_a_bad_object_of_voc_is_named_by_its_line_and_the_others_are_kept(tmp_path: Path, bad: str, issue: str) -> None:
    good = xml_object("dog", 1, 1, 9, 9)
    write_voc(tmp_path, {"a": [good, bad, good], "b": [good]})
    found, complaint = issues(tmp_path, classes=("cat", "dog"))
    assert complaint.startswith("Annotations/a.xml, line 4: object 2 ("), "the second object begins there"
    assert issue in complaint
    assert [len(p) for p in found.pictures] == [2, 1]


def test_a_box_that_reaches_out_is_cut_and_one_pixel_is_rounding(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": [xml_object("dog", 0, 0, 81, 61), xml_object("dog", 71, 51, 99, 55)]})
    found, complaint = issues(tmp_path)
    assert found.pictures[0].boxes.tolist() == [[-1, -1, 81, 61], [70, 50, 80, 55]]
    assert found.pictures[0].areas.tolist() == [82 * 62, 50]
    assert complaint == (
        "Annotations/a.xml, line 4: object 2 (dog): the box from 70, 50 to 99, 55 reaches out of its picture of 80x60; "
        "it is cut to it"
    )


def test_annotations_of_a_missing_or_undecodable_picture_cost_that_picture_alone(tmp_path: Path) -> None:
    write_voc(tmp_path, {stem: [xml_object("dog", 1, 1, 9, 9)] for stem in "abcd"})
    pictures = tmp_path / "JPEGImages"
    (pictures / "a.png").unlink()
    (pictures / "b.png").write_bytes(b"no picture")
    whole = (pictures / "c.png").read_bytes()
    (pictures / "c.png").write_bytes(whole[: len(whole) // 2])
    found = open_detection(DetectionData(root=str(tmp_path)))
    assert [p.file.stem for p in found.pictures] == ["c", "d"]
    assert "Annotations/a.xml: its picture 'a' is missing in" in found.issues[0]
    assert "Annotations/b.xml: its picture is left out" in found.issues[1]
    left = without_unreadable(found)
    assert [p.file.stem for p in left.pictures] == ["d"]
    assert "c.png: cannot be read as a picture" in left.issues[2]


def test_two_annotations_of_one_picture_and_a_wrong_size_are_named(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": [xml_object("dog", 1, 1, 9, 9)]})
    again = (tmp_path / "Annotations" / "a.xml").read_text()
    again = again.replace("<annotation>", "<annotation><filename>a.png</filename>")
    (tmp_path / "Annotations" / "b.xml").write_text(again)
    found, complaint = issues(tmp_path)
    assert (len(found), complaint.startswith("Annotations/b.xml: is of a.png, as is ")) == (1, True)
    (tmp_path / "Annotations" / "b.xml").unlink()
    picture(tmp_path / "JPEGImages" / "a.png", (60, 80))
    found, complaint = issues(tmp_path)
    assert complaint.startswith("Annotations/a.xml: says that its picture is 80x60, and")
    assert found.pictures[0].size == (60, 80)


@pytest.mark.parametrize(
    ("changes", "complaint", "kept"),
    [
        ({"id": 2, "image_id": 11}, "there is no picture with the id 11", 1),
        ({"id": 2, "category_id": 90}, "there is no category with the id 90", 1),
        ({"id": 2, "bbox": [1, 2, 0, 4]}, "the box from 1, 2 to 1, 6 has no area", 1),
        ({"id": 2, "bbox": [80, 2, 5, 4]}, "the box from 80, 2 to 85, 6 lies outside its picture of 80x60", 1),
        ({}, "has the id 1 of {where}, line 33: annotations[0], and is the same object; the second is left out", 1),
        ({"bbox": [2, 2, 3, 4]}, "has the id 1 of {where}, line 33: annotations[0], which is another object", 2),
    ],
)
def test_a_bad_object_of_coco_is_named_by_its_line_and_the_others_are_kept(
    tmp_path: Path, changes: dict[str, Any], complaint: str, kept: int
) -> None:
    thing = {"id": 1, "image_id": 10, "category_id": 18, "bbox": [1, 2, 3, 4]}
    path = write_coco(tmp_path, coco_content([thing, {**thing, **changes}]))
    found, issue = issues(tmp_path)
    lines = path.read_text().splitlines()
    second = [number for number, line in enumerate(lines, 1) if line == "  {"][-1]
    assert issue.startswith(f"annotations/instances.json, line {second}: annotations[1]: ")
    assert complaint.format(where="annotations/instances.json") in issue
    assert [len(p) for p in found.pictures] == [kept, 0, 0]


def test_a_picture_of_coco_that_is_missing_or_there_twice_is_named_by_its_line(tmp_path: Path) -> None:
    content = coco_content([])
    content["images"][1]["id"] = 10
    write_coco(tmp_path, content)
    (tmp_path / "images" / "c.png").unlink()
    found = open_detection(DetectionData(root=str(tmp_path)))
    twice, missing = (issue.replace(f"{tmp_path}/", "") for issue in found.issues)
    assert twice == "annotations/instances.json, line 9: images[1]: has the id 10 of another picture, a.png"
    assert missing.startswith("annotations/instances.json, line 15: images[2]: its picture is left out: ")
    assert [p.file.stem for p in found.pictures] == ["a"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("2 .5 .5 .1 .1", "there is no class 2 of 2, counted from 0"),
        ("-1 .5 .5 .1 .1", "there is no class -1"),
        ("0 .5 .5 .1", "expected a class and its box's middle x, y, width, height, got '0 .5 .5 .1'"),
        ("0 .1 .1 .2 .1 .2 .2", "expected a class and its box's"),
        ("0 .5 .5 nan .1", "expected a class and its box's"),
        ("0 .5 .5 0 .1", "has no area"),
        ("0 5 .5 .1 .1", "lies outside its picture of 80x60"),
    ],
)
def test_a_bad_line_of_yolo_is_named_and_the_others_are_kept(tmp_path: Path, line: str, complaint: str) -> None:
    write_yolo(tmp_path, {"a": f"0 .5 .5 .1 .1\n{line}\n1 .5 .5 .1 .1\n"})
    found, issue = issues(tmp_path)
    assert issue.startswith("labels/a.txt, line 2: ")
    assert complaint in issue
    assert found.pictures[0].classes.tolist() == [0, 1]


def test_yolo_labels_without_a_picture_and_names_in_yaml(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"gone": "0 .5 .5 .1 .1\n"})
    (tmp_path / "classes.txt").unlink()
    (tmp_path / "data.yaml").write_text("names: {0: dog, 1: cat}\n")
    found, issue = issues(tmp_path)
    assert found.classes == ("dog", "cat")
    assert issue.startswith("labels/gone.txt: its picture is missing in ")
    (tmp_path / "data.yaml").write_text("names: {0: dog, 2: cat}\n")
    with pytest.raises(MonospikeError, match=r"data.yaml: names must be a list of the classes' names, or a name by"):
        open_detection(DetectionData(root=str(tmp_path)))


def test_where_nothing_is_left_it_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(MonospikeError, match=r"gone: there is no such folder of pictures with boxes"):
        open_detection(DetectionData(root=str(tmp_path / "gone")))
    with pytest.raises(MonospikeError, match=r"holds no annotations. The layouts are voc .*coco .*yolo"):
        open_detection(DetectionData(root=str(tmp_path)))
    write_voc(tmp_path, {"a": [xml_object("dog", 1, 1, 9, 9)]})
    (tmp_path / "JPEGImages" / "a.png").unlink()
    with pytest.raises(MonospikeError, match=r"no picture is left; the first of 1 .*a.xml: its picture 'a' is missing"):
        open_detection(DetectionData(root=str(tmp_path), classes=("dog",)))
    yolo(tmp_path)
    with pytest.raises(MonospikeError, match=r"holds several layouts, voc and yolo; say which is meant"):
        open_detection(DetectionData(root=str(tmp_path)))


def test_an_annotation_that_declares_entities_is_refused(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": [xml_object("dog", 1, 1, 9, 9)], "b": [xml_object("dog", 1, 1, 9, 9)]})
    for declared in ('<!ENTITY a "dog">', '<!ENTITY a SYSTEM "file:///etc/hostname">'):
        (tmp_path / "Annotations" / "a.xml").write_text(
            f'<?xml version="1.0"?>\n<!DOCTYPE x [\n{declared}]>\n<annotation>&a;</annotation>'
        )
        found, issue = issues(tmp_path)
        assert "Annotations/a.xml: is no annotation in XML (line 3 declares the entity 'a'" in issue
        assert len(found) == 1


def test_nothing_is_wrong_with_the_shared_detection_data(shared_data: Path) -> None:
    found = open_detection(DetectionData(root=str(shared_data / "detection" / "train" / "helmets")))
    assert (len(found), sorted(found.classes)) == (449, ["head", "helmet"])
    assert sum(map(len, found.pictures)) == 1949, "as its SOURCE.txt says"
    assert found.issues == ()
