"""Videos with masks in every layout, and all that can be wrong with them: named by sequence and frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from netx.errors import MonospikeError
from pipeline.datasets.config import MaskedData
from pipeline.datasets.label_masks import PALETTE, objects_in, read_labels, write_labels
from pipeline.datasets.masked_layouts import open_masked
from pipeline.datasets.masked_video import MaskedVideo

HEIGHT, WIDTH = 12, 16


def frame(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 30)).save(path)


def labels(*objects: int) -> np.ndarray:
    """Each object fills a row of pixels of its own."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for row, number in enumerate(objects):
        mask[row] = number
    return mask


def write_davis(root: Path, year: str, sequences: Mapping[str, list[np.ndarray]], split: str = "val") -> Path:
    for name, masks in sequences.items():
        for number, mask in enumerate(masks):
            frame(root / "JPEGImages" / "480p" / name / f"{number:05}.jpg")
            write_labels(root / "Annotations" / "480p" / name / f"{number:05}.png", mask)
    listed = root / "ImageSets" / year / f"{split}.txt"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text("\n".join(sequences) + "\n")
    return root


def write_folder(root: Path, name: str, masks: list[np.ndarray]) -> Path:
    folder = root / name
    for number, mask in enumerate(masks, start=1):
        frame(folder / "img" / f"{number:04}.jpg")
        (folder / "mask").mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / "mask" / f"{number:04}.png")
    return folder


def opened(root: Path, layout: str = "auto", split: str | None = None) -> list[MaskedVideo]:
    return open_masked(MaskedData(root=str(root), layout=layout, split=split))


def seen(video: MaskedVideo) -> list[tuple[int, ...] | None]:
    return [None if mask is None else objects_in(mask) for mask in video.all_masks()]


def test_a_palette_png_keeps_every_label_and_a_short_palette_does_not(tmp_path: Path) -> None:
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_labels(tmp_path / "a.png", mask)
    assert np.array_equal(read_labels(tmp_path / "a.png"), mask)
    # With four colours Pillow writes two bits a pixel: 255 is 3 then, and 4 is 0, without a word.
    short = Image.fromarray(mask)
    short.putpalette(PALETTE[:4].ravel().tolist())
    short.save(tmp_path / "short.png")
    assert np.array_equal(read_labels(tmp_path / "short.png"), mask & 3)
    # The colours are DAVIS's: of labels 1 to 3 red, green and their sum at half strength, whose greys are these.
    assert cv2.imread(str(tmp_path / "a.png"))[0, 1].tolist() == [0, 0, 128]
    assert np.asarray(Image.open(tmp_path / "a.png").convert("L"))[0, :4].tolist() == [0, 38, 75, 113]


def test_davis_2017_has_several_objects_and_void(tmp_path: Path) -> None:
    sequences = {"b": [labels(1, 2), labels(1, 2, 255)], "a": [labels(3)] * 2, "c": [labels(1)]}
    root = write_davis(tmp_path, "2017", sequences)
    videos = opened(root, "davis17")
    assert [video.name for video in videos] == ["a", "b", "c"]
    assert seen(videos[1]) == [(1, 2), (1, 2)]
    assert np.array_equal(videos[1].masks[1], labels(1, 2, 255))
    assert len(videos[1]) == 2
    assert videos[1].frames[0].shape == (HEIGHT, WIDTH, 3)


def test_davis_2016_has_one_object_whatever_its_masks_say(tmp_path: Path) -> None:
    """0 and 255 as DAVIS-2016 has it, or all objects of DAVIS-2017 as one; its first release lists frames."""
    root = write_davis(tmp_path, "2016", {"own": [labels(255), labels(0)], "later": [labels(1, 2), labels(2, 255)]})
    later, own = opened(root, "davis16")
    assert np.array_equal(own.masks[0], labels(1))
    assert seen(own) == [(1,), ()]
    assert [np.unique(mask).tolist() for mask in later.all_masks()] == [[0, 1], [0, 1, 255]]
    (root / "ImageSets" / "480p").mkdir()
    lines = [f"/JPEGImages/480p/own/{n:05}.jpg /Annotations/480p/own/{n:05}.png" for n in range(2)]
    (root / "ImageSets" / "480p" / "train.txt").write_text("\n".join(lines))
    assert [video.name for video in opened(root, "davis16", "train")] == ["own"]


