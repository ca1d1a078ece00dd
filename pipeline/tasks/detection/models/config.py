"""What the teacher and the spiking students are like: architecture as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.core.config import Section
from pipeline.models.graph import GraphConfig

STRIDES = (8, 16, 32)
"""Picture pixels between neighbouring cells of the three maps in which objects are found."""


class Size(Section):
    """How large a YOLOX is."""

    depth: float = Field(gt=0, le=2, description="of three bottlenecks in a layer of the darknet, and of its multiples")
    width: float = Field(gt=0, le=2, description="of 64 channels after the stem, and of their multiples behind it")
    depthwise: bool = Field(False, description="3x3 convolutions are a depth-wise and a point-wise one")

    def channels(self, full: int) -> int:
        """Of a layer that has ``full`` at width 1."""
        return int(full * self.width)

    def repeats(self, full: int) -> int:
        """Bottlenecks of a layer that has ``full`` at depth 1."""
        return round(full * self.depth)


SIZES = {
    # Megvii-BaseDetection/YOLOX 6ddff48, exps/default/*.py.
    "nano": Size(depth=0.33, width=0.25, depthwise=True),
    "tiny": Size(depth=0.33, width=0.375),
    "s": Size(depth=0.33, width=0.5),
    "m": Size(depth=0.67, width=0.75),
    "l": Size(depth=1.0, width=1.0),
    "x": Size(depth=1.33, width=1.25),
    # The other two are this project's own: what two cores can train, and what a test can run.
    "micro": Size(depth=0.33, width=0.1875),
    "pico": Size(depth=0.33, width=0.125),
}


def _named_size(size: object) -> object:
    if not isinstance(size, str):
        return size
    if size not in SIZES:
        raise ValueError(f"is none of {', '.join(SIZES)}; or give depth, width and depthwise")
    return SIZES[size]


class DetectorConfig(Section):
    """What teacher and students share.

    side: rows and columns of the square picture that the network sees; a teacher takes others as well.
    """

    classes: int = Field(80, ge=1, le=1000)
    side: int = Field(256, ge=64, le=1280, multiple_of=STRIDES[-1])


class YoloxConfig(DetectorConfig):
    """The teacher. backbone: CSPDarknet, which is YOLOX's own, or MobileNetV2, for which there are weights that were
    trained on ImageNet (``monospike backbone``)."""

    kind: Literal["yolox"] = "yolox"
    size: Annotated[Size, BeforeValidator(_named_size)] = SIZES["micro"]
    backbone: Literal["csp_darknet", "mobilenet_v2"] = "csp_darknet"
    frozen: int = Field(0, ge=0, le=18, description="first layers of a mobilenet_v2 that are not trained")

    @model_validator(mode="after")
    def _freezes_what_it_has(self) -> YoloxConfig:
        if self.frozen and self.backbone != "mobilenet_v2":
            raise ValueError("frozen: is for 'backbone: mobilenet_v2', which has weights before it is trained")
        return self


FIRST_STRIDES = (2, 4)
"""Of the stages before the first map in which objects are found."""


class Width(Section):
    """Channels and depths of every part of a student."""

    # Not strict: a list is what files have.
    backbone: tuple[int, int, int, int, int] = Field(strict=False, description="channels at strides 2, 4, 8, 16 and 32")
    depths: tuple[int, int, int, int, int] = Field(
        (0, 0, 1, 1, 1), strict=False, description="convolutions of 3x3 after the strided one of each stage"
    )
    neck: int = Field(ge=1, le=512, description="channels of the maps that are handed to the heads")
    head: int = Field(ge=1, le=512, description="channels of the towers")
    tower: int = Field(1, ge=0, le=4, description="convolutions in each tower; 0: read-outs read the neck")

    @model_validator(mode="after")
    def _has_channels(self) -> Width:
        if not all(1 <= channels <= 512 for channels in self.backbone):
            raise ValueError(f"backbone: channels must be 1 to 512, got {self.backbone}")
        if not all(0 <= depth <= 8 for depth in self.depths):
            raise ValueError(f"depths: must be 0 to 8, got {self.depths}")
        return self


WIDTHS = {
    # All are this project's own. At 160 pixels "chip" takes 105 cores of a Loihi 2 (docs/detection.md).
    "small": Width(backbone=(16, 32, 64, 128, 192), neck=64, head=64, tower=2),
    "chip": Width(backbone=(8, 16, 48, 96, 128), neck=48, head=48, tower=2),
    "tiny": Width(backbone=(4, 6, 8, 10, 12), neck=8, head=8),
}


def _named_width(width: object) -> object:
    if not isinstance(width, str):
        return width
    if width not in WIDTHS:
        raise ValueError(f"is none of {', '.join(WIDTHS)}; or give backbone, depths, neck, head and tower")
    return WIDTHS[width]


class SpikingYoloxConfig(DetectorConfig, GraphConfig):
    """A spiking student at one time step."""

    kind: Literal["spiking_yolox"] = "spiking_yolox"
    width: Annotated[Width, BeforeValidator(_named_width)] = WIDTHS["small"]
    skips: bool = Field(
        True,
        description="layers side by side: the two ways through a stage, and in the neck what a finer map has found; "
        "without, every layer reads one other, which lava-dl's loader knows as well",
    )
    top_down: Literal["none", "upsample"] = Field(
        "none", description="what fine maps learn from coarse ones: nothing, or their spikes, repeated (PAFPN)"
    )
    pixel_bits: int = Field(5, ge=1, le=8, description="bits of a signed pixel that enters the chip")

    @model_validator(mode="after")
    def _joins(self) -> SpikingYoloxConfig:
        if self.top_down != "none" and not self.skips:
            raise ValueError("top_down: puts maps side by side, which 'skips: false' rules out")
        return self


ModelConfig = Annotated[YoloxConfig | SpikingYoloxConfig, Field(discriminator="kind")]
