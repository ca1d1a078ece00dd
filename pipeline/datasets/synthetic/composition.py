"""What a composed clip is like: the strength of every effect, and nothing that is random."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

Share = Annotated[float, Field(ge=0, le=1)]

SMALLEST = 8.0
"""Pixels of the object's longer side below which nothing is left of it under motion blur and noise."""

LARGEST = 0.7
"""Longer side of the object over the frame's shorter side: it then fits even when it lies on the diagonal."""


class CompositionSpec(BaseModel):
    """Size and effects of a composed clip. Every effect is off at 0.

    Strengths bound what is drawn for one clip, so that clips differ: some are calm and some are hard.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    frames: int = Field(60, ge=1, le=10_000, description="Frames of the clip.")
    height: int = Field(240, ge=64, le=2160, description="Height of a frame, pixels.")
    width: int = Field(320, ge=64, le=3840, description="Width of a frame, pixels.")
    object_size: tuple[float, float] = Field(
        (24, 64), description="Least and greatest longer side of the object before its scale changes, pixels."
    )
    speed: float = Field(0.06, ge=0, le=0.5, description="Typical displacement a frame and axis, in object sizes.")
    agility: Share = Field(0.04, description="Probability of a sudden change of velocity in a frame.")
    scale_change: float = Field(0.45, ge=0, le=1, description="The object grows and shrinks by up to 1 + this.")
    stretch: float = Field(0.2, ge=0, le=0.6, description="One side grows and the other shrinks by up to 1 + this.")
    rotation: float = Field(30, ge=0, le=180, description="Bound of the object's turning to either side, degrees.")
    outside: float = Field(0.15, ge=0, le=0.15, description="How far past the frame's edge it goes, in its own sides.")
    pan: float = Field(1.5, ge=0, le=20, description="Typical displacement of the background a frame and axis, pixels.")
    motion_blur: Share = Field(0.5, description="Longest time the shutter stays open, in frames.")
    light: Share = Field(0.35, description="Change of the whole frame's gain, bias, gamma and tint over time.")
    object_light: Share = Field(0.3, description="Change of the object's own gain and brightness over time.")
    occlusion: Share = Field(0.4, description="Probability that something passes over the object.")
    distractors: int = Field(3, ge=0, le=16, description="Most other moving objects; the number is drawn from 0 on.")
    look_alikes: Share = Field(0.5, description="Probability that a distractor is a varied copy of the object.")
    noise: float = Field(5, ge=0, le=50, description="Greatest standard deviation of the sensor's noise, of 255.")
    recolour: Share = Field(0.7, description="Change of the cut-outs' colours and, by half as much, the background's.")
    same_picture: Share = Field(0.3, description="Probability that object and background share a photograph.")
    min_contrast: float = Field(
        28, ge=0, le=128, description="Least mean difference from the background, of 255; 0 takes any."
    )
    min_texture: float = Field(9, ge=0, le=64, description="Least deviation of brightness within the object, of 255.")

    @model_validator(mode="after")
    def _object_fits(self) -> Self:
        low, high = self.object_size
        if not low <= high:
            raise ValueError(f"object_size: expected least <= greatest, got {low:g} and {high:g}")
        change = (1 + self.scale_change) * (1 + self.stretch)
        least, greatest, room = low / change, high * change, LARGEST * min(self.height, self.width)
        if not least >= SMALLEST or greatest > room:
            raise ValueError(
                f"object_size: with scale_change and stretch the object becomes {least:.1f} to {greatest:.1f} pixels; "
                f"in a {self.width}x{self.height} frame it must stay within {SMALLEST:g} and {room:.1f}"
            )
        return self