def test_255_is_an_object_where_it_is_the_only_one_and_void_where_it_is_not(tmp_path: Path) -> None:
    """vos-benchmark compares numbers: 0 and 255 against 0 and 1 is nothing found at all."""
    write_folder(tmp_path, "a", [labels(0), labels(255), labels(0)])
    write_folder(tmp_path, "b", [labels(1, 255), labels(255)])
    first, second = opened(tmp_path)
    assert seen(first) == [(), (1,), ()]
    assert np.array_equal(second.masks[1], labels(255))


def youtube(root: Path) -> Path:
    """Five frames, of which every other one has a mask; the second object appears in frame 2."""
    for number in range(5):
        frame(root / "JPEGImages" / "v" / f"{5 * number:05}.jpg")
    for number, objects in ((0, [1]), (2, [1, 2]), (4, [2])):
        write_labels(root / "Annotations" / "v" / f"{5 * number:05}.png", labels(*objects))
    objects = {
        "1": {"category": "ape", "frames": ["00000", "00010"]},
        "2": {"category": "car", "frames": ["00010", "00020"]},
    }
    (root / "meta.json").write_text(json.dumps({"videos": {"v": {"objects": objects}}}))
    return root


def test_youtube_vos_has_frames_without_masks_and_objects_that_appear_later(tmp_path: Path) -> None:
    [video] = opened(youtube(tmp_path))
    assert seen(video) == [(1,), None, (1, 2), None, (2,)]
    assert video.masks.annotated == (0, 2, 4)
    assert video.content.classes == ((1, "ape"), (2, "car"))


def test_a_split_is_a_list_of_davis_and_a_folder_elsewhere(tmp_path: Path) -> None:
    youtube(tmp_path / "y" / "train")
    assert [video.name for video in opened(tmp_path / "y", split="train")] == ["v"]
    write_folder(tmp_path / "f" / "test", "a", [labels(255)])
    assert [video.name for video in opened(tmp_path / "f", split="test")] == ["a"]
    assert [video.name for video in opened(tmp_path / "f" / "test" / "a")] == ["a"]
    write_davis(tmp_path / "d", "2017", {"a": [labels(1)]}, "train")
    assert [video.name for video in opened(tmp_path / "d", split="train")] == ["a"]
    with pytest.raises(MonospikeError, match=r"ImageSets/2017/val.txt: is missing"):
        opened(tmp_path / "d")


def test_a_first_mask_alone_will_do_and_a_hole_will_not(tmp_path: Path) -> None:
    """DAVIS's test-dev has first masks alone."""
    folder = write_folder(tmp_path, "a", [labels(255)] * 4)
    (folder / "mask" / "0003.png").unlink()
    with pytest.raises(MonospikeError, match=r"sequence 'a', frame 2: .*0003.jpg has no mask"):
        opened(tmp_path)[0].all_masks()
    for number in (2, 4):
        (folder / "mask" / f"{number:04}.png").unlink()
    assert seen(opened(tmp_path)[0]) == [(1,), None, None, None]


