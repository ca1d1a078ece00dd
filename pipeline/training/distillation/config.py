"""The distillation terms of a training's configuration, for the tasks to choose from.

Weights, temperatures and margins are ours unless a source is named.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from pipeline.core.config import Section
from pipeline.training.config import TermSection


class TeacherTerm(TermSection):
    """What a student learns from a teacher. Its loss is logged as STUDENT/NAME; weight 0 leaves the term out.

    A teacher that is trained beside its student learns nothing from it, unless ``detach_teacher: false`` says so:
    then the loss teaches both of them, each to be like the other (online distillation).
    """

    kind: str
    student: str
    teacher: str
    weight: float = Field(1.0, ge=0)
    name: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="None for the kind")
    detach_teacher: bool = Field(
        True, description="False: the loss teaches the teacher as well, which has to be trained"
    )

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models it looks at."""
        return (self.student, self.teacher)

    @property
    def trains(self) -> tuple[str, ...]:
        """Names of the models it teaches."""
        return (self.student,) if self.detach_teacher else (self.student, self.teacher)


AdapterKind = Literal["linear", "smooth"]


class Adapted(TeacherTerm):
    """A term of features, of which the student's may be brought to the teacher's:
    ``pipeline.training.distillation.adapters``."""

    adapter: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
        description="name of what is trained to bring the student's features to the teacher's; None for nothing",
    )
    adapter_kind: AdapterKind = Field(
        "linear", description="a 1x1 convolution, from channels to channels; smooth: also between maps of other sizes"
    )

    @model_validator(mode="after")
    def _has_an_adapter(self) -> Self:
        if self.adapter is None and self.adapter_kind != "linear":
            raise ValueError("adapter_kind: there is no adapter; name one, such as 'adapter: to_teacher'")
        return self


class FeatureLoss(Adapted):
    """How features are compared: ``pipeline.training.distillation.features``."""

    loss: Literal["cwd", "mse"] = Field("cwd", description="channel-wise KL, or mean squared difference")
    temperature: float = Field(1.0, gt=0, description="of cwd")
    standardise: bool = Field(False, description="each channel of both to mean 0 and deviation 1 over the batch first")
    features: dict[str, str] = Field(
        min_length=1, description="the student's tensors, and the teacher's that each becomes like"
    )


class FeatureTerm(FeatureLoss):
    """Features. Tensors with time steps are averaged over them."""

    kind: Literal["feature_kd"]
    features: dict[str, str] = Field(
        {"template_features": "template_features", "search_features": "search_features"},
        min_length=1,
        description="the student's tensors, and the teacher's that each becomes like",
    )


class Level(Section):
    """Maps of features of a student and its teacher that stand for the same positions of a picture."""

    features: str = Field(description="the student's tensor, such as features_8")
    teacher_features: str | None = Field(None, description="the teacher's; None for the same name")
    stride: int = Field(ge=1, description="picture pixels between neighbouring positions")

    @property
    def of_teacher(self) -> str:
        """Name of the teacher's tensor."""
        return self.teacher_features or self.features


class BoxMask(Section):
    """Where a map's foreground is: ``pipeline.training.distillation.foreground``.

    The defaults are this project's reading of FSD; the other value of each key is what its released code does.
    """

    gaussian: Literal["ring", "whole", "none"] = Field(
        "ring",
        description="around a box that is level (released), over box and surroundings (ours), or box alone (FGD)",
    )
    sigma: Literal["box", "centre"] = Field("box", description="half a box's side (ours), or its centre's coordinate")
    axes: Literal["own", "swapped"] = Field("own", description="swapped: rows measure from the centre's column")
    grid: Literal["positions", "linspace"] = Field(
        "positions", description="linspace: steps of n / (n - 1), and a row and a column fewer at the far sides"
    )


class RegionTerm(Adapted):
    """Features, apart for foreground and background: ``pipeline.training.distillation.separation``.

    Up to four losses, logged as STUDENT/NAME_foreground, _background, _attention and _relation, each the sum over the
    levels times its weight times ``weight``; weight 0 leaves one out. Every level has an adapter of its own.
    """

    levels: tuple[Level, ...] = Field(min_length=1)
    foreground: float = Field(ge=0)
    background: float = Field(ge=0)
    attention: float = Field(ge=0)
    relation: float = Field(ge=0)
    temperature: float = Field(0.5, gt=0, description="of the attention; released")
    attended_by: Literal["own", "teacher"] = Field(description="whose attention weights the student's features")
    pooled_by: Literal["own", "teacher"] = Field(
        "own", description="whose convolution says where the student's context is; the teacher's in FSD's released code"
    )
    mask: BoxMask

    @property
    def parts(self) -> dict[str, float]:
        """The weights of the losses that act, by name."""
        weights = {
            "foreground": self.foreground,
            "background": self.background,
            "attention": self.attention,
            "relation": self.relation,
        }
        return {name: self.weight * weight for name, weight in weights.items() if self.weight * weight > 0}

    @property
    def acts(self) -> bool:
        """Whether any of its losses does."""
        return bool(self.parts)


