"""From a configuration's distillation terms to functions, and what segmentation's gate compares.

Models answer of all frames of a clip but the first, clip after clip: ``logits`` of background and objects, (clip *
frame, class, row, column), and maps of features, (clip * frame, channel, row, column). The batch is that of
``pipeline.tasks.segmentation.sampling``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.datasets.label_masks import VOID
from pipeline.tasks.segmentation.distilling import (
    SpaceTimeFusion,
    boundary_divergence,
    near_boundary,
    pixel_relation,
)
from pipeline.tasks.segmentation.distilling_config import (
    BoundaryTerm,
    DistillationTerm,
    FusedFeatureTerm,
    RelationTerm,
)
from pipeline.training.distillation.adversarial import Adversarial
from pipeline.training.distillation.config import AdversarialTerm, ClassTerm, FeatureTerm
from pipeline.training.distillation.features import map_of
from pipeline.training.distillation.terms import (
    ClassDistillation,
    Distillation,
    FeatureDistillation,
    check_positions,
)
from pipeline.training.term import Context, NamedTensors, Term


def labels_of(context: Context) -> Tensor:
    """The true labels of the frames that models answer of, int64 (clip * frame, row, column)."""
    return context.batch["masks"][:, 1:].flatten(0, 1)


def compared(context: Context, student: str, teacher: str) -> tuple[Tensor, Tensor, Tensor]:
    """For a gate: of every pixel that is not void, the probabilities of background and of each object."""
    labels = labels_of(context)
    counted = labels != VOID
    logits = (context.tensors[f"{name}/logits"].movedim(1, -1)[counted] for name in (student, teacher))
    ours, theirs = (values.softmax(dim=-1) for values in logits)
    return ours, theirs, F.one_hot(labels[counted], ours.shape[-1]).to(ours.dtype)


class BoundaryDistillation(Distillation):
    """``boundary_kd``."""

    def __init__(self, config: BoundaryTerm) -> None:
        super().__init__(config)
        self._config = config

    def forward(self, context: Context) -> dict[str, Tensor]:
        ours, theirs = context.tensors[f"{self._student}/logits"], self._of_teacher(context, "logits")
        near = near_boundary(labels_of(context), self._config.width)
        return self._weighted(boundary_divergence(ours, theirs, near, self._config.temperature))


class RelationDistillation(Distillation):
    """``relation_kd``."""

    def __init__(self, config: RelationTerm, shapes: NamedTensors) -> None:
        """shapes: tensors of the shapes that the models answer. Raises TrainingError for features that don't fit."""
        super().__init__(config)
        self._config = config
        check_positions(shapes, f"{config.student}/{config.features}", f"{config.teacher}/{config.of_teacher}")

    def forward(self, context: Context) -> dict[str, Tensor]:
        ours = map_of(context.tensors[f"{self._student}/{self._config.features}"])
        theirs = map_of(self._of_teacher(context, self._config.of_teacher))
        shown = F.interpolate(labels_of(context)[:, None].float(), ours.shape[2:], mode="nearest-exact")
        return self._weighted(pixel_relation(ours, theirs, shown[:, 0].long(), self._config.teacher_share))


class FusedFeatures(FeatureDistillation):
    """``stff_kd``. The first frame that is answered has no features before it, and so no appearance."""

    def __init__(self, config: FusedFeatureTerm, shapes: NamedTensors) -> None:
        """As of ``FeatureDistillation``."""
        super().__init__(config, shapes)
        channels = [map_of(shapes[f"{config.teacher}/{theirs}"]).shape[1] for theirs in config.features.values()]
        self.fusions = nn.ModuleList(SpaceTimeFusion(count, config.priors) for count in channels)

    def _compared(self, context: Context, of_student: str, of_teacher: str) -> tuple[Tensor, Tensor]:
        ours, theirs = super()._compared(context, of_student, of_teacher)
        fusion = self.fusions[list(self._pairs).index(of_student)]
        fused: Tensor = fusion(ours, *self._priors_of(ours, context.batch["masks"]))
        return fused, theirs

    def _priors_of(self, maps: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Features and mask of the frame before each."""
        by_clip = maps.detach().unflatten(0, (len(masks), -1))
        before = torch.cat([torch.zeros_like(by_clip[:, :1]), by_clip[:, :-1]], dim=1).flatten(0, 1)
        earlier = masks[:, :-1].flatten(0, 1)
        of_object = ((earlier > 0) & (earlier != VOID)).to(maps.dtype)
        rows, columns = maps.shape[-2:]
        return before, F.adaptive_avg_pool2d(of_object[:, None], (rows, columns))


def distillation_term(config: DistillationTerm, shapes: NamedTensors) -> Term:
    """The term of a configuration. shapes: tensors as the models will answer them, whose values don't matter. Raises
    TrainingError where it doesn't fit them."""
    match config:
        case FeatureTerm():
            return FeatureDistillation(config, shapes)
        case ClassTerm():
            return ClassDistillation(config)
        case AdversarialTerm():
            return Adversarial(config, shapes)
        case BoundaryTerm():
            return BoundaryDistillation(config)
        case RelationTerm():
            return RelationDistillation(config, shapes)
        case FusedFeatureTerm():
            return FusedFeatures(config, shapes)
