"""The distillation terms of segmentation. Formulas of those that no other task has are in
``pipeline.tasks.segmentation.distilling``."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from pipeline.training.distillation.config import (
    AdversarialTerm,
    ClassTerm,
    FeatureLoss,
    FeatureTerm,
    TeacherTerm,
)

Priors = Literal["both", "appearance", "position"]


class BoundaryTerm(TeacherTerm):
    """What the teacher says of pixels near the boundaries of objects. Temperature and width are the re-implementation's
    of MobileVOS."""

    kind: Literal["boundary_kd"]
    temperature: float = Field(0.1, gt=0)
    width: int = Field(1, ge=1, le=64, description="most pixels to another label")


class RelationTerm(TeacherTerm):
    """Which positions of a frame are alike, to the teacher and by their labels; features of any channels."""

    kind: Literal["relation_kd"]
    features: str = Field("features_16", description="the student's tensor")
    teacher_features: str | None = Field(None, description="the teacher's; None for the same name")
    teacher_share: float = Field(
        0.95, ge=0, le=1, description="of the teacher's relations, the rest being the labels'; the re-implementation's"
    )

    @property
    def of_teacher(self) -> str:
        """Name of the teacher's tensor."""
        return self.teacher_features or self.features


class FusedFeatureTerm(FeatureLoss):
    """The teacher's features, to which those of the student are held after space-time feature fusion."""

    kind: Literal["stff_kd"]
    features: dict[str, str] = Field(
        {"features_16": "features_16"},
        min_length=1,
        description="the student's tensors, and the teacher's that each becomes like",
    )
    priors: Priors = Field("both", description="what of the frame before is given")


DistillationTerm: TypeAlias = FeatureTerm | ClassTerm | AdversarialTerm | BoundaryTerm | RelationTerm | FusedFeatureTerm
"""To be told apart by their kind."""
