"""What a gate compares, task by task: which answers of both models, and against which truth."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.core.task import Batch
from pipeline.tasks.detection.assignment import assign
from pipeline.tasks.detection.config import DetectionTerm
from pipeline.tasks.detection.decoding import answers_of
from pipeline.tasks.detection.terms import compared as compared_detectors
from pipeline.tasks.tracking.terms import compared as compared_trackers
from pipeline.tasks.tracking.terms import truth
from pipeline.training.term import Context, NamedTensors


def logit(probability: float) -> float:
    return float(torch.logit(torch.tensor(probability)))


def test_trackers_are_compared_where_the_pair_says_something():
    """Of a pair that shows the same target everywhere; of another inside the box alone, where there is no target."""
    boxes = torch.tensor([[0.0, 0.0, 143.0, 143.0], [0.0, 0.0, 68.0, 143.0]])
    batch = Batch({"box": boxes, "same": torch.tensor([True, False]), "search": torch.zeros(2, 3, 143, 143)}, ())
    inside = (truth(Context(NamedTensors({}), batch, 0), 3)[0] > 0).all(dim=1)
    assert inside[0].all()
    assert 0 < inside[1].sum() < 9
    of_student, of_teacher = torch.full((2, 1, 3, 3), logit(0.2)), torch.full((2, 1, 5, 5), logit(0.7))
    of_teacher[:, :, 0] = of_teacher[:, :, :, -1] = logit(0.01)  # where the student has no position
    seen = Context(NamedTensors({"student/class": of_student, "teacher/class": of_teacher}), batch, 0)
    student, teacher, true = compared_trackers(seen, "student", "teacher")
    assert len(student) == len(teacher) == len(true) == 9 + int(inside[1].sum())
    torch.testing.assert_close(student, torch.full_like(student, 0.2))
    torch.testing.assert_close(teacher, torch.full_like(teacher, 0.7))
    assert true.flatten().tolist() == [1.0] * 9 + [0.0] * int(inside[1].sum())


def detector(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    channels = {"class": 2, "object": 1, "box": 4}
    return {
        f"{name}_{stride}": torch.randn(2, count, 64 // stride, 64 // stride, generator=generator)
        for stride in (8, 16, 32)
        for name, count in channels.items()
    }


class _Config:
    """What of a training's configuration is looked at."""

    losses = (DetectionTerm(kind="detection", model="teacher", radius=2.5),)


def test_detectors_are_compared_by_their_scores_and_with_what_the_teachers_losses_assign():
    models = {"student": detector(1), "teacher": detector(2)}
    boxes = torch.tensor([[[8.0, 8, 40, 40, 1], [0, 0, 0, 0, -1]], [[20.0, 4, 60, 30, 0], [2, 30, 30, 62, 1]]])
    seen = Context(
        NamedTensors({f"{name}/{key}": value for name, own in models.items() for key, value in own.items()}),
        Batch({"boxes": boxes, "images": torch.zeros(2, 3, 64, 64)}, ()),
        0,
    )
    student, teacher, true = compared_detectors(_Config())(seen, "student", "teacher")  # type: ignore[arg-type]
    theirs = answers_of(models["teacher"])
    objects = assign(theirs, boxes, "centre", 2.5).objects
    cells = 8 * 8 + 4 * 4 + 2 * 2
    assert student.shape == teacher.shape == true.shape == (2 * cells, 2)
    wanted = torch.zeros(2, cells, 2)
    wanted[0, objects[0] == 0, 1] = 1
    wanted[1, objects[1] == 0, 0] = 1
    wanted[1, objects[1] == 1, 1] = 1
    assert torch.equal(true, wanted.flatten(0, 1))
    assert wanted[0].any()
    assert wanted[1, :, 0].any()
    first = torch.sigmoid(models["teacher"]["object_8"][0, 0, 0, 0]) * torch.sigmoid(
        models["teacher"]["class_8"][0, :, 0, 0]
    )
    torch.testing.assert_close(teacher[0], first)
    assert not torch.equal(student, teacher)
