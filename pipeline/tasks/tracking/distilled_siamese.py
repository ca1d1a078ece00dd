"""The loss terms that distilled Siamese tracking (DST) has beside those of ``pipeline.training.distillation.terms``."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.tasks.tracking.maps import shared
from pipeline.training.distillation import dense_boxes as boxes
from pipeline.training.distillation.config import AdaptiveHardTerm, SharingTerm, TargetResponseTerm
from pipeline.training.distillation.mutual import disagreement, suppression
from pipeline.training.distillation.target_response import target_response_loss
from pipeline.training.distillation.terms import Distillation, check_positions, target_of
from pipeline.training.term import Context, NamedTensors, Term


class AdaptiveHard(Distillation):
    """``adaptive_hard``."""

    def __init__(self, config: AdaptiveHardTerm) -> None:
        super().__init__(config)
        self._margin = config.margin

    def forward(self, context: Context) -> dict[str, Tensor]:
        ours, theirs = against_truth(context, *self._pair(context, "distances"))
        return self._weighted(ours * boxes.needs_teacher(ours.detach(), theirs, self._margin))


class TargetResponse(Distillation):
    """``target_response``."""

    def __init__(self, config: TargetResponseTerm, shapes: NamedTensors) -> None:
        """shapes: tensors of the shapes that the models answer. Raises TrainingError for features that don't fit."""
        super().__init__(config)
        self._relative = config.relative
        for name in ("template_features", "search_features"):
            check_positions(shapes, f"{config.student}/{name}", f"{config.teacher}/{name}")

    def forward(self, context: Context) -> dict[str, Tensor]:
        student, teacher = (self._features(context, name) for name in (self._student, self._teacher))
        teacher = (teacher[0].detach(), teacher[1].detach())
        return self._weighted(target_response_loss(student, teacher, self._relative))

    @staticmethod
    def _features(context: Context, model: str) -> tuple[Tensor, Tensor]:
        return context.tensors[f"{model}/template_features"], context.tensors[f"{model}/search_features"]


class Sharing(Term):
    """``sharing``: a loss for each student, of its mean disagreement with the others."""

    def __init__(self, config: SharingTerm) -> None:
        super().__init__(f"{config.students[0]}/sharing")
        self._config = config

    def forward(self, context: Context) -> dict[str, Tensor]:
        return {f"{name}/sharing": self._loss(context, name) for name in self._config.students}

    def _loss(self, context: Context, student: str) -> Tensor:
        config = self._config
        others = [self._disagreement(context, student, name) for name in config.students if name != student]
        share = config.beta if student in config.intelligent else 1.0
        return config.weight * share * self._suppression(context, student) * torch.stack(others).mean()

    def _disagreement(self, context: Context, first: str, second: str) -> Tensor:
        ours, theirs = (
            {key: context.tensors[f"{name}/{key}"] for key in ("class", "distances")} for name in (first, second)
        )
        _, counted = target_of(context, min(ours["class"].shape[-1], theirs["class"].shape[-1]))
        return disagreement(ours, theirs, counted)

    @torch.no_grad()
    def _suppression(self, context: Context, student: str) -> Tensor:
        config, tensors = self._config, context.tensors
        boxes_of_both = shared(tensors[f"{student}/distances"], tensors[f"{config.teacher}/distances"])
        ours, theirs = against_truth(context, boxes_of_both[0], boxes_of_both[1])
        return suppression(ours, theirs, config.margin, config.decay, context.step // config.epoch)


def against_truth(context: Context, ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean -log IoU with the truth of a student's and of its teacher's boxes, on the target."""
    truth, counted = target_of(context, ours.shape[-1])
    first, second = (boxes.mean_over(boxes.overlap_loss(distances, truth), counted) for distances in (ours, theirs))
    return first, second
