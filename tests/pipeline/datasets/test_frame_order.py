"""Frames are read in the order of the numbers in their names, by whatever command, from every kind of picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netx.errors import FormatError
from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.datasets.config import DataConfig, VideoSource
from pipeline.datasets.dataset import make_sequences
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import in_order, pictures_in, read_frame
from pipeline.datasets.training_sources import open_source
from pipeline.datasets.video_source import open_video

BOXES = np.array([[3 + i, 4, 20, 20.0] for i in range(14)])
"""Counted from 0."""


def grey(value: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), (value,) * 3).save(path)


def names(folder: Path, *files: str) -> list[str]:
    for number, file in enumerate(files):
        grey(number, folder / file)
    return [picture.name for picture in pictures_in(folder)]


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """14 frames 1.png to 14.png, each as bright as its number, and boxes that the file counts from 1."""
    for number in range(1, 15):
        grey(10 * number, tmp_path / "Walk" / "img" / f"{number}.png")
    lines = [f"{x + 1:g},{y + 1:g},{w:g},{h:g}" for x, y, w, h in BOXES]
    (tmp_path / "Walk" / "groundtruth_rect.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "Walk"


def test_one_folder_gives_the_same_frames_and_boxes_to_every_command(walk: Path) -> None:
    root, bright = walk.parent, [10 * number for number in range(1, 15)]
    [judged] = make_sequences(DataConfig(dataset=root), seed=1)
    [evaluated] = open_benchmark(find_benchmark("folder"), root)
    tracked = open_video(walk)
    [trained] = open_source(VideoSource(kind="video", root=str(root)), 1).clips
    for boxes, frames in (
        (judged.boxes, judged.frames),
        (evaluated.boxes, evaluated.frames()),
        (tracked.boxes, tracked.frames()),
        (trained.boxes, trained.frames),
    ):
        np.testing.assert_array_equal(boxes, BOXES)
        assert [int(frame[0, 0, 0]) for frame in frames] == bright


def test_a_folder_of_pictures_alone_is_read_in_the_same_order(walk: Path) -> None:
    frames = open_video(walk / "img").frames()
    assert [int(frame[0, 0, 0]) for frame in frames] == [10 * number for number in range(1, 15)]


def test_numbers_may_have_gaps_and_any_width(tmp_path: Path) -> None:
    assert names(tmp_path, "10.png", "9.png", "100.png", "8.png") == ["8.png", "9.png", "10.png", "100.png"]
    assert names(tmp_path / "b", "img007.jpg", "img12.jpg", "IMG0003.JPG") == ["IMG0003.JPG", "img007.jpg", "img12.jpg"]
    assert names(tmp_path / "c", "v2_frame10.png", "v10_frame1.png", "v2_frame9.png") == [
        "v2_frame9.png", "v2_frame10.png", "v10_frame1.png",
    ]  # fmt: skip


def test_names_of_one_width_stay_in_the_order_of_their_letters() -> None:
    files = [f"{number:08}.jpg" for number in range(1, 30)]
    assert [file.name for file in in_order(Path(name) for name in reversed(files))] == sorted(files)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("1.png", "01.png"), r"01\.png and 1\.png are both frame 1"),
        (("0001.jpg", "0001.png", "0002.jpg"), r"0001\.jpg and 0001\.png are both frame 1"),
        (("left_1.png", "right_1.png"), r"left_1\.png and right_1\.png are both frame 1"),
        (("c0_5.png", "c0_05.png"), r"are both frame 0-5"),
        (("a.png", "A.jpg"), r"A\.jpg and a\.png are both the same frame"),
    ],
)
def test_two_pictures_of_one_number_are_refused_by_name(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        names(tmp_path, *files)


def test_hidden_files_are_no_frames(tmp_path: Path) -> None:
    (tmp_path / "._1.png").write_bytes(b"a resource fork")
    assert names(tmp_path, "1.png", "2.png") == ["1.png", "2.png"]


@pytest.mark.parametrize("suffix", ["bmp", "jpeg", "jpg", "png", "tif", "tiff", "webp", "BMP", "TIF"])
def test_every_kind_of_picture_is_a_frame(tmp_path: Path, suffix: str) -> None:
    grey(77, tmp_path / "Walk" / "img" / f"1.{suffix}")
    (tmp_path / "Walk" / "groundtruth_rect.txt").write_text("1,1,9,9\n")
    [video] = open_benchmark(find_benchmark("folder"), tmp_path)
    [frame] = video.frames()
    assert frame.shape == (48, 64, 3)
    assert (abs(frame.astype(int) - 77) <= 1).all()


@pytest.mark.parametrize("suffix", ["tif", "webp", "png"])
def test_a_file_of_several_pictures_is_no_frame(tmp_path: Path, suffix: str) -> None:
    pages = [Image.new("RGB", (64, 48), (value,) * 3) for value in (10, 200)]
    pages[0].save(tmp_path / f"all.{suffix}", save_all=True, append_images=pages[1:])
    with pytest.raises(FormatError, match=rf"all\.{suffix}: holds 2 pictures; give each frame a file of its own"):
        read_frame(tmp_path / f"all.{suffix}")
