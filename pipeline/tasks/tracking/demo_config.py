"""The demo's student."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from netx.synapses import conv_output_size
from pipeline.core.config import Section
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.models.config import Threshold
from pipeline.tasks.tracking.config import PairConfig, TrackerConfig


class ConvConfig(Section):
    """One spiking convolution of the student."""

    channels: int = Field(ge=1, le=512)
    kernel: int = Field(ge=1, le=11)
    stride: int = Field(1, ge=1, le=4)
    padding: int = Field(0, ge=0, le=5)
    threshold: Threshold


class CorrelationConfig(Section):
    """Correlation of template spikes with search spikes."""

    gain: int = Field(ge=2, le=254, multiple_of=2, description="weight of one template spike")
    copies: int = Field(ge=1, le=8, description="thresholds that each channel's count is read against")
    threshold: Threshold


class StudentConfig(Section):
    """Architecture of the student and geometry of its crops (pixels)."""

    template: int = Field(ge=16, le=127, description="side of the template crop")
    search: int = Field(ge=32, le=303, description="side of the search crop")
    pixel_bits: int = Field(ge=1, le=8, description="bits of a signed pixel that enters the chip")
    backbone: tuple[ConvConfig, ...] = Field(min_length=1)
    correlation: CorrelationConfig
    tower: tuple[ConvConfig, ...] = Field(min_length=1)
    readout_kernel: Literal[1, 3] = 3
    initial_box_shift: float = 1.4

    @model_validator(mode="after")
    def _fits(self) -> StudentConfig:
        sizes = {"template": self.template, "search": self.search}
        for number, layer in enumerate(self.backbone, 1):
            for name, size in sizes.items():
                sizes[name] = conv_output_size(size, layer.kernel, layer.stride, layer.padding, 1)
                if sizes[name] < 1:
                    raise ValueError(f"backbone layer {number}: its kernel does not fit into {size} pixels of {name}")
        side = sizes["search"] - sizes["template"] + 1
        if side < 3:
            raise ValueError(f"the score map has {side} rows: make the search crop larger than the template crop")
        for number, layer in enumerate(self.tower, 1):
            if (layer.stride, layer.padding * 2 + 1) != (1, layer.kernel):
                raise ValueError(f"tower layer {number}: has to keep the map's size (stride 1, padding (kernel-1)/2)")
        return self

    @property
    def stride(self) -> int:
        """Pixels between neighbouring positions of the score map."""
        result = 1
        for layer in self.backbone:
            result *= layer.stride
        return result


class TrainConfig(Section):
    """How the student is trained."""

    checkpoint: str | None = Field(None, description="weights to use: a packaged name or a path; None trains from seed")
    steps: int = Field(ge=1)
    batch: int = Field(16, ge=2)
    learning_rate: float = Field(0.01, gt=0, le=1)
    warm_up: int = Field(100, ge=0, description="steps")
    frozen_norms: float = Field(0.25, ge=0, le=1, description="last part of training that uses the chip's biases")
    save_every: int = Field(200, ge=1, description="steps between states that a stopped training resumes from")
    clips: int = Field(400, ge=2, description="composed clips that pairs are drawn from at any one step")
    fresh_clips: int = Field(1, ge=0, description="clips that replace the oldest ones at each step")
    composition: CompositionSpec = CompositionSpec(frames=6, height=180, width=240)
    pairs: PairConfig = PairConfig()


DEMO_TRACKER = TrackerConfig(
    context=0.25,
    window=0.25,
    penalty=0.06,
    size_rate=0.5,
    smallest=4,
    zero_rim=False,
    border="frame",
    whole_pixels=False,
)
"""The crops that the packaged student was trained with, and its post-processing."""
