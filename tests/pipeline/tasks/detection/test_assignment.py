"""SimOTA on grids that are worked out by hand, and against its definition in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipeline.tasks.detection.assignment import Assignment, assign
from pipeline.tasks.detection.decoding import Answers, answers_of

FAR = (100.0, 100.0, 108.0, 108.0)
"""A box that overlaps with none of the objects."""


def grid(corners: dict[int, tuple[float, ...]], classes: int = 2, logits: dict[int, float] | None = None) -> Answers:
    """Four by four cells of stride 8, numbered row by row, that say these boxes and FAR elsewhere. Logits are -3 of all
    classes, other than the first one's of cells in ``logits``, and 0 of objects."""
    cells = torch.tensor([[x, y] for y in range(4) for x in range(4)], dtype=torch.float32)
    empty = Answers(torch.full((1, 16, classes), -3.0), torch.zeros(1, 16), torch.zeros(1), cells, torch.full((16,), 8))
    boxes = torch.tensor([corners.get(index, FAR) for index in range(16)])[None]
    for cell, logit in (logits or {}).items():
        empty.classes[0, cell, 0] = logit
    return Answers(empty.classes, empty.objects, empty.encoded(boxes), cells, empty.strides)


def truth(*objects: tuple[float, ...]) -> Tensor:
    return torch.tensor(objects)[None]


def owners(assignment: Assignment) -> dict[int, int]:
    return {cell: int(owner) for cell, owner in enumerate(assignment.objects[0]) if owner >= 0}


SQUARE = (4.0, 4.0, 20.0, 20.0, 0.0)
"""Of class 0, with its centre in the middle of cell 5; 256 square pixels."""
SAID = {5: (4.0, 4.0, 20.0, 20.0), 6: (4.0, 4.0, 20.0, 16.0), 9: (4.0, 4.0, 20.0, 12.0)}
"""Boxes that overlap with it by 1, .75 and .5."""


def test_an_object_gets_as_many_cells_as_its_overlaps_come_to():
    """1 + .75 + .5 is 2.25: two cells, those of least -3 log IoU."""
    found = assign(grid(SAID), truth(SQUARE), "centre", 1.5)
    assert owners(found) == {5: 0, 6: 0}
    assert found.overlaps[0, [5, 6, 9]].tolist() == pytest.approx([1, 0.75, 0])


def test_a_cell_that_knows_the_class_makes_up_for_overlap():
    """-3 log(.5) + 3 log(.75) is 1.22 more. Scores sqrt(p_class p_object) are .154, and .690 where the logit is 3: the
    cross-entropy is 1.50 less."""
    scores = [math.sqrt(0.5 / (1 + math.exp(-logit))) for logit in (-3, 3)]
    assert 3 * math.log(0.75 / 0.5) < math.log(scores[1] / scores[0])
    assert owners(assign(grid(SAID, logits={9: 3.0}), truth(SQUARE), "centre", 1.5)) == {5: 0, 9: 0}


def test_a_cell_that_two_objects_want_goes_to_the_cheaper():
    """Cell 5's box overlaps with the first object by 1 and with the second by 1/7; the second gets its next."""
    second = (12.0, 12.0, 28.0, 28.0, 0.0)
    said = {5: SQUARE[:4], 10: (16.0, 16.0, 24.0, 24.0)}
    found = assign(grid(said), truth(SQUARE, second), "centre", 1.5)
    assert owners(found) == {5: 0, 10: 1}
    assert found.overlaps[0, 10].item() == pytest.approx(0.25)
    assert owners(assign(grid({5: SQUARE[:4]}), truth(SQUARE, SQUARE), "centre", 1.5))[5] == 0, "the first of equals"


def test_padding_and_pictures_without_objects_get_no_cell():
    none = (0.0, 0.0, 0.0, 0.0, -1.0)
    assert owners(assign(grid(SAID), truth(SQUARE, none), "centre", 1.5)) == {5: 0, 6: 0}
    assert owners(assign(grid(SAID), truth(none), "centre", 1.5)) == {}


