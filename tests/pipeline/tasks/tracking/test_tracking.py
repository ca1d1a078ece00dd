"""Crops, the score map's geometry, the tracking loop and the losses, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from netx import Range
from pipeline.core.boxes import iou
from pipeline.models.pixels import from_pixels, pixel_range, to_pixels
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.crop import (
    centre,
    context_side,
    crop,
    positions,
    to_crop,
)
from pipeline.tasks.tracking.losses import centreness, focal_loss, tracking_loss
from pipeline.tasks.tracking.predictor import Geometry, ScoreMap, track
from pipeline.training.distillation.dense_boxes import box_iou, distances_to_sides

GEOMETRY = Geometry(template=48, search=128, stride=4, pixel_bits=5)


def picture_of(box, height: int = 120, width: int = 160) -> np.ndarray:
    """A black frame in which the pixels of ``box`` are white."""
    frame = np.zeros((height, width, 3), np.uint8)
    x, y, w, h = box
    frame[y : y + h, x : x + w] = 255
    return frame


def white_bounds(image: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(image[..., 0] > 127)
    return np.array([columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1])


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.5])
def test_a_crop_shows_a_box_where_its_geometry_says(scale):
    box = np.array([60, 40, 24, 16])
    middle = np.array([70.0, 50.0])
    seen = white_bounds(crop(picture_of(box), middle, scale, 128))
    np.testing.assert_allclose(seen, to_crop(box.astype(float), middle, scale, 128), atol=1.0)


def test_a_crop_at_scale_one_is_the_frame_itself():
    frame = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    np.testing.assert_array_equal(crop(frame, np.array([25.0, 20.0]), 1.0, 20), frame[10:30, 15:35])


def test_outside_the_frame_a_crop_shows_the_mean_colour():
    frame = np.zeros((40, 40, 3), np.uint8)
    frame[:, :20] = (200, 100, 50)
    assert crop(frame, np.array([-100.0, 20.0]), 1.0, 16)[8, 8].tolist() == [100, 50, 25]


def test_the_context_of_a_square_target_is_half_its_side_more():
    # p = 0.25 * (20 + 20) = 10, side = sqrt(30 * 30)
    assert context_side(np.array([0, 0, 20, 20.0]), 0.25) == pytest.approx(30)
    assert centre(np.array([10, 20, 30, 40.0])).tolist() == [25, 40]


def test_pixels_are_the_top_bits_centred_on_zero():
    image = np.array([[[[0, 7, 8], [127, 128, 255]]]], np.uint8)
    pixels = to_pixels(image, 5)
    assert pixels.shape == (1, 3, 1, 2)
    assert pixels[0, :, 0].T.tolist() == [[-16, -16, -15], [-1, 0, 15]]
    assert pixel_range(5) == Range(-16, 15)
    assert from_pixels(pixels[0], 5).tolist() == [[[0, 0, 8], [120, 128, 248]]]


def test_score_positions_are_centred_on_the_crop():
    assert positions(3, 4, 128).tolist() == [60, 64, 68]
    assert positions(2, 8, 100).tolist() == [46, 54]


@pytest.mark.parametrize(
    ("other", "expected"),
    [((0, 0, 10, 10), 1.0), ((5, 0, 10, 10), 1 / 3), ((20, 20, 5, 5), 0.0), ((0, 0, 5, 5), 0.25)],
)
def test_intersection_over_union(other, expected):
    assert iou(np.array([0, 0, 10, 10.0]), np.array(other, dtype=float)) == pytest.approx(expected)


class Oracle:
    """A scorer that knows the true boxes, and answers for the crop that a tracker without error would have made."""

    def __init__(self, boxes: np.ndarray, settings: TrackerConfig) -> None:
        self.boxes, self.settings, self.frame, self.programmed = boxes, settings, 0, False

    def program(self, template) -> None:
        self.programmed = template.shape == (1, 3, 48, 48)

    def score(self, search) -> ScoreMap:
        assert search.shape == (1, 3, 128, 128)
        before, now = self.boxes[self.frame], self.boxes[self.frame + 1]
        self.frame += 1
        scale = 48 / context_side(before, self.settings.context)
        x, y, width, height = to_crop(now, centre(before), scale, 128)
        at = positions(21, 4, 128)
        columns, rows = np.meshgrid(at, at)
        distances = np.stack([columns - x, rows - y, x + width - columns, y + height - rows])
        middle = np.hypot(columns - x - width / 2, rows - y - height / 2)
        return ScoreMap(np.exp(-((middle / 6) ** 2)), distances)


def test_a_tracker_with_a_perfect_network_is_on_the_target_at_every_frame():
    settings = TrackerConfig(size_rate=1.0, penalty=0.0, window=0.0)
    steps = np.arange(12)
    boxes = np.stack([30 + 3.0 * steps, 40 + 2.0 * steps, np.full(12, 24.0), np.full(12, 20.0)], axis=1)
    frames = np.zeros((12, 120, 160, 3), np.uint8)
    oracle = Oracle(boxes, settings)
    done = []
    tracked = track(oracle, frames, boxes[0], GEOMETRY, settings, lambda: done.append(1))
    assert oracle.programmed
    assert len(done) == 12
    np.testing.assert_allclose(tracked, boxes, atol=1e-6)


def test_a_box_that_runs_out_of_the_frame_keeps_its_middle_inside():
    class Runaway:
        def program(self, _) -> None: ...

        def score(self, _) -> ScoreMap:
            distances = np.full((4, 21, 21), 1.0)
            distances[2] = 400.0  # its right side lies far to the right
            return ScoreMap(np.ones((21, 21)), distances)

    frames = np.zeros((6, 50, 60, 3), np.uint8)
    tracked = track(Runaway(), frames, np.array([20.0, 20, 10, 10]), GEOMETRY, TrackerConfig())
    middle = tracked[:, :2] + tracked[:, 2:] / 2
    assert (middle >= 0).all()
    assert (middle <= [60, 50]).all()
    assert (tracked[:, 2:] >= 4).all()


def test_labels_of_a_box_of_known_sides():
    box = torch.tensor([[2.0, 3.0, 8.0, 4.0]])  # x 2..10, y 3..7
    sides = distances_to_sides(box, torch.tensor([1.0, 4.0, 6.0]))
    assert sides[0, :, 1, 2].tolist() == [4.0, 1.0, 4.0, 3.0]  # y = 4, x = 6
    assert (sides[0] > 0).all(dim=0).tolist() == [[False] * 3, [False, True, True], [False, True, True]]
    # At x = 6, y = 4: sqrt(4 / 4 * 1 / 3)
    assert centreness(sides)[0, 1, 2].item() == pytest.approx((1 / 3) ** 0.5, rel=1e-4)


def test_focal_loss_is_torchvisions():
    logits = torch.linspace(-20, 20, 101, dtype=torch.float64, requires_grad=True)
    positive = torch.arange(101) % 3 == 0
    ours = focal_loss(logits, positive, 0.75, 1.5)
    theirs = sigmoid_focal_loss(logits, positive.double(), 0.75, 1.5)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-12)
    gradients = (torch.autograd.grad(loss.sum(), logits)[0] for loss in (ours, theirs))
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-12)


def test_focal_loss_of_one_logit():
    p = 1 / (1 + np.exp(-0.7))
    logits = torch.tensor([0.7, 0.7])
    loss = focal_loss(logits, torch.tensor([True, False]), 0.25, 2.0)
    assert loss[0].item() == pytest.approx(-0.25 * (1 - p) ** 2 * np.log(p), rel=1e-5)
    assert loss[1].item() == pytest.approx(-0.75 * p**2 * np.log(1 - p), rel=1e-5)


def test_iou_of_boxes_by_their_sides():
    same = torch.tensor([[2.0, 1.0, 2.0, 1.0]]).reshape(1, 4, 1, 1)
    other = torch.tensor([[0.0, 1.0, 2.0, 1.0]]).reshape(1, 4, 1, 1)
    assert box_iou(same, same).item() == pytest.approx(1.0)
    assert box_iou(same, other).item() == pytest.approx(0.5)


def test_a_pair_of_two_targets_teaches_only_that_the_box_holds_no_target():
    points = torch.tensor([2.0, 6.0, 10.0])
    box = torch.tensor([[4.0, 4.0, 4.0, 4.0]])  # holds the middle position alone
    readout = {"class": torch.full((1, 1, 3, 3), 0.7), "centre": torch.zeros(1, 1, 3, 3)}
    predicted = torch.full((1, 4, 3, 3), 2.0)
    losses = tracking_loss(readout, predicted, box, torch.tensor([False]), points)
    p = 1 / (1 + np.exp(-0.7))
    assert losses["class"].item() == pytest.approx(-0.75 * p**2 * np.log(1 - p), rel=1e-5)
    assert losses["centre"].item() == losses["box"].item() == 0
    # The same pair with the target: a perfect box costs nothing, a perfect centre has centre-ness 1.
    losses = tracking_loss(readout, predicted, box, torch.tensor([True]), points)
    assert losses["box"].item() == pytest.approx(0, abs=1e-5)
    assert losses["centre"].item() == pytest.approx(np.log(2), rel=1e-3)
