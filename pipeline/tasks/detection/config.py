"""Detection's configuration: what is done around a detector, and a training of YOLOX or its students."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.core.config import Section
from pipeline.core.task import Processing
from pipeline.datasets.config import DetectionData
from pipeline.tasks import config as any_task
from pipeline.tasks.detection.assignment import Candidates
from pipeline.tasks.detection.data_config import AugmentationConfig
from pipeline.tasks.detection.models.config import ModelConfig
from pipeline.training import config as training
from pipeline.training.distillation.config import AdversarialTerm, FeatureTerm, FocalGlobalTerm, SeparationTerm


class DetectorProcessing(Processing):
    """Pre- and post-processing of a detector, saved with its weights; the side of its picture is the architecture's.

    Defaults are YOLOX's for evaluation (Megvii-BaseDetection/YOLOX 6ddff48, yolox/exp/yolox_base.py and
    yolox/data/data_augment.py); COCO counts the 100 best of a picture.
    """

    trained_with: ClassVar[frozenset[str]] = frozenset({"classes", "fill"})

    classes: tuple[str, ...] = Field((), description="names by index")
    fill: Literal[114] = Field(114, description="grey level right of and below a picture that is no square")
    score: float = Field(0.01, ge=0, le=1, description="least score of an object")
    overlap: float = Field(0.65, gt=0, le=1, description="IoU from which on the worse of two boxes of a class goes")
    most: int = Field(100, ge=1, description="objects in a picture")


class DetectionTerm(training.OwnTerm):
    """YOLOX's own losses, against the true boxes: ``pipeline.tasks.detection.losses``.

    Logged as MODEL/box, MODEL/object, MODEL/class and MODEL/l1. Weights are YOLOX's.
    """

    kind: Literal["detection"]
    candidates: Candidates = Field("centre", description="cells that may get an object; FSD's code: centre_or_box")
    radius: float = Field(1.5, gt=0, le=10, description="cells around an object's centre; with centre_or_box: 2.5")
    box_weight: float = Field(5.0, ge=0)
    object_weight: float = Field(1.0, ge=0)
    class_weight: float = Field(1.0, ge=0)
    l1_weight: float = Field(1.0, ge=0)
    l1: Literal["plain", "always", "never"] = Field(
        "plain", description="when there is l1: in the last part of the training, which has neither mosaic nor mixup"
    )


TermConfig = Annotated[
    DetectionTerm | training.SpikeRateTerm | FeatureTerm | SeparationTerm | FocalGlobalTerm | AdversarialTerm,
    Field(discriminator="kind"),
]


class ModelEntry(any_task.BackboneEntry):
    """A model that takes part."""

    architecture: ModelConfig

    @model_validator(mode="after")
    def _has_such_a_backbone(self) -> ModelEntry:
        if self.backbone_weights is not None and getattr(self.architecture, "backbone", "") != "mobilenet_v2":
            raise ValueError("backbone_weights: are for 'backbone: mobilenet_v2'")
        return self


class TrainingSet(DetectionData):
    """A data set among those of a training. Objects of classes that ``detector.classes`` doesn't name are left out."""

    repeats: int = Field(1, ge=1, le=1000, description="how often its pictures come in an epoch: small sets are lost")


class TrainingData(Section):
    """The pictures of a training."""

    sets: tuple[TrainingSet, ...] = Field(strict=False, min_length=1)
    augmentation: AugmentationConfig = AugmentationConfig()


class ValidationConfig(any_task.ValidationSettings):
    """Pictures that models are scored on; none of them is trained on."""

    sets: tuple[DetectionData, ...] = Field(
        (), strict=False, description="none: some of the training's pictures, which it then lacks"
    )
    held_out: float = Field(0.1, gt=0, lt=1, description="share of the training's pictures, where there are no others")
    pictures: int | None = Field(None, ge=1, description="the first so many of them; None for all")


class SampleData(DetectionData):
    """The pictures that a deployment is evaluated on."""

    pictures: int | None = Field(None, ge=1, description="so many, drawn by the seed; None for all")


class TrainingConfig(any_task.TrainingConfig):
    """One whole training."""

    models: dict[str, ModelEntry]
    losses: tuple[TermConfig, ...]
    data: TrainingData
    detector: DetectorProcessing
    validation: ValidationConfig = ValidationConfig()

    @model_validator(mode="after")
    def _models_fit(self) -> TrainingConfig:
        names = self.detector.classes
        if not names:
            raise ValueError("detector.classes: names no class")
        if len(set(names)) < len(names):
            raise ValueError("detector.classes: names a class twice")
        for name, entry in self.models.items():
            if entry.architecture.classes != len(names):
                raise ValueError(
                    f"models.{name}.architecture.classes: is {entry.architecture.classes}, "
                    f"and detector.classes has {len(names)} names"
                )
        if len(sides := {entry.architecture.side for entry in self.models.values()}) > 1:
            raise ValueError(f"models: see pictures of different sides, {sorted(sides)}; all see the same ones")
        if self.pruning is not None:
            raise ValueError("pruning: detectors have one time step")
        return self

    @property
    def side(self) -> int:
        """Of the pictures that all models see."""
        return next(iter(self.models.values())).architecture.side