@pytest.mark.parametrize(("candidates", "radius", "cell"), [("centre", 1.5, 1), ("centre_or_box", 2.5, 0)])
def test_candidates_are_near_the_centre_or_also_in_the_box(candidates, radius, cell):
    """A flat box over all of the first row, whose centre is 16, 4: the middle of cell 0, 4, 4, is exactly 1.5 cells
    from it, and so not less. Cell 0 says the very box, cell 1 half of it."""
    said = {0: (0.0, 0.0, 32.0, 8.0), 1: (0.0, 0.0, 16.0, 8.0)}
    assert owners(assign(grid(said), truth((0.0, 0.0, 32.0, 8.0, 0.0)), candidates, radius)) == {cell: 0}


def test_a_cell_outside_of_the_box_costs_more():
    """Cell 4 is within 2.5 cells of the centre 16, 4, but not in the box."""
    said = {4: (0.0, 0.0, 32.0, 8.0), 1: (0.0, 0.0, 16.0, 8.0)}
    assert owners(assign(grid(said), truth((0.0, 0.0, 32.0, 8.0, 0.0)), "centre_or_box", 2.5)) == {1: 0}


@pytest.mark.parametrize(("candidates", "radius"), [("centre", 1.5), ("centre_or_box", 2.5)])
def test_all_pictures_at_once_are_assigned_as_one_after_the_other(candidates, radius):
    torch.manual_seed(5)
    tensors = {}
    for stride in (8, 16, 32):
        side = 64 // stride
        tensors |= {f"class_{stride}": torch.randn(3, 4, side, side), f"object_{stride}": torch.randn(3, 1, side, side)}
        tensors[f"box_{stride}"] = torch.randn(3, 4, side, side) + torch.tensor([0, 0, 1, 1]).view(1, 4, 1, 1)
    answers = answers_of(tensors)
    corner, label = torch.rand(3, 5, 2) * 40, torch.randint(0, 4, (3, 5, 1)).float()
    objects = torch.cat([corner, corner + 6 + torch.rand(3, 5, 2) * 30, label], dim=-1)
    objects[1, 3:] = torch.tensor([0, 0, 0, 0, -1.0])
    found = assign(answers, objects, candidates, radius)
    for frame in range(3):
        own = [one.tolist() for one in objects[frame] if one[4] >= 0]
        assert owners(Assignment(found.objects[frame : frame + 1], found.overlaps)) == in_loops(
            answers, frame, own, candidates, radius
        )


def in_loops(answers: Answers, frame: int, objects: list, candidates: str, radius: float) -> dict[int, int]:
    """The definition, object by object and cell by cell."""
    costs, overlaps, wants = {}, {}, {}
    both, any_of = {}, set()
    for number, (x1, y1, x2, y2, _) in enumerate(objects):
        for cell, (x, y) in enumerate(answers.middles.tolist()):
            reach = radius * float(answers.strides[cell])
            near = abs(x - (x1 + x2) / 2) < reach and abs(y - (y1 + y2) / 2) < reach
            within = x1 < x < x2 and y1 < y < y2
            if near or (within and candidates == "centre_or_box"):
                any_of.add(cell)
            both[number, cell] = near and (within or candidates == "centre")
    for number, (*box, label) in enumerate(objects):
        for cell in any_of:
            overlap = iou(box, answers.corners[frame, cell].tolist())
            p_object = torch.sigmoid(answers.objects[frame, cell])
            scores = torch.sqrt(torch.sigmoid(answers.classes[frame, cell]) * p_object).tolist()
            entropy = sum(-math.log(p if index == label else 1 - p) for index, p in enumerate(scores))
            badly = 0 if both[number, cell] else 1e6 if candidates == "centre" else 1e5
            costs[number, cell] = entropy - 3 * math.log(overlap + 1e-8) + badly
            overlaps[number, cell] = overlap
        best = sorted((overlaps[number, cell] for cell in any_of), reverse=True)[:10]
        by_cost = sorted(any_of, key=lambda cell: costs[number, cell])
        for cell in by_cost[: max(1, int(sum(best)))]:
            wants.setdefault(cell, []).append(number)
    everybody = range(len(objects))
    return {
        cell: own[0] if len(own) == 1 else min(everybody, key=lambda number: costs[number, cell])
        for cell, own in wants.items()
    }


def iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)
