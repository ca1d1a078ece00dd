"""What the teacher and the spiking students are like: architecture as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.core.config import Section
from pipeline.models.graph import GraphConfig

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
    frozen: int = Field(
        0, ge=0, le=14, description="layers of a mobilenet_v2, from the first, that stay as they are; 4 end at stride 4"
    )

    @model_validator(mode="after")
    def _has_such_layers(self) -> StmConfig:
        if self.frozen and self.size.backbone != "mobilenet_v2":
            raise ValueError("frozen: is for a size with 'backbone: mobilenet_v2'")
        return self


FIRST_STRIDE = 2
"""Of the stage before the first map that a decoder sees."""


class Channels(Section):
    """Channels and depths of every part of a student."""

    # Not strict: a list is what files have.
    encoder: tuple[int, int, int, int] = Field(strict=False, description="channels at strides 2, 4, 8 and 16")
    encoder_depths: tuple[int, int, int, int] = Field(
        (0, 0, 1, 1), strict=False, description="convolutions of 3x3 after the strided one of each stage"
    )
    memory: tuple[int, int, int, int] = Field(strict=False, description="the same of what sees masks as well")
    memory_depths: tuple[int, int, int, int] = Field((0, 0, 0, 1), strict=False)
    key: int = Field(ge=1, le=512, description="channels of keys")
    value: int = Field(ge=1, le=512, description="channels of values")
    decoder: tuple[int, int, int] = Field(strict=False, description="channels at strides 16, 8 and 4")

    @model_validator(mode="after")
    def _has_channels(self) -> Channels:
        for name in ("encoder", "memory", "decoder"):
            if not all(1 <= channels <= 512 for channels in getattr(self, name)):
                raise ValueError(f"{name}: channels must be 1 to 512, got {getattr(self, name)}")
        for name in ("encoder_depths", "memory_depths"):
            if not all(0 <= depth <= 8 for depth in getattr(self, name)):
                raise ValueError(f"{name}: must be 0 to 8, got {getattr(self, name)}")
        return self


CHANNELS = {
    # All are this project's own. "small" has a twentieth of the parameters and a thirtieth of the operations of the
    # teacher "mobile".
    "small": Channels(encoder=(8, 16, 32, 40), memory=(8, 16, 24, 40), key=24, value=48, decoder=(40, 20, 12)),
    "tiny": Channels(encoder=(4, 6, 8, 10), memory=(4, 6, 8, 10), key=6, value=8, decoder=(8, 6, 4)),
}


def _named_channels(channels: object) -> object:
    if not isinstance(channels, str):
        return channels
    if channels not in CHANNELS:
        raise ValueError(
            f"is none of {', '.join(CHANNELS)}; or give the channels of encoder, memory, key, value, decoder"
        )
    return CHANNELS[channels]


class SpikingStmConfig(SegmenterConfig, GraphConfig):
    """A spiking student at one time step. Its encoder, the encoder that sees masks, and its decoder are a network each;
    the memory between them is on the host."""

    kind: Literal["spiking_stm"] = "spiking_stm"
    channels: Annotated[Channels, BeforeValidator(_named_channels)] = Field(
        CHANNELS["small"], description="of its layers, and how many"
    )
    keys: Literal["membranes", "spikes"] = Field(
        "membranes", description="what positions are found by; of spikes a similarity is an integer"
    )
    similarity: Similarity = "distance"
    top: int | None = Field(20, ge=1, description="positions of largest similarity that are read; None for all")
    pixel_bits: int = Field(5, ge=1, le=8, description="bits of a signed pixel, and of a mask's probability")
    read_bits: int = Field(5, ge=2, le=8, description="bits of the signed integers that the decoder is given")


ModelConfig = Annotated[StmConfig | SpikingStmConfig, Field(discriminator="kind")]
