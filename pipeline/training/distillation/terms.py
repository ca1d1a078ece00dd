"""The loss terms of distillation: which tensors of student and teacher the formulas beside them take.

No gradient reaches a teacher that is trained as well, unless its configuration says so (``detach_teacher: false``).
Terms of dense boxes are given the truth by their task: at which positions of a map there is a target, and its box.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from pipeline.training.distillation import dense_boxes as boxes
from pipeline.training.distillation import features
from pipeline.training.distillation import logits as classes
from pipeline.training.distillation.adapters import adapted, adapter_of
from pipeline.training.distillation.config import (
    Adapted,
    AdaptiveHardTerm,
    BoxTerm,
    CentreTerm,
    ClassTerm,
    FeatureLoss,
    TargetResponseTerm,
    TeacherTerm,
)
from pipeline.training.distillation.features import map_of
from pipeline.training.distillation.target_response import target_response_loss
from pipeline.training.term import Context, NamedTensors, Term, TrainingError

Truth: TypeAlias = Callable[[Context, int], tuple[Tensor, Tensor]]
"""The truth at the positions of a map of so many rows: distances to the sides of the true box, crop pixels (frame, 4,
row, column), and which positions lie on the target, bool (frame, row, column)."""


class Distillation(Term):
    """One loss of a student beside a teacher."""

    def __init__(self, config: TeacherTerm) -> None:
        super().__init__(f"{config.student}/{config.name or config.kind}")
        self._student, self._teacher, self._weight = config.student, config.teacher, config.weight
        self._detach, self._trains = config.detach_teacher, config.trains

    def teaches(self, loss: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset({*self._trains, self.member})

    def _weighted(self, loss: Tensor) -> dict[str, Tensor]:
        return {self.name: self._weight * loss}

    def _pair(self, context: Context, name: str) -> tuple[Tensor, Tensor]:
        """The student's and the teacher's map, at the positions that both have."""
        ours, theirs = boxes.common_centre(context.tensors[f"{self._student}/{name}"], self._of_teacher(context, name))
        return ours, theirs

    def _of_teacher(self, context: Context, name: str) -> Tensor:
        values = context.tensors[f"{self._teacher}/{name}"]
        return values.detach() if self._detach else values


class FeatureDistillation(Distillation):
    """``feature_kd``."""

    def __init__(self, config: FeatureLoss, shapes: NamedTensors) -> None:
        """shapes: tensors of the shapes that the models answer. Raises TrainingError for features that don't fit."""
        super().__init__(config)
        self._config = config
        self._pairs = {f"{config.student}/{ours}": theirs for ours, theirs in config.features.items()}
        named = [(ours, f"{config.teacher}/{theirs}") for ours, theirs in self._pairs.items()]
        channels = {(map_of(shapes[ours]).shape[1], map_of(shapes[theirs]).shape[1]) for ours, theirs in named}
        for ours, theirs in named:
            check_features(shapes, ours, theirs, config)
        self.adapters = nn.ModuleDict()
        if config.adapter is not None:
            if len(channels) > 1:
                raise TrainingError(
                    f"the adapter {config.adapter!r} cannot serve features of different channels, (student, teacher) = "
                    f"{sorted(channels)}: make a term of each"
                )
            self.adapters[config.adapter] = adapter_of(config.adapter_kind, *channels.pop())

    def forward(self, context: Context) -> dict[str, Tensor]:
        losses = [self._loss(*self._compared(context, *names)) for names in self._pairs.items()]
        return self._weighted(torch.stack(losses).mean())

    def _compared(self, context: Context, of_student: str, of_teacher: str) -> tuple[Tensor, Tensor]:
        """Maps of student and teacher, in the teacher's space."""
        ours, theirs = map_of(context.tensors[of_student]), map_of(self._of_teacher(context, of_teacher))
        for adapter in self.adapters.values():
            ours = adapted(adapter, ours, theirs)
        return ours, theirs

    def _loss(self, ours: Tensor, theirs: Tensor) -> Tensor:
        if self._config.standardise:
            ours, theirs = features.standardised(ours), features.standardised(theirs)
        if self._config.loss == "mse":
            return features.squared_difference(ours, theirs)
        return features.channel_divergence(ours, theirs, self._config.temperature)


