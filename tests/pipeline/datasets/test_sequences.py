"""Sequences: what they may hold, their file, OTB's folder layout and datasets of such folders."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netx import FormatError
from pipeline.datasets.dataset import open_sequences
from pipeline.datasets.errors import DataError
from pipeline.datasets.sequence import Sequence, read_folder

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3)).astype(np.uint8)
BOXES = np.array([[0, 0, 1, 1], [2.5, -3, 10, 8], [28, 18, 6, 6.25]])


def write_otb(folder: Path, lines: list[str], file: str = "groundtruth_rect.txt") -> Path:
    (folder / "img").mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(FRAMES, start=1):
        Image.fromarray(frame).save(folder / "img" / f"{number:04}.png")
    (folder / file).write_text("\n".join(lines) + "\n")
    return folder


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    sequence = Sequence("a clip", FRAMES, BOXES)
    sequence.save(tmp_path / "clip.npz")
    assert Sequence.load(tmp_path / "clip.npz") == sequence
    assert len(sequence) == 3


def test_frames_and_boxes_cannot_be_changed() -> None:
    sequence = Sequence("a clip", FRAMES, BOXES)
    with pytest.raises(ValueError, match="read-only"):
        sequence.frames[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        sequence.boxes[0] = 0


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
def test_an_impossible_sequence_is_refused(frames: np.ndarray, boxes: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Sequence("bad", frames, boxes)


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
        Sequence.load(path)


@pytest.mark.parametrize("separator", [",", "\t", " ", ", ", ";"])
def test_otb_counts_pixels_from_one(tmp_path: Path, separator: str) -> None:
    lines = [separator.join(map(str, box)) for box in [(1, 1, 1, 1), (3.5, -2, 10, 8), (29, 19, 6, 6.25)]]
    sequence = read_folder(write_otb(tmp_path / "Walk", lines))
    assert sequence == Sequence("Walk", FRAMES, BOXES)


def test_lines_may_end_as_windows_ends_them(tmp_path: Path) -> None:
    sequence = read_folder(write_otb(tmp_path / "Walk", ["1,1,2,2\r"] * 3))
    assert sequence.boxes.tolist() == [[0, 0, 2, 2]] * 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("NaN,NaN,NaN,NaN", "line 2: 'NaN,NaN,NaN,NaN' is no box"),
        ("1,1,0,5", "line 2: '1,1,0,5' is no box"),
        ("1,1,inf,5", "line 2.*no box"),
        ("1,1,5", "line 2: expected x,y,width,height, got '1,1,5'"),
        ("1,1,5,5,5", "line 2: expected x,y,width,height"),
        ("one,1,5,5", "line 2: expected x,y,width,height"),
        ("", "line 2: expected x,y,width,height"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(FormatError, match=rf"groundtruth_rect\.txt, {message}"):
        read_folder(write_otb(tmp_path / "Walk", ["1,1,5,5", line, "1,1,5,5"]))


@pytest.mark.parametrize("lines", [2, 4])
def test_every_picture_needs_its_line(tmp_path: Path, lines: int) -> None:
    with pytest.raises(FormatError, match=rf"has {lines} boxes.*holds 3 pictures"):
        read_folder(write_otb(tmp_path / "Walk", ["1,1,5,5"] * lines))


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    folder = write_otb(tmp_path / "Walk", ["1,1,5,5"] * 3)
    picture = folder / "img" / "0002.png"
    picture.write_bytes(picture.read_bytes()[:300])
    with pytest.raises(FormatError, match=r"0002\.png: cannot be read as a picture"):
        read_folder(folder)


def test_pictures_of_different_sizes_are_refused(tmp_path: Path) -> None:
    folder = write_otb(tmp_path / "Walk", ["1,1,5,5"] * 3)
    Image.fromarray(FRAMES[0, :10]).save(folder / "img" / "0003.png")
    with pytest.raises(FormatError, match=r"0003\.png: is 30x10 but 30x20 in 0001\.png"):
        read_folder(folder)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"Walk: is not a sequence.*img"):
        read_folder(tmp_path / "Walk")
    folder = write_otb(tmp_path / "Run", ["1,1,5,5"] * 3)
    (folder / "groundtruth_rect.txt").unlink()
    with pytest.raises(FormatError, match=r"groundtruth_rect\.txt: the ground truth is missing"):
        read_folder(folder)
    for picture in (folder / "img").iterdir():
        picture.unlink()
    with pytest.raises(FormatError, match="holds no jpg or png"):
        read_folder(folder)


def test_a_dataset_has_one_sequence_for_each_target_of_each_folder(tmp_path: Path) -> None:
    write_otb(tmp_path / "Walk", ["1,1,5,5"] * 3)
    write_otb(tmp_path / "Jog", ["2,2,5,5"] * 3, "groundtruth_rect.1.txt")
    write_otb(tmp_path / "Jog", ["3,3,5,5"] * 3, "groundtruth_rect.2.txt")
    sequences = open_sequences(tmp_path)
    assert [(s.name, len(s), s.read().name, s.read().boxes[0, 0]) for s in sequences] == [
        ("Jog.1", 3, "Jog.1", 1.0),
        ("Jog.2", 3, "Jog.2", 2.0),
        ("Walk", 3, "Walk", 0.0),
    ]


def test_a_dataset_is_opened_without_reading_pictures(tmp_path: Path) -> None:
    folder = write_otb(tmp_path / "Walk", ["1,1,5,5"] * 3)
    (folder / "img" / "0001.png").write_bytes(b"")
    (sequence,) = open_sequences(tmp_path)
    with pytest.raises(FormatError, match=r"0001\.png"):
        sequence.read()


def test_a_root_without_sequences_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        open_sequences(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no folder"):
        open_sequences(tmp_path)
    (tmp_path / "Walk").mkdir()
    with pytest.raises(DataError, match=r"Walk: is no sequence in OTB's layout"):
        open_sequences(tmp_path)


def test_real_sequences_have_their_boxes_on_their_pictures(shared_data: Path) -> None:
    sequences = open_sequences(shared_data / "tracking" / "train")
    assert len(sequences) == 14
    for stored in sequences[::4]:
        sequence = stored.read()
        height, width = sequence.frames.shape[1:3]
        centres = sequence.boxes[:, :2] + sequence.boxes[:, 2:] / 2
        assert ((centres > 0) & (centres < (width, height))).all()