class SeparationTerm(RegionTerm):
    """Foreground-separation distillation: where channels are active. Weights are those that QuanZhe2000/SFC trains
    with (configs/distillers)."""

    kind: Literal["fsd"]
    foreground: float = Field(1.0, ge=0)
    background: float = Field(1.0, ge=0)
    attention: float = Field(1e-3, ge=0)
    relation: float = Field(1e-5, ge=0)
    floor: float = Field(
        0.0, ge=0, le=0.01, description="added to probabilities whose logarithm is taken; 1e-5 in the released code"
    )
    attended_by: Literal["own", "teacher"] = Field("own", description="the teacher's in the released code")
    mask: BoxMask = BoxMask()


class FocalGlobalTerm(RegionTerm):
    """Focal and global distillation, FSD's ancestor: how features differ. Weights are the defaults of yzd-v/FGD
    (mmdet/distillation/losses/fgd.py)."""

    kind: Literal["fgd"]
    foreground: float = Field(1e-3, ge=0)
    background: float = Field(5e-4, ge=0)
    attention: float = Field(1e-3, ge=0)
    relation: float = Field(5e-6, ge=0)
    attended_by: Literal["own", "teacher"] = Field("teacher", description="as published")
    mask: BoxMask = BoxMask(gaussian="none")


class ClassTerm(TeacherTerm):
    """Classification: ``pipeline.training.distillation.logits``."""

    kind: Literal["class_kd"]
    loss: Literal["bernoulli", "positions"] = Field("bernoulli", description="what the divergence is of")
    temperature: float = Field(2.0, gt=0)


class BoxTerm(TeacherTerm):
    """Regression, on the target: ``pipeline.training.distillation.dense_boxes``."""

    kind: Literal["box_kd"]
    loss: Literal["iou", "smooth_l1"] = "iou"
    margin: float | None = Field(
        None,
        description="where the student's -log IoU is below the teacher's by this much it isn't pulled; None: always is",
    )


class CentreTerm(TeacherTerm):
    """Centre-ness, on the target: ``pipeline.training.distillation.dense_boxes``."""

    kind: Literal["centre_kd"]


CFKD_MARGIN = 0.005
"""``h`` of the adaptive-hard loss and of knowledge sharing in danier97/CFKD (ltr/models/loss/distillation.py), whose
losses are squared errors of IoU scores; losses here are -log IoU."""


class AdaptiveHardTerm(TeacherTerm):
    """Boxes against the truth, until the student beats the teacher by ``margin``: the student's mean -log IoU on the
    target where it is not below the teacher's by that much, else 0 (``pipeline.training.distillation.dense_boxes``)."""

    kind: Literal["adaptive_hard"]
    margin: float = CFKD_MARGIN


class TargetResponseTerm(TeacherTerm):
    """Responses to the target in the backbone's features: ``pipeline.training.distillation.target_response``."""

    kind: Literal["target_response"]
    relative: bool = Field(
        True, description="responses in multiples of their mean; the published formula has them plain"
    )


class AdversarialTerm(Adapted):
    """A discriminator tells the teacher's maps from the student's, which the student learns to make it take for the
    teacher's: ``pipeline.training.distillation.adversarial``. Logged as STUDENT/NAME and STUDENT/NAME_discriminator.

    The discriminator's parameters need a learner of their own: ``learners: {NAME: {members: [losses.STUDENT/NAME]}}``.
    An adapter learns with the student. Weights are those of irfanICMLL/TorchDistiller (options.py: lambda_gan 0.001,
    lambda_d 0.1).
    """

    kind: Literal["adversarial"]
    weight: float = Field(0.001, ge=0, description="of what the student learns")
    discriminator_weight: float = Field(0.1, gt=0, description="of what the discriminator learns")
    tensor: str = Field("class", description="the maps that are told apart, of as many channels in both")
    teacher_tensor: str | None = Field(None, description="the teacher's; None for the same name")
    channels: int = Field(32, ge=1, le=1024, description="of the discriminator's hidden layers")
    detach_teacher: Literal[True] = Field(True, description="the teacher is what the student becomes like")

    @property
    def of_teacher(self) -> str:
        """Name of the teacher's tensor."""
        return self.teacher_tensor or self.tensor


class SharingTerm(TermSection):
    """What students learn from each other: ``pipeline.training.distillation.mutual``. Logged as STUDENT/sharing."""

    kind: Literal["sharing"]
    students: tuple[str, ...] = Field(min_length=2)
    teacher: str
    intelligent: tuple[str, ...] = Field((), description="students that are given ``beta`` of what the others are")
    weight: float = Field(1.0, ge=0)
    beta: float = Field(0.5, ge=0, le=1, description="CFKD's")
    decay: float = Field(0.9, gt=0, le=1, description="of sharing at each epoch; CFKD's")
    epoch: int = Field(1000, ge=1, description="training steps; CFKD's")
    margin: float = Field(
        CFKD_MARGIN, description="a student that is worse than the teacher by this much doesn't share"
    )

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models it looks at."""
        return (*self.students, self.teacher)

    @property
    def trains(self) -> tuple[str, ...]:
        """Names of the models it teaches."""
        return self.students

    @model_validator(mode="after")
    def _students_differ(self) -> SharingTerm:
        if len(set(self.students)) != len(self.students):
            raise ValueError("students: one is named twice")
        if unknown := [name for name in self.intelligent if name not in self.students]:
            raise ValueError(f"intelligent: {unknown[0]!r} is none of {', '.join(self.students)}")
        return self
