"""Masks of foreground and background: the toy box by hand, the formula in loops, and what boxes there are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipeline.training.distillation.config import BoxMask
from pipeline.training.distillation.foreground import PictureBoxes, box_masks

RELEASED = BoxMask(sigma="centre", axes="swapped", grid="linspace")
TOY = (10.0, 50.0, 20.0, 70.0)
"""x 10 to 20, y 50 to 70, of a map of one position a pixel: 11 x 21 positions, and 5 and 10 on each side of them."""
WEIGHT = 1 / (11 * 21)


def pictured(*frames: list[tuple[float, ...]], height: int = 100, width: int = 100) -> PictureBoxes:
    """Boxes of each frame, of class 0, padded to one more than the most that a frame has."""
    most = max(map(len, frames)) + 1
    rows = [[(*box, 0.0) for box in boxes] + [(3.0, 4.0, 9.0, 9.0, -1.0)] * (most - len(boxes)) for boxes in frames]
    return PictureBoxes(torch.tensor(rows, dtype=torch.float64), height, width)


def foreground(config: BoxMask, box: tuple[float, ...] = TOY) -> torch.Tensor:
    """In multiples of what the toy box has."""
    return box_masks(pictured([box]), 100, 100, 1, config)[0][0] / WEIGHT


def ring(values: torch.Tensor) -> torch.Tensor:
    around = values.clone()
    around[50:71, 10:21] = 0
    return around


def test_the_box_itself_is_level_and_its_ring_falls_off_to_two_deviations_at_every_side():
    values = foreground(BoxMask())
    assert (values[50:71, 10:21] == 1).all()
    assert values[60, 9].item() == pytest.approx(math.exp(-((6 / 5) ** 2) / 2))
    # One deviation is half a side, 5 and 10: the ring's middle ends at exp(-2), its corners at exp(-4).
    for row, column in ((60, 5), (60, 25), (40, 15), (80, 15)):
        assert values[row, column].item() == pytest.approx(math.exp(-2))
    for row, column in ((40, 5), (40, 25), (80, 5), (80, 25)):
        assert values[row, column].item() == pytest.approx(math.exp(-4))
    assert int((values > 0).sum()) == 41 * 21


def test_in_the_released_code_the_ring_peaks_at_the_wrong_corner_and_at_a_fifth():
    """Rows, from 40, are compared with the centre's column, 15, and columns, up to 25, with its row, 60."""
    around = ring(foreground(RELEASED))
    assert around.max().item() == pytest.approx(math.exp(-((25 / 15) ** 2 + (35 / 60) ** 2) / 2))
    assert around.max().item() == pytest.approx(0.2103, abs=1e-4)
    assert divmod(int(around.argmax()), 100) == (40, 24)
    assert int((foreground(RELEASED) > 0).sum()) == 40 * 20  # a row and a column fewer


def test_with_its_axes_mended_the_released_ring_is_nearly_level():
    values = foreground(BoxMask(sigma="centre"))
    assert values[40, 5].item() == pytest.approx(math.exp(-((10 / 15) ** 2 + (20 / 60) ** 2) / 2))
    assert values[values > 0].min().item() == pytest.approx(0.7575, abs=1e-4)
    assert values.max().item() == 1


def test_the_released_deviation_depends_on_where_the_box_is_and_ours_does_not():
    moved = (30.0, 10.0, 40.0, 30.0)
    centred = BoxMask(sigma="centre")
    assert torch.allclose(foreground(BoxMask())[40:81, 5:26], foreground(BoxMask(), moved)[0:41, 25:46])
    assert foreground(centred, moved)[0, 25].item() == pytest.approx(math.exp(-((10 / 35) ** 2 + 1) / 2))


def test_the_evenly_spread_numbers_are_a_step_longer_than_positions():
    values = foreground(BoxMask(sigma="centre", grid="linspace", gaussian="whole"))
    # Column 15 is the 11th of 20 numbers from 5 to 25, row 41 the 2nd of 40 from 40 to 80.
    x, y = 5 + 10 * 20 / 19, 40 + 40 / 39
    assert values[41, 15].item() == pytest.approx(math.exp(-(((x - 15) / 15) ** 2 + ((y - 60) / 60) ** 2) / 2))


def test_a_gaussian_over_all_has_its_peak_in_the_middle_and_none_is_the_box_alone():
    whole, none = foreground(BoxMask(gaussian="whole")), foreground(BoxMask(gaussian="none"))
    assert whole[60, 15].item() == 1
    assert whole[60, 20].item() == pytest.approx(math.exp(-0.5))
    assert torch.equal(ring(whole), ring(foreground(BoxMask())))
    assert none.sum().item() == pytest.approx(11 * 21)
    assert not ring(none).any()


