"""What a detector's training draws from its pictures, and how it varies them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.core.config import Section

Range = tuple[Annotated[float, Field(gt=0, le=10)], Annotated[float, Field(gt=0, le=10)]]
"""Least and most."""


class AugmentationConfig(Section):
    """Variations of pictures and boxes. Defaults are YOLOX's: yolox/exp/yolox_base.py of Megvii-BaseDetection/YOLOX
    6ddff48; its nano and tiny have ``mosaic`` .5 and 1, ``mosaic_scale`` .5 to 1.5 and no ``mixup``."""

    mosaic: float = Field(1.0, ge=0, le=1, description="share of samples that are put together of four pictures")
    mosaic_scale: Range = Field((0.1, 2.0), description="of the four pictures, drawn evenly")
    degrees: float = Field(10.0, ge=0, le=180, description="most by which a mosaic is turned")
    translate: float = Field(0.1, ge=0, le=1, description="most by which a mosaic is moved, in sides")
    shear: float = Field(2.0, ge=0, lt=90, description="most by which a mosaic is sheared, degrees")
    mixup: float = Field(1.0, ge=0, le=1, description="share of mosaics that are laid over with one more picture")
    mixup_scale: Range = Field((0.5, 1.5), description="of that picture, drawn evenly")
    hue: int = Field(5, ge=0, le=90, description="most by which the hue is moved, in two degrees")
    saturation: int = Field(30, ge=0, le=255, description="most by which the saturation is changed, of 255")
    value: int = Field(30, ge=0, le=255, description="most by which the brightness is changed, of 255")
    flip: float = Field(0.5, ge=0, le=1, description="share of samples that are mirrored left to right")
    multi_scale: int = Field(5, ge=0, le=20, description="most by which the side is changed, in 32 pixels")
    side_steps: int = Field(10, ge=1, description="steps that have the same side")
    plain: float = Field(
        0.05, ge=0, le=1, description="share of the training, at its end, without mosaic and mixup (15 of 300 epochs)"
    )
    difficult: bool = Field(True, description="train on VOC's difficult objects too, as YOLOX does")