def check_features(shapes: NamedTensors, ours: str, theirs: str, config: Adapted) -> None:
    """Raise TrainingError where two features don't fit by the adapter that they have, or have not."""
    if config.adapter is None or config.adapter_kind == "linear":
        check_positions(shapes, ours, theirs)
    student, teacher = (map_of(shapes[name]).shape[1] for name in (ours, theirs))
    if student != teacher and config.adapter is None:
        raise TrainingError(
            f"{ours} has {student} channels and {theirs} {teacher}: give the term an adapter, such as "
            "'adapter: to_teacher', a 1x1 convolution that is trained with it"
        )


def check_positions(shapes: NamedTensors, ours: str, theirs: str) -> None:
    """Raise TrainingError where two features have maps of different sizes."""
    student, teacher = ("x".join(map(str, map_of(shapes[name]).shape[2:])) for name in (ours, theirs))
    if student != teacher:
        raise TrainingError(
            f"{ours} has {student} positions and {theirs} {teacher}. An adapter changes channels alone: compare "
            "features of the same size, or give the term one of 'adapter_kind: smooth'"
        )


class ClassDistillation(Distillation):
    """``class_kd``."""

    def __init__(self, config: ClassTerm) -> None:
        super().__init__(config)
        self._temperature = config.temperature
        self._divergence = classes.bernoulli_divergence if config.loss == "bernoulli" else classes.position_divergence

    def forward(self, context: Context) -> dict[str, Tensor]:
        return self._weighted(self._divergence(*self._pair(context, "class"), self._temperature))


class BoxDistillation(Distillation):
    """``box_kd``."""

    def __init__(self, config: BoxTerm, truth: Truth, stride: int) -> None:
        """stride: crop pixels between neighbouring positions of the map."""
        super().__init__(config)
        self._config, self._truth, self._stride = config, truth, stride
        self._margin = config.margin

    def forward(self, context: Context) -> dict[str, Tensor]:
        ours, theirs = self._pair(context, "distances")
        truth, counted = self._truth(context, ours.shape[-1])
        by_overlap = self._config.loss == "iou"
        loss = boxes.overlap_loss(ours, theirs) if by_overlap else boxes.side_loss(ours, theirs, self._stride)
        if self._margin is not None:
            with torch.no_grad():
                against_truth = boxes.overlap_loss(ours, truth), boxes.overlap_loss(theirs, truth)
            loss = loss * boxes.needs_teacher(*against_truth, self._margin)
        return self._weighted(boxes.mean_over(loss, counted))


class CentreDistillation(Distillation):
    """``centre_kd``."""

    def __init__(self, config: CentreTerm, truth: Truth) -> None:
        super().__init__(config)
        self._truth = truth

    def forward(self, context: Context) -> dict[str, Tensor]:
        ours, theirs = self._pair(context, "centre")
        _, counted = self._truth(context, ours.shape[-1])
        return self._weighted(boxes.mean_over(boxes.centre_divergence(ours, theirs)[:, 0], counted))


class AdaptiveHard(Distillation):
    """``adaptive_hard``."""

    def __init__(self, config: AdaptiveHardTerm, truth: Truth) -> None:
        super().__init__(config)
        self._margin, self._truth = config.margin, truth

    def forward(self, context: Context) -> dict[str, Tensor]:
        ours, theirs = against_truth(context, self._truth, *self._pair(context, "distances"))
        return self._weighted(ours * boxes.needs_teacher(ours.detach(), theirs.detach(), self._margin))


class TargetResponse(Distillation):
    """``target_response``, of the tensors ``template_features`` and ``search_features``."""

    _FEATURES = ("template_features", "search_features")

    def __init__(self, config: TargetResponseTerm, shapes: NamedTensors) -> None:
        """shapes: tensors of the shapes that the models answer. Raises TrainingError for features that don't fit."""
        super().__init__(config)
        self._relative = config.relative
        for name in self._FEATURES:
            check_positions(shapes, f"{config.student}/{name}", f"{config.teacher}/{name}")

    def forward(self, context: Context) -> dict[str, Tensor]:
        template, search = (context.tensors[f"{self._student}/{name}"] for name in self._FEATURES)
        teacher = tuple(self._of_teacher(context, name) for name in self._FEATURES)
        return self._weighted(target_response_loss((template, search), (teacher[0], teacher[1]), self._relative))


def against_truth(context: Context, truth: Truth, ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean -log IoU with the truth of a student's and of its teacher's boxes, on the target."""
    true, counted = truth(context, ours.shape[-1])
    first, second = (boxes.mean_over(boxes.overlap_loss(distances, true), counted) for distances in (ours, theirs))
    return first, second