def by_loops(boxes: list[tuple[float, ...]], rows: int, columns: int, config: BoxMask) -> np.ndarray:
    """The formula position by position; boxes in positions of the map, within it."""
    mask = np.zeros((rows, columns))
    for x1, y1, x2, y2 in boxes:
        left, right, top, bottom = math.floor(x1), math.ceil(x2), math.floor(y1), math.ceil(y2)
        area = 1 / ((bottom + 1 - top) * (right + 1 - left))
        middle = {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2}
        half = {"x": (right - left) / 2, "y": (bottom - top) / 2}
        sigma = half if config.sigma == "box" else middle
        for_row, for_column = ("x", "y") if config.axes == "swapped" else ("y", "x")
        around = (bottom - top) // 2, (right - left) // 2
        if config.grid == "linspace":
            starts = max(top - around[0], 0), max(left - around[1], 0)
            ends = min(bottom + around[0], rows), min(right + around[1], columns)
            grid = [np.linspace(start, end, end - start) for start, end in zip(starts, ends, strict=True)]
        else:
            starts = top - around[0], left - around[1]
            ends = bottom + around[0] + 1, right + around[1] + 1
            grid = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
        for row in range(rows):
            for column in range(columns):
                value = 0.0
                if starts[0] <= row < ends[0] and starts[1] <= column < ends[1] and config.gaussian != "none":
                    y, x = grid[0][row - starts[0]], grid[1][column - starts[1]]
                    square = ((y - middle[for_row]) / sigma[for_row]) ** 2
                    square += ((x - middle[for_column]) / sigma[for_column]) ** 2
                    value = area * math.exp(-square / 2)
                if top <= row <= bottom and left <= column <= right and config.gaussian != "whole":
                    value = area
                mask[row, column] = max(mask[row, column], value)
    return mask


BOXES = [
    [(1.2, 2.0, 4.4, 8.9), (3.0, 3.0, 5.0, 5.0), (0.0, 9.5, 11.0, 13.0)],
    [],
    [(7.1, 6.2, 7.6, 6.9)],  # smaller than a position
]


@pytest.mark.parametrize("gaussian", ["ring", "whole", "none"])
@pytest.mark.parametrize("sigma", ["box", "centre"])
@pytest.mark.parametrize("axes", ["own", "swapped"])
@pytest.mark.parametrize("grid", ["positions", "linspace"])
def test_masks_are_those_of_the_formula_in_loops(gaussian, sigma, axes, grid):
    config = BoxMask(gaussian=gaussian, sigma=sigma, axes=axes, grid=grid)
    in_pixels = [[tuple(4 * side for side in box) for box in boxes] for boxes in BOXES]
    ours, background = box_masks(pictured(*in_pixels, height=56, width=48), 14, 12, 4, config)
    assert ours.shape == background.shape == (3, 14, 12)
    for frame, boxes in enumerate(BOXES):
        wanted = by_loops(boxes, 14, 12, config)
        np.testing.assert_allclose(ours[frame].numpy(), wanted, rtol=1e-6, atol=1e-12)
        outside = wanted == 0
        np.testing.assert_allclose(background[frame].numpy(), outside / max(outside.sum(), 1))


def test_the_weight_of_a_small_box_is_not_lost_in_a_large_one():
    mask, _ = box_masks(pictured([(10, 10, 50, 50), (20, 20, 22, 22)]), 100, 100, 1, BoxMask(gaussian="none"))
    assert mask[0, 21, 21].item() == pytest.approx(1 / 9)
    assert mask[0, 30, 30].item() == pytest.approx(1 / 41**2)


def test_a_map_that_lies_in_the_middle_of_its_picture_sees_what_boxes_have_there():
    """28 positions of stride 8 cover pixels 39.5 to 263.5 of a search crop of 303."""
    inside, edge, beyond = (39.5 + 8 * 4, 39.5 + 8 * 6, 39.5 + 8 * 7, 39.5 + 8 * 9), (0, 0, 60, 60), (0, 0, 30, 300)
    masks, background = box_masks(
        pictured([inside], [edge], [beyond], height=303, width=303), 28, 28, 8, BoxMask(gaussian="none")
    )
    assert [tuple(side.tolist()) for side in masks[0].nonzero().aminmax(dim=0)] == [(6, 4), (9, 7)]
    # From floor(-39.5 / 8) = -5 to ceil(20.5 / 8) = 3.
    assert masks[1].nonzero().amax(dim=0).tolist() == [3, 3]
    assert masks[1, 0, 0].item() == pytest.approx(1 / 9**2)
    assert not masks[2].any()
    assert background[2].sum().item() == pytest.approx(1)


def test_padding_and_pictures_without_boxes_are_all_background():
    padded, alone = (box_masks(pictured(boxes), 10, 10, 10, BoxMask()) for boxes in ([TOY], []))
    assert not alone[0].any()
    assert (alone[1] == 0.01).all()
    nonsense = torch.tensor([[[*TOY, 2.0], [math.nan, 5.0, -3.0, math.inf, -1.0]]], dtype=torch.float64)
    assert torch.equal(box_masks(PictureBoxes(nonsense, 100, 100), 10, 10, 10, BoxMask())[0], padded[0])
    none_at_all = box_masks(PictureBoxes(torch.zeros(2, 0, 5), 100, 100), 10, 10, 10, BoxMask())
    assert not none_at_all[0].any()
    assert none_at_all[0].shape == (2, 10, 10)


def test_a_picture_that_is_all_foreground_has_no_background():
    mask, background = box_masks(pictured([(0, 0, 100, 100)]), 10, 10, 10, BoxMask())
    assert (mask > 0).all()
    assert not background.any()
