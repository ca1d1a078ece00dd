"""Boxes, losses and post-processing with numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from pipeline.core.task import Batch
from pipeline.tasks.detection.assignment import Assignment, assign
from pipeline.tasks.detection.config import DetectionTerm
from pipeline.tasks.detection.decoding import Answers, answers_of
from pipeline.tasks.detection.losses import detection_losses
from pipeline.tasks.detection.postprocessing import detections
from pipeline.tasks.detection.terms import Detection
from pipeline.training.term import Context, NamedTensors


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def still_tensors() -> dict[str, torch.Tensor]:
    """Zeros for a picture of 64 pixels and three classes."""
    sizes = ((8, 8), (16, 4), (32, 2))
    channels = {"class": 3, "object": 1, "box": 4}
    return {f"{name}_{stride}": torch.zeros(1, n, side, side) for stride, side in sizes for name, n in channels.items()}


def test_a_cell_says_the_centre_and_the_logarithm_of_the_size():
    """Stride 16, column 2, row 1: the centre is (2 + .5) 16, (1 + .25) 16, the size 2 x 16, 1 x 16."""
    tensors = still_tensors()
    tensors["box_16"][0, :, 1, 2] = torch.tensor([0.5, 0.25, math.log(2), 0])
    tensors["class_16"][0, :, 1, 2] = torch.tensor([1.0, 2, 3])
    answers = answers_of(tensors)
    assert answers.boxes.shape == (1, 64 + 16 + 4, 4)
    cell = 64 + 1 * 4 + 2
    assert answers.corners[0, cell].tolist() == pytest.approx([24, 12, 56, 28])
    assert answers.middles[cell].tolist() == [40, 24]
    assert answers.classes[0, cell].tolist() == [1, 2, 3]
    torch.testing.assert_close(answers.encoded(answers.corners), answers.boxes, atol=1e-5, rtol=0)


def one_row(boxes: list[list[float]], classes: list[list[float]], objects: list[float]) -> Answers:
    """Cells of stride 8 side by side, which say these corners."""
    cells = torch.tensor([[float(x), 0.0] for x in range(len(boxes))])
    answers = Answers(
        torch.tensor([classes]), torch.tensor([objects]), torch.zeros(1), cells, torch.full((len(boxes),), 8.0)
    )
    corners = torch.tensor([boxes])
    return Answers(answers.classes, answers.objects, answers.encoded(corners), cells, answers.strides)


def test_losses_are_those_of_the_formulas():
    """Two objects. Cell 0 says one of them up to half of it (IoU .5), cell 2 the other one exactly."""
    truth = torch.tensor([[[0.0, 0, 8, 8, 1], [16, 0, 32, 8, 0]]])
    answers = one_row(
        [[0.0, 0, 8, 4], [50, 50, 58, 58], [16, 0, 32, 8]], [[0.5, -1.0], [2, 2], [0, 0]], [1.0, -2.0, 0.0]
    )
    assignment = Assignment(torch.tensor([[0, -1, 1]]), torch.tensor([[0.5, 0, 1]]))
    losses = detection_losses(answers, truth, assignment, with_l1=True)
    assert losses["box"].item() == pytest.approx((1 - 0.5**2) / 2)
    assert losses["object"].item() == pytest.approx((softplus(-1.0) + softplus(-2.0) + math.log(2)) / 2)
    # Cell 0: class 0 is wanted as 0, class 1 as .5. Cell 2: class 0 as 1, class 1 as 0.
    expected = softplus(0.5) + softplus(-1) + 0.5 + 2 * math.log(2)
    assert losses["class"].item() == pytest.approx(expected / 2)
    # Cell 0: its centre is 4, 2 in place of 4, 4, a quarter of a cell, and its height half of the true one.
    assert losses["l1"].item() == pytest.approx((0.25 + math.log(2)) / 2, abs=1e-6)
    assert set(detection_losses(answers, truth, assignment, with_l1=False)) == {"box", "object", "class"}


def test_pictures_without_objects_teach_that_there_are_none():
    answers = one_row([[0.0, 0, 8, 4]], [[1.0]], [1.0])
    answers.boxes.requires_grad_(True)
    nothing = Assignment(torch.tensor([[-1]]), torch.zeros(1, 1))
    losses = detection_losses(answers, torch.tensor([[[0.0, 0, 0, 0, -1]]]), nothing, with_l1=True)
    assert [losses[name].item() for name in ("box", "class", "l1")] == [0, 0, 0]
    assert losses["object"].item() == pytest.approx(softplus(1.0))
    sum(losses.values()).backward()
    assert answers.boxes.grad.abs().sum() == 0


@pytest.mark.parametrize(
    ("when", "steps"), [("plain", {0: False, 89: False, 90: True}), ("always", {0: True}), ("never", {99: False})]
)
def test_l1_is_learned_in_the_part_without_mosaic(when, steps):
    term = Detection(DetectionTerm(kind="detection", model="net", l1=when), plain_from=90)
    batch = Batch({"boxes": torch.tensor([[[4.0, 4, 20, 20, 1]]])}, ())
    for step, there in steps.items():
        losses = term(
            Context(NamedTensors({f"net/{name}": value for name, value in still_tensors().items()}), batch, step)
        )
        assert ("net/l1" in losses) == there
        assert {"net/box", "net/object", "net/class"} <= set(losses)


def test_the_loss_of_boxes_weighs_five_times():
    tensors = still_tensors()
    batch = Batch({"boxes": torch.tensor([[[4.0, 4, 20, 20, 1]]])}, ())
    context = Context(NamedTensors({f"net/{name}": value for name, value in tensors.items()}), batch, 0)
    weighted = Detection(DetectionTerm(kind="detection", model="net"), 10)(context)
    answers = answers_of(tensors)
    assignment = assign(answers, batch["boxes"], "centre", 1.5)
    plain = detection_losses(answers, batch["boxes"], assignment, with_l1=False)
    assert weighted["net/box"] == 5 * plain["box"]
    assert weighted["net/class"] == plain["class"]
    assert weighted["net/object"] == plain["object"]


def test_of_boxes_that_overlap_the_best_of_each_class_is_kept():
    """Boxes 0 and 1 overlap by .8. Scores are p_object p_class: logits of 3 are .953, of 1 .731, of 0 .5."""
    boxes = [[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 10], [40, 40, 50, 50]]
    answers = one_row(boxes, [[3.0, -3], [3, -3], [-3, 3], [3, -3]], [1.0, 3, 0, -1])
    (found,) = detections(answers, score=0.3, overlap=0.65, most=10)
    assert found.classes.tolist() == [0, 1]
    assert found.scores.tolist() == pytest.approx([0.9526**2, 0.9526 * 0.5], rel=1e-3)
    assert found.boxes[0].tolist() == pytest.approx([0, 0, 10, 8], abs=1e-4)
    (found,) = detections(answers, score=0.2, overlap=0.85, most=10)
    assert [round(float(score), 2) for score in found.scores] == [0.91, 0.7, 0.48, 0.26], "best first"
    (found,) = detections(answers, score=0.2, overlap=0.85, most=2)
    assert len(found) == 2
    assert len(detections(answers, score=0.99, overlap=0.65, most=10)[0]) == 0
