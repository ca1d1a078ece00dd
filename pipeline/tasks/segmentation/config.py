"""Segmentation's configuration: what is done around a model, and a training of STM or its students."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.config import Section
from pipeline.core.task import Processing
from pipeline.datasets.config import MaskedData
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.tasks import config as any_task
from pipeline.tasks.segmentation.data_config import ClipConfig
from pipeline.tasks.segmentation.distilling_config import DistillationTerm
from pipeline.tasks.segmentation.models.config import ModelConfig, StmConfig
from pipeline.training import config as training


class SegmenterProcessing(Processing):
    """What is done around a memory network, saved with its weights; the size of its frames is the architecture's.

    Defaults are STM's (arXiv 1904.00607, section 3.5): the first frame and the one before are always remembered.
    """

    every: int = Field(5, ge=1, description="one in so many frames is remembered")
    most: int | None = Field(
        None, ge=0, description="of these the last so many, beside the first frame and the one before; None for all"
    )


class SegmentationTerm(training.OwnTerm):
    """Against the true masks: cross-entropy of the hardest pixels, and overlap; ``pipeline.tasks.segmentation.losses``.

    Logged as MODEL/cross_entropy and MODEL/overlap. Weights and share are those of lyxok1/STM-Training.
    """

    kind: Literal["segmentation"]
    hardest: float = Field(0.4, gt=0, le=1, description="share of the pixels whose cross-entropy counts")
    cross_entropy_weight: float = Field(1.0, ge=0)
    overlap_weight: float = Field(1.0, ge=0)


TermConfig = Annotated[SegmentationTerm | DistillationTerm, Field(discriminator="kind")]


class ModelEntry(any_task.BackboneEntry):
    """A model that takes part."""

    architecture: ModelConfig

    @model_validator(mode="after")
    def _has_such_a_backbone(self) -> ModelEntry:
        if self.backbone_weights is not None and not (
            isinstance(self.architecture, StmConfig) and self.architecture.size.backbone == "mobilenet_v2"
        ):
            raise ValueError("backbone_weights: are for a teacher whose size has 'backbone: mobilenet_v2'")
        return self


class ValidationConfig(any_task.ValidationSettings):
    """Sequences that models are scored on; none of them is trained on."""

    data: MaskedData | None = Field(None, description="None: clips composed as the training's, and other ones")
    sequences: int | None = Field(8, ge=1, description="the first so many of them; None for all")
    frames: int | None = Field(20, ge=3, description="the first so many of each; None for all")


class SampleData(Section):
    """The sequences that a deployment is evaluated on: videos with masks, or composed ones where there is no root."""

    root: str | None = None
    layout: Literal["davis16", "davis17", "youtube-vos", "masks", "auto"] = "auto"
    split: str | None = None
    pictures: str = Field("builtin", description='"builtin" (scikit-learn\'s two photographs) or a folder of pictures')
    composition: CompositionSpec = CompositionSpec(
        frames=24, height=240, width=432, object_size=(40, 90), speed=0.1, pan=3
    )
    sequences: int | None = Field(4, ge=1, description="the first so many; None for all of the videos")
    frames: int | None = Field(None, ge=2, description="the first so many of each; None for all")

    @model_validator(mode="after")
    def _ends(self) -> SampleData:
        if self.root is None and self.sequences is None:
            raise ValueError("sequences: say how many are to be composed")
        return self

    @property
    def videos(self) -> MaskedData | None:
        """Where the videos lie; None where sequences are composed."""
        return None if self.root is None else MaskedData(root=self.root, layout=self.layout, split=self.split)


class TrainingConfig(any_task.TrainingConfig):
    """One whole training."""

    models: dict[str, ModelEntry]
    losses: tuple[TermConfig, ...]
    data: ClipConfig
    segmenter: SegmenterProcessing = SegmenterProcessing()
    validation: ValidationConfig = ValidationConfig()

    @model_validator(mode="after")
    def _models_fit(self) -> TrainingConfig:
        wanted = self.data.height, self.data.width
        for name, entry in self.models.items():
            size = entry.architecture.height, entry.architecture.width
            if size != wanted:
                raise ValueError(
                    f"models.{name}.architecture: sees frames of {size[0]} x {size[1]}, and data of {wanted[0]} x "
                    f"{wanted[1]}; height and width have to be the same"
                )
        if self.data.frames < 2:
            raise ValueError("data.frames: the first frame is given; clips need at least another one")
        if self.validation.data is None and any(source.kind != "composed" for source in self.data.sources):
            raise ValueError("validation.data: name sequences; those of the training are trained on")
        if self.pruning is not None:
            raise ValueError("pruning: segmenters have one time step")
        return self
