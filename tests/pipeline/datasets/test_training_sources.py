"""Training clips from every layout, and what is said where a root is missing or bad."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from netx.errors import MonospikeError
from pipeline.datasets.config import SourceConfig
from pipeline.datasets.training_sources import Mixture, open_source
from pipeline.tasks.tracking.config import PairConfig
from pipeline.tasks.tracking.predictor import Geometry
from pipeline.tasks.tracking.sampling import draw_crops

RANDOM = np.random.default_rng


def source(**values: object) -> SourceConfig:
    return TypeAdapter(SourceConfig).validate_python(values)


def picture(path: Path, width: int = 80, height: int = 60, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(path)


def annotation(path: Path, *objects: str, filename: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = "<size><width>80</width><height>60</height></size>"
    path.write_text(f"<annotation><filename>{filename}</filename>{size}{''.join(objects)}</annotation>")


def thing(left: int, top: int, right: int, bottom: int, track: int = 0, name: str = "cat") -> str:
    box = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    return f"<object><name>{name}</name><trackid>{track}</trackid><bndbox>{box}</bndbox></object>"


def boxes_of(config: SourceConfig) -> list[list[list[float]]]:
    return [clip.boxes.tolist() for clip in open_source(config, 1).clips]


def test_voc_boxes_become_clips_of_one_picture(tmp_path):
    picture(tmp_path / "set" / "JPEGImages" / "a.png", value=77)
    # The second covers the picture, the third is tiny.
    things = [thing(11, 21, 30, 40), thing(1, 1, 80, 60), thing(5, 5, 9, 9)]
    annotation(tmp_path / "set" / "Annotations" / "a.xml", *things, filename="a.png")
    config = source(kind="voc", root=str(tmp_path))
    assert boxes_of(config) == [[[10.0, 20.0, 20.0, 20.0]]]
    clip = open_source(config, 1).pick(0, RANDOM(0))
    assert clip.frames[0].shape == (60, 80, 3)
    assert abs(int(clip.frames[0].mean()) - 77) <= 1


def test_vid_tracks_become_clips_of_their_own(tmp_path):
    for frame in range(3):
        picture(tmp_path / "Data/VID/train/part/video" / f"{frame:06}.JPEG")
        things = [thing(1 + frame, 1, 20 + frame, 20, track=0)]
        if frame != 1:
            things.append(thing(31, 31, 50, 50, track=1))
        annotation(tmp_path / "Annotations/VID/train/part/video" / f"{frame:06}.xml", *things)
    first, second = boxes_of(source(kind="vid", root=str(tmp_path)))
    assert first == [[0, 0, 20, 20], [1, 0, 20, 20], [2, 0, 20, 20]]
    assert second == [[30, 30, 20, 20]] * 2


def test_coco_boxes_become_clips_and_crowds_do_not(tmp_path):
    picture(tmp_path / "train" / "1.jpg")
    boxes = [
        {"image_id": 7, "category_id": 90, "bbox": [4, 5, 20, 10]},
        {"image_id": 7, "category_id": 90, "bbox": [0, 0, 30, 30], "iscrowd": 1},
    ]
    images = [{"id": 7, "file_name": "1.jpg", "width": 80, "height": 60}]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 90, "name": "toothbrush"}]}
    (tmp_path / "it.json").write_text(json.dumps(content))
    config = source(kind="coco", root=str(tmp_path / "train"), annotations=str(tmp_path / "it.json"))
    assert boxes_of(config) == [[[4, 5, 20, 10]]]


def test_videos_leave_out_frames_without_the_object(tmp_path):
    folder = tmp_path / "train" / "GOT-10k_Train_000001"
    for frame in range(1, 5):
        picture(folder / f"{frame:08}.jpg", value=50 * frame)
    (tmp_path / "train" / "list.txt").write_text("GOT-10k_Train_000001\n")
    (folder / "groundtruth.txt").write_text("1,2,20,20\n2,2,20,20\n3,2,20,20\n4,2,20,20\n")
    (folder / "cover.label").write_text("8\n0\n8\n8\n")
    [clip] = open_source(source(kind="video", layout="got10k-train", root=str(tmp_path)), 1).clips
    assert clip.boxes[:, 0].tolist() == [1, 3, 4]
    assert [round(float(frame.mean()), -1) for frame in clip.frames] == [50, 150, 200]


def test_regions_of_photographs_lie_inside_them(tmp_path):
    picture(tmp_path / "a.png", width=90, height=70)
    photos = open_source(source(kind="photos", root=str(tmp_path)), 1)
    boxes = np.concatenate([photos.pick(0, RANDOM(seed)).boxes for seed in range(50)])
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= [90, 70]).all()
    assert 0.14 * 70 < boxes[:, 2:].max(axis=1).min() < boxes[:, 2:].max() < 0.61 * 70


def test_sources_are_drawn_from_as_often_as_their_weights_say(tmp_path):
    picture(tmp_path / "one" / "a.png", value=10)
    picture(tmp_path / "two" / "a.png", value=200)
    configs = [source(kind="photos", root=str(tmp_path / name), weight=w) for name, w in (("one", 3), ("two", 1))]
    mixture, random = Mixture(configs, 1), RANDOM(0)
    bright = sum(mixture.pick(0, random).frames[0].mean() > 100 for _ in range(2000))
    assert abs(bright - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75)


class Ramp:
    """A clip whose frames tell their number."""

    frames = np.stack([np.full((40, 50, 3), 2 * i, np.uint8) for i in range(100)])
    boxes = np.tile([10.0, 10.0, 16.0, 12.0], (100, 1))


def draw(pairs: PairConfig, count: int = 40):
    return draw_crops(lambda _: Ramp(), count, Geometry(31, 63, 8, 8), 0.5, pairs, RANDOM(3))


def test_template_and_search_are_at_most_the_gap_apart():
    def gaps(pairs: PairConfig) -> np.ndarray:
        crops = draw(pairs)
        return abs(crops.template[:, 15, 15, 0].astype(int) - crops.search[:, 31, 31, 0]) // 2

    assert gaps(PairConfig(max_gap=3, negative=0)).max() <= 3
    assert gaps(PairConfig(negative=0)).max() > 20
    assert gaps(PairConfig(max_gap=0, negative=0)).max() == 0


def test_light_colour_and_blur_change_crops_and_nothing_else():
    plain, lit, grey = (draw(PairConfig(**options)) for options in ({}, {"light": 1.0}, {"grey": 1.0}))
    assert not np.array_equal(plain.template, lit.template)
    assert plain.box[0].tolist() == lit.box[0].tolist()
    assert (grey.search == grey.search[..., :1]).all()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"kind": "voc"}, r"gone: holds no Annotations/\*.xml"),
        ({"kind": "vid"}, r"gone.*To have ImageNet-VID, register"),
        ({"kind": "coco", "annotations": "gone.json"}, r"gone.json: cannot be read .*cocodataset.org"),
        ({"kind": "video", "layout": "got10k-train"}, r"gone: there is no such folder. To have got10k-train, download"),
        ({"kind": "video", "layout": "got11k"}, r"there is no benchmark 'got11k'"),
        ({"kind": "photos"}, r"gone: is not a folder"),
        ({"kind": "composed", "pictures": "gone"}, r"gone: is not a folder"),
    ],
)
def test_a_missing_root_is_named_with_what_to_do(values, complaint):
    values = values if values["kind"] == "composed" else {"root": "gone", **values}
    with pytest.raises(MonospikeError, match=complaint):
        open_source(source(**values), 1)


@pytest.mark.parametrize("layout", ["otb100", "lasot", "shared-test"])
def test_layouts_of_testing_sequences_are_not_trained_on(layout):
    with pytest.raises(ValidationError, match=f"'{layout}' is for testing alone"):
        source(kind="video", layout=layout, root="anywhere")


def test_bad_annotations_are_named(tmp_path):
    no_box = "<object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object>"
    annotation(tmp_path / "Annotations" / "a.xml", thing(1, 1, 9, 9), no_box)
    with pytest.raises(MonospikeError, match=r"a.xml, line \d+: object 2 \(cat\): has no box"):
        open_source(source(kind="voc", root=str(tmp_path)), 1)
    annotation(tmp_path / "Annotations" / "a.xml", thing(9, 1, 5, 9))
    with pytest.raises(MonospikeError, match=r"a.xml, line \d+: object 1 \(cat\): the corners 9, 1, 5, 9 are no box"):
        open_source(source(kind="voc", root=str(tmp_path)), 1)
    annotation(tmp_path / "Annotations" / "a.xml", thing(1, 1, 9, 9), filename="b.png")
    with pytest.raises(MonospikeError, match=r"a.xml, line \d+: its picture 'b.png' is missing in .*JPEGImages"):
        open_source(source(kind="voc", root=str(tmp_path)), 1)
    for bad in (
        "<annotation>",
        '<?xml version="1.0" encoding="klingon"?><a/>',
        '<?xml version="1.0" encoding="gbk"?><a/>',
    ):
        (tmp_path / "Annotations" / "a.xml").write_text(bad)
        with pytest.raises(MonospikeError, match=r"a.xml: is no annotation in XML"):
            open_source(source(kind="voc", root=str(tmp_path)), 1)
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation><size><width>wide</width></size></annotation>")
    with pytest.raises(MonospikeError, match=r"a.xml: width of its picture: is no number, but 'wide'"):
        open_source(source(kind="voc", root=str(tmp_path)), 1)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"bbox": [10**400, 1, 9, 9]}, r"annotations\[0\]: the bbox must be x, y, width, height"),
        ({"bbox": [1, 1, -9, 9]}, r"annotations\[0\]: the bbox must be x, y, width, height, got \[1, 1, -9, 9\]"),
        ({"bbox": None}, r"annotations\[0\]: the bbox must be"),
        ({"image_id": 2}, r"annotations\[0\]: there is no picture with the id 2"),
        ({"category_id": 2}, r"annotations\[0\]: there is no category with the id 2"),
        ({"category_id": [1]}, r"annotations\[0\]: category_id must be a number or a text"),
    ],
)
def test_an_object_of_coco_that_is_wrong_is_named(tmp_path, changes, complaint):
    thing = {"image_id": 1, "category_id": 18, "bbox": [1, 1, 9, 9], **changes}
    images = [{"id": 1, "file_name": "a.jpg", "width": 80, "height": 60}]
    content = {"images": images, "annotations": [thing], "categories": [{"id": 18, "name": "dog"}]}
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(MonospikeError, match=r"c.json, line 1: " + complaint):
        open_source(source(kind="coco", root=str(tmp_path), annotations=str(tmp_path / "c.json")), 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[" * 100_000, ": is no COCO file of boxes"),
        ("[]", ": is no COCO file of boxes: it holds no object"),
        ('{"images": []}', ": is no COCO file of boxes: it has no list of categories"),
        ('{"categories": [], "images": [{"id": 1, "file_name": "a"}]}', r", line 1: images\[0\]: has no width"),
        ('{"categories": [{"name": "dog"}], "images": []}', r", line 1: categories\[0\]: has no id"),
        ('{"categories": [3], "images": []}', r", line 1: categories\[0\]: has no id"),
    ],
)
def test_what_is_no_coco_file_says_why(tmp_path, text, complaint):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(MonospikeError, match=r"c.json" + complaint):
        open_source(source(kind="coco", root=str(tmp_path), annotations=str(tmp_path / "c.json")), 1)


def test_an_empty_folder_has_no_object_to_train_on(tmp_path):
    annotation(tmp_path / "Annotations" / "a.xml")
    picture(tmp_path / "JPEGImages" / "a.png")
    with pytest.raises(MonospikeError, match=r"holds no object that can be trained on"):
        open_source(source(kind="voc", root=str(tmp_path)), 1)


def test_the_shared_training_data_can_be_drawn_from(shared_data):
    configs = [
        source(kind="video", root=str(shared_data / "tracking" / "train")),
        source(kind="video", root=str(shared_data / "vos" / "train")),
        source(kind="voc", root=str(shared_data / "detection" / "train")),
        source(kind="photos", root=str(shared_data / "photos")),
    ]
    mixture = Mixture(configs, 1)
    crops = draw_crops(
        lambda random: mixture.pick(0, random), 8, Geometry(127, 303, 8, 8), 0.5, PairConfig(), RANDOM(0)
    )
    assert crops.search.shape == (8, 303, 303, 3)
    assert (crops.box[:, 2:] > 10).all()