def spoil(what: str) -> Callable[[Path], None]:
    """What is done to a folder of three frames."""

    def change(folder: Path) -> None:
        mask = folder / "mask" / "0002.png"
        if what == "size":
            Image.fromarray(labels(255)[:-1]).save(mask)
        elif what == "16 bit":
            Image.fromarray(labels(1).astype(np.uint16)).save(mask)
        elif what == "rgb":
            Image.fromarray(labels(255)).convert("RGB").save(mask)
        elif what == "transparent":
            Image.fromarray(labels(255)).convert("LA").save(mask)
        elif what == "cut":
            mask.write_bytes(mask.read_bytes()[:40])
        elif what == "grey":
            Image.fromarray(labels(255, 7)).save(mask)
        elif what == "no picture":
            (folder / "img" / "0003.jpg").unlink()
        elif what == "hole":
            (folder / "img" / "0002.jpg").unlink()
            mask.unlink()
        elif what == "frame size":
            frame(folder / "img" / "0003.jpg", (WIDTH + 1, HEIGHT))
        elif what == "no frame":
            (folder / "img" / "0003.jpg").write_bytes(b"no picture")
        elif what == "empty":
            for file in (folder / "mask").iterdir():
                Image.fromarray(labels()).save(file)
        elif what == "no mask":
            for file in (folder / "mask").iterdir():
                file.unlink()

    return change


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        ("size", r"frame 1: the mask .*0002.png is 16x11, and its picture .*0002.jpg is 16x12"),
        ("16 bit", r"frame 1: .*0002.png: has 16 bits a pixel"),
        ("rgb", r"frame 1: .*0002.png: has 3 channels \(RGB\)"),
        ("transparent", r"frame 1: .*0002.png: has transparency"),
        ("cut", r"frame 1: .*0002.png: cannot be read as a picture"),
        ("grey", r"frame 1: .*0002.png holds 7, and the first mask with an object is of 0 and 255 alone"),
        ("no picture", r"frame 0003: .*0003.png has no picture"),
        ("hole", r"frame 2: is missing in .*img, where 0001.jpg is followed by 0003.jpg"),
        ("frame size", r"frame 2: .*0003.jpg is 17x12 but 16x12 in frame 0"),
        ("no frame", r"frame 2: .*0003.jpg: cannot be read as a picture"),
        ("empty", r"no mask has an object"),
        ("no mask", r"holds no mask"),
    ],
)
def test_what_is_wrong_is_named_by_sequence_and_frame_and_costs_the_others_nothing(
    tmp_path: Path, what: str, complaint: str
) -> None:
    spoil(what)(write_folder(tmp_path, "bad", [labels(255)] * 4 if what == "hole" else [labels(255)] * 3))
    write_folder(tmp_path, "good", [labels(255)])
    bad, good = opened(tmp_path)
    with pytest.raises(MonospikeError, match="sequence 'bad'.*" + complaint):
        bad.all_masks()
    assert seen(good) == [(1,)], "and it has one frame"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is no meta.json"),
        ('{"videos": []}', "is no meta.json"),
        ('{"videos": {"v": {"objects": {"x": {}}}}}', "is no meta.json"),
        ('{"videos": {"../v": {"objects": {}}}}', r"'../v' is no name of a sequence"),
        ('{"videos": {}}', "holds no sequence"),
    ],
)
def test_a_bad_meta_json_is_an_error_that_names_it(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(MonospikeError, match=complaint):
        opened(tmp_path)


def test_a_frame_that_meta_json_names_and_that_is_missing_is_an_error(tmp_path: Path) -> None:
    root = youtube(tmp_path)
    (root / "JPEGImages" / "v" / "00020.jpg").unlink()
    (root / "Annotations" / "v" / "00020.png").unlink()
    with pytest.raises(MonospikeError, match=r"sequence 'v', frame 00020: is missing in .*shows object 2"):
        opened(root)[0].all_masks()


def test_a_root_without_sequences_says_which_layouts_there_are(tmp_path: Path) -> None:
    with pytest.raises(MonospikeError, match=r"holds no sequence with masks. The layouts are DAVIS"):
        opened(tmp_path)
    with pytest.raises(MonospikeError, match="there is no such folder of videos with masks"):
        opened(tmp_path / "gone")


def test_real_masks_fit_their_frames_and_boxes(shared_data: Path) -> None:
    """The boxes beside DAVIS-2016's masks are their bounds, before these were reduced."""
    video = next(v for v in opened(shared_data / "vos", split="test") if v.name == "davis16_libby")
    masks = video.all_masks()
    rows = np.loadtxt(shared_data / "vos" / "test" / video.name / "groundtruth_rect.txt", delimiter=",")
    assert len(masks) == len(video) == len(rows)
    for mask, (x, y, width, height) in list(zip(masks, rows, strict=True))[::10]:
        assert np.abs(np.subtract(cv2.boundingRect(mask), (x, y, width, height))).max() < 2
