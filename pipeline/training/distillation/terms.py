"""The loss terms of distillation: which tensors of student and teacher the formulas of ``pipeline.distillation`` take.

No gradient reaches the teacher through them, should it be trained as well.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.tasks.tracking.maps import on_target, shared, true_distances
from pipeline.training.distillation import dense_boxes as boxes
from pipeline.training.distillation import features
from pipeline.training.distillation import logits as classes
from pipeline.training.distillation.centre import centre_divergence
from pipeline.training.distillation.config import BoxTerm, ClassTerm, FeatureTerm, TeacherTerm
from pipeline.training.term import Context, NamedTensors, Term, TrainingError


class Distillation(Term):
    """One loss of a student beside a teacher."""

    def __init__(self, config: TeacherTerm) -> None:
        super().__init__(f"{config.student}/{config.name or config.kind}")
        self._student, self._teacher, self._weight = config.student, config.teacher, config.weight

    def _weighted(self, loss: Tensor) -> dict[str, Tensor]:
        return {self.name: self._weight * loss}

    def _pair(self, context: Context, name: str) -> tuple[Tensor, Tensor]:
        """The student's and the teacher's map, at the positions that both have."""
        ours, theirs = shared(
            context.tensors[f"{self._student}/{name}"], context.tensors[f"{self._teacher}/{name}"].detach()
        )
        return ours, theirs


class FeatureDistillation(Distillation):
    """``feature_kd``."""

    def __init__(self, config: FeatureTerm, shapes: NamedTensors) -> None:
        """shapes: tensors of the shapes that the models answer. Raises TrainingError for features that don't fit."""
        super().__init__(config)
        self._config = config
        self._pairs = {
            f"{config.student}/{ours}": f"{config.teacher}/{theirs}" for ours, theirs in config.features.items()
        }
        channels = {
            (map_of(shapes[ours]).shape[1], map_of(shapes[theirs]).shape[1]) for ours, theirs in self._pairs.items()
        }
        for ours, theirs in self._pairs.items():
            check_positions(shapes, ours, theirs)
            self._check_channels(shapes, ours, theirs)
        self.adapters = nn.ModuleDict()
        if config.adapter is not None:
            if len(channels) > 1:
                raise TrainingError(
                    f"the adapter {config.adapter!r} cannot serve features of different channels, (student, teacher) = "
                    f"{sorted(channels)}: make a term of each"
                )
            self.adapters[config.adapter] = nn.Conv2d(*channels.pop(), 1)

    def forward(self, context: Context) -> dict[str, Tensor]:
        losses = [self._loss(context.tensors[o], context.tensors[t].detach()) for o, t in self._pairs.items()]
        return self._weighted(torch.stack(losses).mean())

    def _loss(self, ours: Tensor, theirs: Tensor) -> Tensor:
        ours, theirs = map_of(ours), map_of(theirs)
        for adapter in self.adapters.values():
            ours = adapter(ours)
        if self._config.standardise:
            ours, theirs = features.standardised(ours), features.standardised(theirs)
        if self._config.loss == "mse":
            return features.squared_difference(ours, theirs)
        return features.channel_divergence(ours, theirs, self._config.temperature)

    def _check_channels(self, shapes: NamedTensors, ours: str, theirs: str) -> None:
        student, teacher = (map_of(shapes[name]).shape[1] for name in (ours, theirs))
        if student != teacher and self._config.adapter is None:
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
            "features of the same size"
        )


def map_of(values: Tensor) -> Tensor:
    """(frame, channel, row, column), of which tensors of several time steps are the mean."""
    if values.dim() not in (4, 5):
        raise TrainingError(f"a tensor of shape {tuple(values.shape)} is no map of features")
    return values.mean(dim=0) if values.dim() == 5 else values


def target_of(context: Context, side: int) -> tuple[Tensor, Tensor]:
    """True distances at the positions of a map of ``side`` rows, and which of them lie on the target."""
    truth = true_distances(context.batch.box, side, context.batch.search.shape[-1])
    return truth, on_target(truth, context.batch.same)


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

    def __init__(self, config: BoxTerm) -> None:
        super().__init__(config)
        self._loss = boxes.overlap_loss if config.loss == "iou" else boxes.side_loss
        self._margin = config.margin

    def forward(self, context: Context) -> dict[str, Tensor]:
        ours, theirs = self._pair(context, "distances")
        truth, counted = target_of(context, ours.shape[-1])
        loss = self._loss(ours, theirs)
        if self._margin is not None:
            with torch.no_grad():
                against_truth = boxes.overlap_loss(ours, truth), boxes.overlap_loss(theirs, truth)
            loss = loss * boxes.needs_teacher(*against_truth, self._margin)
        return self._weighted(boxes.mean_over(loss, counted))


class CentreDistillation(Distillation):
    """``centre_kd``."""

    def forward(self, context: Context) -> dict[str, Tensor]:
        ours, theirs = self._pair(context, "centre")
        _, counted = target_of(context, ours.shape[-1])
        return self._weighted(boxes.mean_over(centre_divergence(ours, theirs)[:, 0], counted))
