"""What the teacher and the spiking students are like: architecture as data."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from netx import limits
from pipeline.core.config import Section
from pipeline.models.config import EXPECTED_RATE, INITIAL_DEVIATION, NeuronConfig, SurrogateConfig, Threshold
from quantize.slayer import WEIGHT_SCALE

STRIDE = 8
"""Crop pixels between neighbouring positions of the score map: three layers of stride 2."""


class Width(Section):
    """Channels of every part, and the depth of the two towers."""

    # Not strict: a list is what files have.
    backbone: tuple[int, int, int, int, int] = Field(strict=False, description="channels of the five convolutions")
    neck: int = Field(ge=1, le=512, description="channels that are correlated")
    head: int = Field(ge=1, le=512, description="channels of the towers")
    tower: int = Field(3, ge=1, le=4, description="convolutions in each tower")

    @model_validator(mode="after")
    def _has_channels(self) -> Width:
        if not all(1 <= channels <= 512 for channels in self.backbone):
            raise ValueError(f"backbone: channels must be 1 to 512, got {self.backbone}")
        return self


LEAST_SCORES = 3
"""Rows of a score map that has a middle and something around it. Ours."""


WIDTHS = {
    # SiamFC++-AlexNet (megvii-research/video_analyst, alexnet_bn.py and track_head.py).
    "alexnet": Width(backbone=(96, 256, 384, 384, 256), neck=256, head=256),
    # The other two are this project's own: what two cores can train in an hour, and what a test can run.
    "small": Width(backbone=(16, 32, 64, 64, 64), neck=64, head=64),
    "tiny": Width(backbone=(6, 8, 10, 10, 8), neck=8, head=8, tower=1),
}


def _named_width(width: object) -> object:
    if not isinstance(width, str):
        return width
    if width not in WIDTHS:
        raise ValueError(f"is none of {', '.join(WIDTHS)}; or give backbone, neck, head and tower")
    return WIDTHS[width]


def _pooling_fits(side: int) -> int:
    if side % STRIDE != STRIDE - 1:
        near = side - side % STRIDE + STRIDE - 1
        raise ValueError(f"{side} is not 7 more than a multiple of 8, at which every pooling window fits; try {near}")
    return side


CropSide = Annotated[int, AfterValidator(_pooling_fits)]


class SiameseConfig(Section):
    """What teacher and students share. Crop sides in pixels; 127 and 303 are the published ones."""

    width: Annotated[Width, BeforeValidator(_named_width)] = WIDTHS["small"]
    template: CropSide = Field(127, ge=103, le=255)
    search: CropSide = Field(303, ge=143, le=511)
    half_pixel: bool = Field(
        True,
        description="distances run between centres of pixels, as published: a box reaches half a pixel farther",
    )
    neck_deviation: float = Field(0.01, gt=0, description="of the initial weights of a real-valued neck; published")
    head_deviation: float = Field(1e-4, gt=0, description="of the initial weights of a real-valued head; published")

    box_shift: float = Field(0.0, description="initial logarithm of a distance in strides; published")

    @model_validator(mode="after")
    def _has_score_map(self) -> SiameseConfig:
        if self.score_side < LEAST_SCORES:
            raise ValueError(f"the score map has {self.score_side} rows: make the search crop larger")
        return self

    @property
    def score_side(self) -> int:
        """Rows, and columns, of the score map. (search - template) / stride + 1, less 2 for each tower layer."""
        return (self.search - self.template) // STRIDE + 1 - 2 * self.width.tower

    @property
    def score_offset(self) -> int:
        """Pixel, counted from 0, at the centre of the score map's first position."""
        return (self.search - 1 - (self.score_side - 1) * STRIDE) // 2


class SiamFCppConfig(SiameseConfig):
    """The teacher."""

    kind: Literal["siamfcpp"] = "siamfcpp"


