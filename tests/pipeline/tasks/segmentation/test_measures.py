"""J and F of single frames: figures by hand, and boundaries compared pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drawn_masks import blot

from pipeline.tasks.segmentation.metrics.measures import boundary, contour_accuracy, region_similarities, tolerance

DAVIS = 480, 854


def single(y: int, x: int, shape: tuple[int, int] = DAVIS) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[y, x] = True
    return mask


def by_hand(found: np.ndarray, true: np.ndarray) -> float:
    """F of every pair of boundary pixels, in whole numbers."""
    reach = math.ceil(0.008 * math.hypot(*found.shape))
    edges = []
    for mask in (found, true):
        height, width = mask.shape
        at = [
            (y, x)
            for y in range(height)
            for x in range(width)
            if len({bool(mask[min(y + dy, height - 1), min(x + dx, width - 1)]) for dy in (0, 1) for dx in (0, 1)}) > 1
        ]
        edges.append(np.array(at))
    squares = ((edges[0][:, None] - edges[1][None]) ** 2).sum(axis=2)
    precision, recall = (squares.min(axis=axis) <= reach**2 for axis in (1, 0))
    p, r = precision.mean(), recall.mean()
    return 2 * p * r / (p + r) if p + r else 0.0


@pytest.mark.parametrize(("height", "width", "salt"), [(40, 60, 1), (64, 64, 2), (90, 50, 3)])
def test_f_is_that_of_every_pair_of_boundary_pixels(height: int, width: int, salt: int) -> None:
    """Shapes that touch the edges of the picture are among them."""
    true = blot(height, width, width // 3, height // 4, 14, 5, salt)
    for x in (width // 3 + 2, 2, width - 4):
        found = blot(height, width, x, height // 4 + 1, 13, 7, salt + 9)
        assert contour_accuracy(found, true) == by_hand(found, true)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 854), 8), ((480, 910), 9), ((1080, 1920), 18), ((256, 256), 3), ((120, 160), 2), ((64, 64), 1)],
)
def test_the_tolerance_is_a_share_of_the_diagonal_rounded_up(size: tuple[int, int], expected: int) -> None:
    assert tolerance(*size) == expected


@pytest.mark.parametrize(("moved", "expected"), [(8, 1.0), (9, 0.5), (10, 0.0)])
def test_a_pixel_moved_by_the_tolerance_has_a_perfect_contour_and_no_region(moved: int, expected: float) -> None:
    true, found = single(200, 300), single(200, 300 + moved)
    assert contour_accuracy(found, true) == expected
    assert region_similarities(found.astype(np.uint8), true.astype(np.uint8), [1]).tolist() == [0.0]


@pytest.mark.parametrize(
    ("down", "right", "expected"), [(5, 6, 1.0), (6, 6, 0.75), (1, 8, 0.75), (3, 8, 0.5), (7, 7, 0.0)]
)
def test_the_tolerance_is_a_round_disk_whose_rim_counts(down: int, right: int, expected: float) -> None:
    assert contour_accuracy(single(200 + down, 300 + right), single(200, 300)) == expected


def test_a_boundary_lies_half_a_pixel_up_and_left() -> None:
    shape = 6, 7
    assert np.argwhere(boundary(single(3, 4, shape))).tolist() == [[2, 3], [2, 4], [3, 3], [3, 4]]
    assert np.argwhere(boundary(single(0, 0, shape))).tolist() == [[0, 0]]
    # The last pixel of the picture never is one.
    assert np.argwhere(boundary(single(5, 6, shape))).tolist() == [[4, 5], [4, 6], [5, 5]]


def test_a_mask_that_fills_the_picture_has_no_boundary() -> None:
    full, none = np.ones(DAVIS, np.bool_), np.zeros(DAVIS, np.bool_)
    half = full.copy()
    half[240:] = False
    labels = [mask.astype(np.uint8) for mask in (full, none, half)]
    assert not boundary(full).any()
    assert (contour_accuracy(none, full), region_similarities(labels[1], labels[0], [1])[0]) == (1.0, 0.0)
    assert (contour_accuracy(full, half), region_similarities(labels[0], labels[2], [1])[0]) == (0.0, 0.5)


def test_two_empty_masks_are_equal_and_one_is_all_wrong() -> None:
    none, some = np.zeros(DAVIS, np.bool_), single(200, 300)
    assert (contour_accuracy(none, none), contour_accuracy(none, some), contour_accuracy(some, none)) == (1, 0, 0)
    labels = [mask.astype(np.uint8) for mask in (none, some)]
    assert region_similarities(labels[0], labels[0], [1]) == 1
    assert region_similarities(labels[0], labels[1], [1]) == 0
    assert region_similarities(labels[1], labels[0], [1]) == 0


def test_j_is_intersection_over_union_of_each_object() -> None:
    true, found = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    true[0:4], true[4:6] = 1, 7
    found[1:5], found[5:6] = 1, 7
    # Rows: 3 of 5 are common for object 1, 1 of 2 for object 7, none of 3 that either has for 9.
    found[9] = 9
    assert region_similarities(found, true, [1, 7, 9]).tolist() == [3 / 5, 1 / 2, 0.0]
