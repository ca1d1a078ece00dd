"""Crops and post-processing of the tracking loop, and how training pairs are drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.core.config import Section


class TrackerConfig(Section):
    """Crops and post-processing of the tracking loop. Defaults are ours."""

    context: float = Field(0.25, ge=0, le=1, description="share of (width + height) added around the target")
    window: float = Field(0.25, ge=0, le=1, description="influence of the cosine window")
    penalty: float = Field(0.06, ge=0, le=1, description="strength of the penalty on changes of size and ratio")
    size_rate: float = Field(0.5, ge=0, le=1, description="how fast the box takes a new size")
    smallest: float = Field(4, gt=0, le=100, description="least side of a box, frame pixels")
    zero_rim: bool = Field(False, description="the cosine window is zero at the score map's rim")
    border: Literal["frame", "first"] = Field(
        "frame", description="what crops show outside: the mean colour of each frame, or in whole numbers of the first"
    )
    whole_pixels: bool = Field(
        False,
        description="a crop shows a whole number of frame pixels, from the centre of its first to that of its last",
    )


class PairConfig(Section):
    """How training pairs are drawn from clips."""

    negative: float = Field(0.1, ge=0, le=1, description="share of pairs whose template shows another target")
    shift: float = Field(0.55, ge=0, le=1, description="largest shift of the target, in halves of the search crop")
    scale_jitter: float = Field(0.25, ge=0, le=1, description="largest |log| of the search crop's scale error")
    template_jitter: float = Field(0.05, ge=0, le=0.5, description="template shift and |log scale|, in target sizes")
    max_gap: int | None = Field(None, ge=0, description="most frames between template and search; None for any")
    light: float = Field(0, ge=0, le=1, description="strength of changes of brightness, contrast and tint")
    grey: float = Field(0, ge=0, le=1, description="share of crops that lose their colour")
    blur: float = Field(0, ge=0, le=1, description="share of crops that are blurred")
