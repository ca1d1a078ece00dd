"""torchvision's suppression of overlapping boxes, which detectors run on the host, where it is not as one would expect.

Measured with torch 2.3.1 and torchvision 0.18.1, and with 2.14.1 and 0.29.1.
"""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import batched_nms, nms

BOX = [0.0, 0, 20, 10]


def test_of_equal_scores_the_first_stays() -> None:
    for count in (2, 5, 1000):
        assert nms(torch.tensor([BOX] * count), torch.full((count,), 0.5), 0.5).tolist() == [0]


@pytest.mark.parametrize(("rows", "dropped"), [(12, True), (11, False), (13, True)])
def test_an_overlap_equal_to_the_threshold_depends_on_the_type(rows: int, dropped: bool) -> None:
    """12 of 20 rows are .6: as float32 that is above the threshold, which is a double."""
    boxes = torch.tensor([[0.0, 0, 10, 20], [0, 0, 10, rows]])
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.6).tolist() == ([0] if dropped else [0, 1])
    assert nms(boxes.double(), scores.double(), 0.6).tolist() == ([0] if rows > 12 else [0, 1])


def test_boxes_without_area_do_not_suppress_each_other() -> None:
    assert nms(torch.tensor([[5.0, 5, 5, 5]] * 3), torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 1, 2]


def test_classes_do_not_suppress_each_other_unless_all_coordinates_are_negative() -> None:
    """They are told apart by a shift of the largest coordinate and one more, which here is nothing."""
    scores, classes = torch.tensor([0.9, 0.8]), torch.tensor([0, 1])
    assert len(batched_nms(torch.tensor([BOX, BOX]), scores, classes, 0.5)) == 2
    negative = torch.tensor([BOX, BOX]) - 21  # the largest coordinate is -1
    assert len(batched_nms(negative, scores, classes, 0.5)) == 1


def test_the_kept_boxes_are_those_of_a_loop_over_the_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(3000, 2, generator=generator) * 600
    boxes = torch.cat([corners, corners + 5 + torch.rand(3000, 2, generator=generator) * 60], dim=1)
    scores, classes = torch.rand(3000, generator=generator), torch.randint(0, 5, (3000,), generator=generator)
    kept = {int(i) for label in range(5) for own in [torch.nonzero(classes == label)[:, 0]]
            for i in own[nms(boxes[own], scores[own], 0.65)]}  # fmt: skip
    assert set(batched_nms(boxes, scores, classes, 0.65).tolist()) == kept
    assert 0 < len(kept) < 3000
