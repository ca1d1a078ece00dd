"""Boxes go where their pixels go: a filled rectangle is drawn, varied, and its bounds are looked for in the picture."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.tasks.detection.augmentation import (
    Sample,
    affine_matrix,
    boxed,
    mirrored,
    mixup,
    mosaic,
    recoloured,
    transformed,
)
from pipeline.tasks.detection.data_config import AugmentationConfig
from pipeline.tasks.detection.letterbox import from_letterbox, letterbox

SIDE = 128
RANDOM = np.random.default_rng


def drawn(width: int, height: int, *box: int, label: int = 3) -> Sample:
    """Red pixels from x1, y1 up to, and without, x2, y2, on black."""
    x1, y1, x2, y2 = box
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y1:y2, x1:x2, 0] = 255
    return Sample(picture, np.array([[x1, y1, x2, y2, label]], float))


def black(width: int = SIDE, height: int = SIDE) -> Sample:
    return Sample(np.zeros((height, width, 3), np.uint8), np.empty((0, 5)))


def red_bounds(picture: np.ndarray, most: int = 255) -> list[int] | None:
    """Where at least half of a pixel is red; grey and black are not. most: of red, where it is laid over something."""
    rows, columns = np.nonzero(picture[..., 0].astype(int) - picture[..., 1] >= most / 2)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else None


def agrees(sample: Sample, most: int = 255) -> bool:
    """Whether the box is where the red is, to a pixel; True too where it has no box and no red wider than a pixel."""
    found = red_bounds(sample.picture, most)
    if found is None or not len(sample.boxes):
        return (found is None or min(found[2] - found[0], found[3] - found[1]) <= 2) and not len(sample.boxes)
    return bool(np.abs(sample.boxes[0, :4] - found).max() <= 1.1)


@pytest.mark.parametrize(("width", "height"), [(100, 50), (50, 100), (200, 301), (128, 128), (33, 17)])
def test_a_letterbox_scales_by_the_smaller_ratio_and_its_boxes_come_back(width: int, height: int) -> None:
    sample = drawn(width, height, width // 4, height // 3, width // 2, height * 2 // 3)
    picture, ratio = letterbox(sample.picture, SIDE, SIDE)
    # By hand: 128 over the longer side; the shorter side is rounded down; grey beyond it.
    assert ratio == SIDE / max(width, height)
    assert picture.shape == (SIDE, SIDE, 3)
    inside = picture[: math.floor(height * ratio), : math.floor(width * ratio)]
    assert not (inside == 114).all(axis=2).any()
    assert int((picture == 114).all(axis=2).sum()) == SIDE * SIDE - inside.shape[0] * inside.shape[1]
    assert agrees(boxed(sample, SIDE))
    back = from_letterbox(sample.boxes[:, :4] * ratio, ratio, (width, height))
    np.testing.assert_allclose(back, sample.boxes[:, :4])
    assert from_letterbox(np.array([[-5.0, -5, 500, 500]]), ratio, (width, height)).tolist() == [[0, 0, width, height]]


def turned(sample: Sample, seed: int) -> Sample:
    config = AugmentationConfig(degrees=25, shear=8, translate=0.2, mosaic_scale=(0.5, 2))
    return transformed(sample, affine_matrix(SIDE, config, RANDOM(seed)), SIDE)


def four(sample: Sample, seed: int) -> Sample:
    """In one of the four places."""
    samples = [black(90, 60), black(40, 80), black(70, 70)]
    samples.insert(seed % 4, sample)
    return mosaic(samples, SIDE, AugmentationConfig(degrees=0, shear=0, mosaic_scale=(0.4, 1.6)), RANDOM(seed))


@pytest.mark.parametrize("change", [turned, four, lambda sample, _: mirrored(sample)])
def test_a_box_is_where_its_pixels_are(change: Callable[[Sample, int], Sample]) -> None:
    kept = 0
    for seed in range(60):
        random = RANDOM([seed, 1])
        x1, y1 = random.integers(0, 60, 2)
        width, height = random.integers(8, 40, 2)
        after = change(drawn(100, 100, x1, y1, x1 + width, y1 + height), seed)
        whole = len(after.boxes) and ((after.boxes[0, :4] > 0) & (after.boxes[0, :4] < SIDE)).all()
        # A turned box that is cut is the bounds of the whole one, cut: more than what is left to be seen.
        assert agrees(after) or (change is turned and not whole), seed
        kept += len(after.boxes)
    assert kept > 20, "most boxes are still to be seen"


def test_a_turn_is_about_the_upper_left_corner_of_the_first_pixel() -> None:
    """A quarter turn brings the pixels of column 0 to row 0, exactly, where centres and edges agree."""
    quarter = np.array([[0.0, 1, 0], [1, 0, 0]])
    after = transformed(drawn(SIDE, SIDE, 10, 20, 40, 90), quarter, SIDE)
    assert after.boxes.tolist() == [[20, 10, 90, 40, 3]]
    assert red_bounds(after.picture) == [20, 10, 90, 40]
    double = transformed(drawn(SIDE, SIDE, 10, 20, 40, 60), np.array([[2.0, 0, 0], [0, 2, 0]]), SIDE)
    assert double.boxes.tolist() == [[20, 40, 80, 120, 3]]
    assert red_bounds(double.picture) == [20, 40, 80, 120]


def test_mixup_holds_both_pictures_by_half_and_the_objects_of_both() -> None:
    config = AugmentationConfig(mixup_scale=(0.6, 1.5))
    first = Sample(np.full((SIDE, SIDE, 3), 200, np.uint8), np.array([[1.0, 2, 30, 40, 7]]))
    for seed in range(40):
        after = mixup(first, drawn(100, 80, 20, 30, 60, 70), config, RANDOM(seed))
        assert after.boxes[0].tolist() == [1, 2, 30, 40, 7]
        assert agrees(Sample(after.picture, after.boxes[1:]), most=127), seed
        # By hand: half of 200 over red, black and grey.
        values = set(map(tuple, after.picture[::5, ::5].reshape(-1, 3).tolist()))
        assert (100, 100, 100) in values or (157, 157, 157) in values


def test_what_is_a_pixel_or_less_is_no_object_any_more() -> None:
    shrunk = transformed(drawn(SIDE, SIDE, 10, 10, 20, 14), np.array([[0.25, 0, 0], [0, 0.25, 0]]), SIDE)
    assert shrunk.boxes.shape == (0, 5), "a quarter of 4 pixels is 1"
    kept = transformed(drawn(SIDE, SIDE, 10, 10, 20, 15), np.array([[0.25, 0, 0], [0, 0.25, 0]]), SIDE)
    assert len(kept.boxes) == 1


def test_colours_stay_within_their_bounds_and_nothing_is_drawn_where_all_are_off() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    off = AugmentationConfig(hue=0, saturation=0, value=0)
    assert recoloured(grey, off, RANDOM(0)) is grey
    bright = AugmentationConfig(hue=0, saturation=0, value=30)
    values = {int(recoloured(grey, bright, RANDOM(seed)).max()) for seed in range(60)}
    assert min(values) >= 70
    assert max(values) <= 130
    assert len(values) > 10
    white = np.full((4, 4, 3), 255, np.uint8)
    assert all(recoloured(white, bright, RANDOM(seed)).min() >= 225 for seed in range(20)), "it does not go round"
