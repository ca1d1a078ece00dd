"""Source photographs: the builtin ones, folders, and every kind of pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netx import FormatError
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import read_frame, read_photograph
from pipeline.datasets.pictures import open_pictures

PICTURE = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)


def test_the_builtin_photographs_are_the_two_of_scikit_learn() -> None:
    from sklearn.datasets import load_sample_images

    pictures = list(open_pictures())
    theirs = load_sample_images().images
    assert len(pictures) == 2
    assert all(np.array_equal(ours, other) for ours, other in zip(pictures, theirs, strict=True))


def test_a_folder_is_searched_with_its_subfolders_in_order_of_path(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.BMP", "a/deep/y.webp", "c.jpg", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("not a picture")
        else:
            Image.fromarray(PICTURE).save(path)
    pictures = open_pictures(tmp_path)
    assert [str(file.relative_to(tmp_path)) for file in pictures.files] == [
        "a/deep/y.webp",
        "a/z.BMP",
        "b.png",
        "c.jpg",
    ]
    assert np.array_equal(pictures[1], PICTURE)
    assert np.array_equal(pictures[-2], PICTURE)
    pictures.check()
    with pytest.raises(IndexError):
        pictures[4]


def test_every_kind_of_pixel_becomes_rgb(tmp_path: Path) -> None:
    grey = PICTURE[..., 0]
    alpha = np.dstack([PICTURE, grey])
    kinds = {
        "grey": (Image.fromarray(grey), grey[..., None].repeat(3, axis=2)),
        "rgba": (Image.fromarray(alpha), PICTURE),
        "grey16": (Image.fromarray(grey.astype(np.uint16) * 256 + 77), grey[..., None].repeat(3, axis=2)),
        "bilevel": (Image.fromarray(grey > 127), np.where(grey > 127, 255, 0)[..., None].repeat(3, axis=2)),
    }
    for name, (image, expected) in kinds.items():
        image.save(tmp_path / f"{name}.png")
        picture = read_frame(tmp_path / f"{name}.png")
        assert picture.dtype == np.uint8
        assert np.array_equal(picture, expected), name


def test_floating_point_pictures_are_refused_in_words(tmp_path: Path) -> None:
    Image.fromarray(PICTURE[..., 0].astype(np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(FormatError, match=r"float\.tif: has floating-point pixels"):
        read_frame(tmp_path / "float.tif")


def test_photographs_are_turned_upright_and_shrunk_but_frames_are_not(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # Orientation: turn by 90 degrees clockwise (EXIF 2.3, table 4).
    Image.fromarray(PICTURE).save(tmp_path / "turned.png", exif=turned)
    assert np.array_equal(read_photograph(tmp_path / "turned.png"), np.rot90(PICTURE, -1))
    assert np.array_equal(read_frame(tmp_path / "turned.png"), PICTURE)
    assert read_photograph(tmp_path / "turned.png", longest=8).shape == (8, 6, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp"])
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_truncated_picture_is_named(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(PICTURE.repeat(8, axis=0).repeat(8, axis=1)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FormatError, match=rf"cut\.{suffix}: cannot be read as a picture"):
        open_pictures(tmp_path).check()


def test_a_source_without_pictures_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: is not a folder"):
        open_pictures(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no picture"):
        open_pictures(tmp_path)
    with pytest.raises(FormatError, match=r"gone\.png: there is no such picture"):
        read_frame(tmp_path / "gone.png")