class ThermometerConfig(Section):
    """How spiking correlation counts coincidences. Defaults are ours."""

    gain: int = Field(32, ge=2, le=254, multiple_of=2, description="weight of one template spike")
    copies: int = Field(2, ge=1, le=8, description="thresholds that each channel's count is read against")
    threshold: Threshold = 33


class SpikingConfig(SiameseConfig):
    """A spiking student of the teacher's layout; S4 is the one with a single time step."""

    kind: Literal["spiking"] = "spiking"
    time_steps: int = Field(1, ge=1, le=32, description="how often the image is shown (direct encoding)")
    encoder: Literal["host", "chip"] = Field(
        "chip", description='first convolution: real-valued on the host, or integers on the chip ("chip")'
    )
    pixel_bits: int = Field(5, ge=1, le=8, description="bits of a signed pixel that enters the chip")
    conv5: Literal["real", "spiking"] = Field(
        "spiking", description='last convolution of the backbone: its membranes ("real", as the teacher), or spikes'
    )
    head: Literal["host", "chip"] = Field(
        "chip", description='neck, correlation and head: real-valued on the host, as in the literature, or "chip"'
    )
    neurons: NeuronConfig = NeuronConfig()
    surrogate: SurrogateConfig = SurrogateConfig()
    correlation: ThermometerConfig = ThermometerConfig()
    thresholds: dict[str, Threshold] = Field(
        default_factory=dict, description="by layer, such as conv1, in place of what follows from its fan-in"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> SpikingConfig:
        if self.head == "chip" and self.conv5 == "real":
            raise ValueError('conv5: a neck on the chip reads spikes, so with "head: chip" it has to be "spiking"')
        if unknown := sorted(set(self.thresholds) - set(self.spiking_layers)):
            raise ValueError(f"thresholds: {unknown[0]!r} is none of {', '.join(self.spiking_layers)}")
        return self

    @property
    def spiking_layers(self) -> tuple[str, ...]:
        """Names of the convolutions that spike, in order."""
        names = [f"conv{i}" for i in range(1, 6 if self.conv5 == "spiking" else 5)]
        if self.head == "chip":
            for branch in ("class", "box"):
                names += [f"{branch}_kernel", f"{branch}_map"]
                names += [f"{branch}_tower{i}" for i in range(1, self.width.tower + 1)]
        return tuple(names)

    def threshold(self, name: str, fan_in: int) -> int:
        """Threshold of a layer in weight units: odd, and one standard deviation of the initial membranes.

        That is ``64 * deviation * sqrt(fan_in * p)`` for inputs of mean square ``p``; about one neuron in six spikes.
        """
        if name in self.thresholds:
            return self.thresholds[name]
        if name == "conv1" and self.encoder == "host":
            return WEIGHT_SCALE + 1  # its norm makes the deviation one
        square = self._pixel_peak**2 / PIXEL_PEAK if name == "conv1" else EXPECTED_RATE
        deviation = WEIGHT_SCALE * self.deviation(name, fan_in) * math.sqrt(fan_in * square)
        return min(2 * round(deviation / 2) + 1, limits.THRESHOLD_MAX)

    def deviation(self, name: str, fan_in: int) -> float:
        """Standard deviation of a spiking layer's initial weights, SLAYER units."""
        if name != "conv1" or self.encoder == "host":
            return INITIAL_DEVIATION
        # The mean magnitude of a normal variable is 0.8 deviations: half the head-room is left for training.
        bound = limits.ACTIVATION_MAX / (fan_in * self._pixel_peak * WEIGHT_SCALE * 0.8)
        return min(INITIAL_DEVIATION, 0.5 * bound)

    @property
    def _pixel_peak(self) -> int:
        return 1 << (self.pixel_bits - 1)


PIXEL_PEAK = 16
"""Largest pixel squared over the mean square of what is left of pixels without their mean. Ours, from photographs."""

ModelConfig = Annotated[SiamFCppConfig | SpikingConfig, Field(discriminator="kind")]
