"""The loss terms of a training's configuration. Weights, temperatures and margins are ours unless a source is named."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import Section
from pipeline.losses import LossConfig


class TrackingTerm(Section):
    """SiamFC++'s own three losses, against the true box."""

    kind: Literal["tracking"]
    model: str
    loss: LossConfig = LossConfig()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models it looks at."""
        return (self.model,)

    @property
    def trains(self) -> tuple[str, ...]:
        """Names of the models it teaches."""
        return (self.model,)


class TeacherTerm(Section):
    """What a student learns from a teacher. Its loss is logged as STUDENT/NAME; weight 0 leaves the term out."""

    kind: str
    student: str
    teacher: str
    weight: float = Field(1.0, ge=0)
    name: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="None for the kind")

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models it looks at."""
        return (self.student, self.teacher)

    @property
    def trains(self) -> tuple[str, ...]:
        """Names of the models it teaches."""
        return (self.student,)


class FeatureTerm(TeacherTerm):
    """Features: ``pipeline.distillation.features``. Tensors with time steps are averaged over them."""

    kind: Literal["feature_kd"]
    loss: Literal["cwd", "mse"] = Field("cwd", description="channel-wise KL, or mean squared difference")
    temperature: float = Field(1.0, gt=0, description="of cwd")
    standardise: bool = Field(False, description="each channel of both to mean 0 and deviation 1 over the batch first")
    features: dict[str, str] = Field(
        {"template_features": "template_features", "search_features": "search_features"},
        min_length=1,
        description="the student's tensors, and the teacher's that each becomes like",
    )
    adapter: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
        description="name of a trained 1x1 convolution from the student's channels to the teacher's; None for none",
    )


class ClassTerm(TeacherTerm):
    """Classification: ``pipeline.distillation.classes``."""

    kind: Literal["class_kd"]
    loss: Literal["bernoulli", "positions"] = Field("bernoulli", description="what the divergence is of")
    temperature: float = Field(2.0, gt=0)


class BoxTerm(TeacherTerm):
    """Regression, on the target: ``pipeline.distillation.boxes``."""

    kind: Literal["box_kd"]
    loss: Literal["iou", "smooth_l1"] = "iou"
    margin: float | None = Field(
        None,
        description="where the student's -log IoU is below the teacher's by this much it isn't pulled; None: always is",
    )


class CentreTerm(TeacherTerm):
    """Centre-ness, on the target: ``pipeline.distillation.centre``."""

    kind: Literal["centre_kd"]


TermConfig = Annotated[
    TrackingTerm | FeatureTerm | ClassTerm | BoxTerm | CentreTerm,
    Field(discriminator="kind"),
]
