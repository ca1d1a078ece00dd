"""What a segmenter's training draws its clips from, and how it varies them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipeline.core.config import Section
from pipeline.datasets.config import MaskedData
from pipeline.datasets.synthetic.composition import CompositionSpec

Range = tuple[Annotated[float, Field(gt=0, le=10)], Annotated[float, Field(gt=0, le=10)]]
"""Least and most."""


class AugmentationConfig(Section):
    """Variations of a clip, the same for all its frames and their masks. Strengths are ours."""

    scale: Range = Field((0.8, 1.5), description="of the frame over the least that covers the clip, drawn evenly")
    degrees: float = Field(15.0, ge=0, le=180, description="most by which a clip is turned")
    shear: float = Field(8.0, ge=0, lt=90, description="most by which a clip is sheared, degrees")
    focus: float = Field(0.7, ge=0, le=1, description="share of clips whose window lies around an object's pixel")
    colour: float = Field(0.3, ge=0, le=1, description="change of hue, saturation, contrast and brightness")
    flip: float = Field(0.5, ge=0, le=1, description="share of clips that are mirrored left to right")


class ComposedMasks(Section):
    """Clips composed from still photographs: an object cut from one moves over another."""

    kind: Literal["composed"]
    weight: float = Field(1.0, gt=0, description="share of the clips, beside the other sources' weights")
    pictures: str = Field("builtin", description='"builtin" (scikit-learn\'s two photographs) or a folder of pictures')
    composition: CompositionSpec = CompositionSpec(
        object_size=(40, 90), speed=0.15, pan=4, min_texture=6, min_contrast=20
    )
    """``frames`` is overwritten by the clip's."""


class MaskedVideos(MaskedData):
    """Videos with masks. Frames without one are passed over."""

    kind: Literal["masked"]
    weight: float = Field(1.0, gt=0, description="share of the clips, beside the other sources' weights")
    gap: int = Field(5, ge=1, description="most annotated frames from one frame of a clip to the next")

    @field_validator("split")
    @classmethod
    def _may_be_trained_on(cls, split: str | None) -> str | None:
        if split in ("val", "valid", "test", "test-dev", "test-challenge"):
            raise ValueError(f"{split!r} is for testing alone: models that have seen it can be compared with no others")
        return split


ClipSource = Annotated[ComposedMasks | MaskedVideos, Field(discriminator="kind")]


class ClipConfig(Section):
    """Batches of clips."""

    sources: tuple[ClipSource, ...] = Field(min_length=1)
    frames: int = Field(3, ge=1, le=64, description="of a clip")
    height: int = Field(240, ge=16, le=2160, description="of a frame, pixels")
    width: int = Field(432, ge=16, le=3840, description="of a frame, pixels")
    objects: int = Field(3, ge=1, le=64, description="most that are marked in a clip; others are background")
    augmentation: AugmentationConfig = AugmentationConfig()
