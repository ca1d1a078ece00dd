"""What the teacher and the spiking students are like: architecture as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.core.config import Section

STRIDES = (4, 8, 16)
"""Frame pixels between neighbouring positions of the maps that a decoder sees. Memory is kept at the last."""

Similarity = Literal["dot", "distance"]
"""Of a memory's key k and a frame's key q. dot: k q, as STM has it. distance: 2 k q - k k, which is -(k - q)^2 less
what is the same for all of the memory, as STCN has it; of keys that are spikes it is minus their Hamming distance."""


class SegmenterConfig(Section):
    """What teacher and students share: the size of the frames that the network sees."""

    height: int = Field(128, ge=32, le=2160, multiple_of=STRIDES[-1], description="rows")
    width: int = Field(224, ge=32, le=3840, multiple_of=STRIDES[-1], description="columns")


class Size(Section):
    """How large a teacher is."""

    backbone: Literal["resnet50", "resnet18", "mobilenet_v2"] = Field(
        description="of both encoders, up to stride 16; monospike backbone has ImageNet weights for mobilenet_v2"
    )
    key: int = Field(ge=1, le=1024, description="channels of keys")
    value: int = Field(ge=1, le=2048, description="channels of values")
    decoder: int = Field(ge=1, le=1024, description="channels of the decoder")


SIZES = {
    # seoungwugoh/STM, model.py.
    "published": Size(backbone="resnet50", key=128, value=512, decoder=256),
    # The others are this project's own: what two cores can train, and what a test can run.
    "mobile": Size(backbone="mobilenet_v2", key=64, value=256, decoder=128),
    "tiny": Size(backbone="mobilenet_v2", key=8, value=16, decoder=8),
}


def _named_size(size: object) -> object:
    if not isinstance(size, str):
        return size
    if size not in SIZES:
        raise ValueError(f"is none of {', '.join(SIZES)}; or give backbone, key, value and decoder")
    return SIZES[size]


class StmConfig(SegmenterConfig):
    """The teacher."""

    kind: Literal["stm"] = "stm"
    size: Annotated[Size, BeforeValidator(_named_size)] = SIZES["mobile"]
    frozen_norms: bool = Field(
        True, description="batch norms stay as the backbone's weights have them, as published; not for random weights"
    )
