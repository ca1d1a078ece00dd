"""Clips: what they may hold, their file, and what they are made from."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netx import FormatError
from pipeline.datasets.clip import Clip
from pipeline.datasets.config import DataConfig
from pipeline.datasets.dataset import make_sequences
from pipeline.datasets.errors import DataError

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3)).astype(np.uint8)
BOXES = np.array([[0, 0, 1, 1], [2.5, -3, 10, 8], [28, 18, 6, 6.25]])


def write_otb(folder: Path, lines: list[str], file: str = "groundtruth_rect.txt") -> Path:
    (folder / "img").mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(FRAMES, start=1):
        Image.fromarray(frame).save(folder / "img" / f"{number:04}.png")
    (folder / file).write_text("\n".join(lines) + "\n")
    return folder


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    clip = Clip("a clip", FRAMES, BOXES)
    clip.save(tmp_path / "clip.npz")
    assert Clip.load(tmp_path / "clip.npz") == clip
    assert len(clip) == 3


def test_frames_and_boxes_cannot_be_changed() -> None:
    clip = Clip("a clip", FRAMES, BOXES)
    with pytest.raises(ValueError, match="read-only"):
        clip.frames[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        clip.boxes[0] = 0


@pytest.mark.parametrize(
    ("frames", "boxes", "message"),
    [
        (FRAMES.astype(float), BOXES, "frames must be uint8"),
        (FRAMES[..., 0], BOXES, "frames must be uint8"),
        (FRAMES[:0], BOXES[:0], "frames must be uint8"),
        (FRAMES, BOXES[:2], r"shape \(3, 4\)"),
        (FRAMES, BOXES.astype(str), r"boxes must be numbers"),
        (FRAMES, BOXES * [1, 1, 0, 1], "frame 0"),
        (FRAMES, np.where(np.arange(12).reshape(3, 4) == 5, np.nan, BOXES), "frame 1"),
    ],
)
def test_an_impossible_clip_is_refused(frames: np.ndarray, boxes: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Clip("bad", frames, boxes)


def saved(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


GOOD = saved(name=np.array("a"), frames=FRAMES, boxes=BOXES)
FLAGS = GOOD.index(b"PK\x01\x02") + 8
"""Where the zip directory says of its first file whether it is encrypted (PKWARE APPNOTE, 4.3.12)."""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no npz at all",
        GOOD[: len(GOOD) // 2],
        GOOD[:FLAGS] + b"\x01" + GOOD[FLAGS + 1 :],
        saved(name=np.array("a"), frames=FRAMES),
        saved(name=np.array("a"), frames=FRAMES, boxes=BOXES * np.nan),
        saved(name=np.array("a"), frames=FRAMES, boxes=BOXES.astype(object)),
    ],
    ids=["empty", "text", "truncated", "encrypted", "no boxes", "NaN", "pickled"],
)
def test_a_file_that_is_no_sequence_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"bad\.npz: is not a tracking sequence"):
        Clip.load(path)


def dataset(root: Path, **values: object) -> list[Clip]:
    return list(make_sequences(DataConfig(dataset=root, **values), seed=1))


@pytest.mark.parametrize("separator", [",", "\t", " ", ", ", ";"])
def test_otb_counts_pixels_from_one(tmp_path: Path, separator: str) -> None:
    lines = [separator.join(map(str, box)) for box in [(1, 1, 1, 1), (3.5, -2, 10, 8), (29, 19, 6, 6.25)]]
    write_otb(tmp_path / "Walk", lines)
    [clip] = dataset(tmp_path)
    assert Clip(clip.name, clip.stacked(), clip.boxes) == Clip("Walk", FRAMES, BOXES)


def test_lines_may_end_as_windows_ends_them(tmp_path: Path) -> None:
    write_otb(tmp_path / "Walk", ["1,1,2,2\r"] * 3)
    assert dataset(tmp_path)[0].boxes.tolist() == [[0, 0, 2, 2]] * 3


@pytest.mark.parametrize("line", ["NaN,NaN,NaN,NaN", "1,1,0,5", "0,0,0,0"])
def test_a_run_is_not_judged_by_frames_without_the_object(tmp_path: Path, line: str) -> None:
    write_otb(tmp_path / "Walk", ["1,1,5,5", line, "1,1,5,5"])
    with pytest.raises(DataError, match="sequence 'Walk', frame 1: the object has no box; leave out frames without"):
        dataset(tmp_path)


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    folder = write_otb(tmp_path / "Walk", ["1,1,5,5"] * 3)
    picture = folder / "img" / "0002.png"
    picture.write_bytes(picture.read_bytes()[:300])
    [clip] = dataset(tmp_path)  # no picture is read yet
    with pytest.raises(FormatError, match=r"0002\.png: cannot be read as a picture"):
        clip.save(tmp_path / "walk.npz")


def test_frames_of_several_sizes_do_not_fit_into_one_file(tmp_path: Path) -> None:
    folder = write_otb(tmp_path / "Walk", ["1,1,5,5"] * 3)
    Image.fromarray(FRAMES[0, :10]).save(folder / "img" / "0003.png")
    [clip] = dataset(tmp_path)
    assert [frame.shape for frame in clip.frames] == [(20, 30, 3), (20, 30, 3), (10, 30, 3)]
    with pytest.raises(DataError, match=r"sequence 'Walk', frame 2: is 30x10 but 30x20 in frame 0"):
        clip.save(tmp_path / "walk.npz")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no sequence in OTB's layout"):
        dataset(tmp_path)
    folder = write_otb(tmp_path / "Run", ["1,1,5,5"] * 3)
    (folder / "groundtruth_rect.txt").unlink()
    with pytest.raises(FormatError, match=r"Run/groundtruth_rect\.txt: is missing"):
        dataset(tmp_path)
    for picture in (folder / "img").iterdir():
        picture.unlink()
    with pytest.raises(DataError, match=r"img: holds no picture; these are looked for: \.bmp"):
        dataset(tmp_path)


def test_a_dataset_has_one_sequence_for_each_target_of_each_folder(tmp_path: Path) -> None:
    write_otb(tmp_path / "Walk", ["1,1,5,5"] * 3)
    write_otb(tmp_path / "Jog", ["2,2,5,5"] * 3, "groundtruth_rect.1.txt")
    write_otb(tmp_path / "Jog", ["3,3,5,5"] * 3, "groundtruth_rect.2.txt")
    found = [(clip.name, len(clip), clip.boxes[0, 0]) for clip in dataset(tmp_path)]
    assert found == [("Jog.1", 3, 1.0), ("Jog.2", 3, 2.0), ("Walk", 3, 0.0)]
    assert [clip.name for clip in dataset(tmp_path, sequences=2)] == ["Jog.1", "Jog.2"]


def test_real_sequences_have_their_boxes_on_their_pictures(shared_data: Path) -> None:
    clips = dataset(shared_data / "tracking" / "train", sequences=1000)
    assert len(clips) == 26
    for clip in clips[::4]:
        height, width = clip.frames[0].shape[:2]
        centres = clip.boxes[:, :2] + clip.boxes[:, 2:] / 2
        assert ((centres > 0) & (centres < (width, height))).all()
