"""What the teacher and the spiking students are like: architecture as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.core.config import Section

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
