"""Pictures with all their boxes and classes, from Pascal VOC, COCO and ImageNet-VID."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.datasets.clip import clips_of_pictures, clips_of_tracks
from pipeline.datasets.coco import read_categories, read_coco
from pipeline.datasets.imagenet_vid import read_vid
from pipeline.datasets.voc import read_voc

OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult><trackid>{track}</trackid>
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"""


def thing(*corners: int, name: str, difficult: int = 0, track: int = 0) -> str:
    return OBJECT.format(*corners, name=name, difficult=difficult, track=track)


def annotate(path: Path, *objects: str, size: str = "<size><width>80</width><height>60</height></size>") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation>{size}{''.join(objects)}</annotation>")


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (80, 60)).save(path)


def test_voc_gives_every_object_with_its_class_and_whether_it_is_difficult(tmp_path: Path) -> None:
    for name in ("a.bmp", "b.jpg"):
        picture(tmp_path / "JPEGImages" / name)
    annotate(
        tmp_path / "Annotations" / "a.xml",
        thing(11, 21, 30, 40, name="dog"),
        thing(1, 1, 80, 60, name="person", difficult=1),
    )
    annotate(tmp_path / "Annotations" / "b.xml", size="")
    first, second = read_voc(tmp_path)
    # Pixels 11 to 30, counted from 1, are columns 10 to 29: the box spans [10, 30).
    assert first.boxes.tolist() == [[10, 20, 20, 20], [0, 0, 80, 60]]
    assert (first.labels, first.difficult.tolist()) == (("dog", "person"), [False, True])
    assert (first.file.name, first.crowd.tolist()) == ("a.bmp", [False, False])
    # A picture without objects is one too; its size is its own where none is written.
    assert (second.labels, second.boxes.shape, second.size) == ((), (0, 4), (80, 60))
    [clip] = clips_of_pictures([first, second])  # the second object covers the picture
    assert (clip.label, clip.boxes.tolist(), clip.frames[0].shape) == ("dog", [[10, 20, 20, 20]], (60, 80, 3))


def test_coco_ids_have_gaps_and_crowds_are_marked(tmp_path: Path) -> None:
    content = {
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 13, "name": "stop sign"}],
        "images": [{"id": 42, "file_name": f"{n}.jpg", "width": 80, "height": 60} for n in ("a",)]
        + [{"id": 7, "file_name": "b.jpg", "width": 64, "height": 48}],
        "annotations": [
            {"image_id": 42, "category_id": 90, "bbox": [1.5, 2, 20, 10], "iscrowd": 0},
            {"image_id": 42, "category_id": 1, "bbox": [0, 0, 30, 30], "iscrowd": 1},
        ],
    }
    path = tmp_path / "it.json"
    path.write_text(json.dumps(content))
    first, second = read_coco(tmp_path / "train", path)
    assert (first.file, first.size, second.size) == (tmp_path / "train" / "a.jpg", (80, 60), (64, 48))
    assert first.boxes.tolist() == [[1.5, 2, 20, 10], [0, 0, 30, 30]]
    assert (first.labels, first.crowd.tolist(), second.labels) == (("toothbrush", "person"), [False, True], ())
    assert read_categories(path) == {1: "person", 13: "stop sign", 90: "toothbrush"}
    assert list(read_categories(path)) == [1, 13, 90]
    assert [clip.label for clip in clips_of_pictures([first, second])] == ["toothbrush"]


def test_frames_of_a_vid_video_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "Annotations/VID/train/part/video"
    for frame in (10, 9, 2):
        picture(tmp_path / "Data/VID/train/part/video" / f"{frame}.JPEG")
        annotate(folder / f"{frame}.xml", thing(frame, 1, frame + 19, 20, name="n02084071", track=3))
    [(name, frames)] = read_vid(tmp_path)
    assert name == "part/video"
    assert [frame.boxes[0, 0] for frame in frames] == [1, 8, 9]
    assert {(frame.labels, frame.tracks) for frame in frames} == {(("n02084071",), ("3",))}
    [clip] = clips_of_tracks(frames, name)
    assert (clip.name, clip.label, len(clip)) == ("part/video:3", "n02084071", 3)


def test_the_shared_pictures_have_the_classes_that_their_readme_names(shared_data: Path) -> None:
    found: dict[str, set[str]] = {}
    for annotated in read_voc(shared_data / "detection" / "test"):
        found.setdefault(annotated.file.parents[1].name, set()).update(annotated.labels)
        assert (annotated.boxes[:, 2:] > 0).all()
        assert np.isfinite(annotated.boxes).all()
    assert sorted(map(sorted, found.values())) == [
        ["Platelets", "RBC", "WBC"], ["head", "helmet"], ["kangaroo"], ["raccoon"],
    ]  # fmt: skip
