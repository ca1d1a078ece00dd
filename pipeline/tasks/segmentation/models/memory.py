"""Space-time memory: what frames and their masks have left, and how a new frame reads it.

Oh et al., "Video Object Segmentation using Space-Time Memory Networks", arXiv 1904.00607, section 3.2: a position of
the frame reads the mean of the values of all positions in memory, weighted by the softmax of the keys' similarities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pipeline.tasks.segmentation.models.config import Similarity

LEAST = 1e-7
"""Bound of probabilities whose logit is taken (seoungwugoh/STM, model.py, Soft_aggregation)."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Frames before any mask is known. key: (frame, channel, row, column) at stride 16. maps: (frame, channel, row,
    column), by the model's own names."""

    key: Tensor
    maps: Mapping[str, Tensor]

    def at(self, places: Tensor | slice) -> Encoded:
        """Some of the frames, or some several times."""
        return Encoded(self.key[places], {name: values[places] for name, values in self.maps.items()})


@dataclass(frozen=True, eq=False)
class Memory:
    """keys, values: (object, channel, position), of all positions of all frames that are remembered."""

    keys: Tensor
    values: Tensor

    @staticmethod
    def of(keys: Tensor, values: Tensor) -> Memory:
        """One frame's: (object, channel, row, column)."""
        return Memory(keys.flatten(2), values.flatten(2))

    @staticmethod
    def joined(memories: Sequence[Memory]) -> Memory:
        """Memories of the same objects as one."""
        if len(memories) == 1:
            return memories[0]
        keys, values = ([getattr(one, name) for one in memories] for name in ("keys", "values"))
        return Memory(torch.cat(keys, dim=2), torch.cat(values, dim=2))


@dataclass(frozen=True, eq=False)
class Decoded:
    """logits: of a position's being the object's, (object, 1, row, column) at stride 4. maps: of the decoder, by
    stride, ``decoder_16`` and so on."""

    logits: Tensor
    maps: Mapping[str, Tensor]


class MemoryNetwork(Protocol):
    """What teacher and student do alike, and a student's integers too. Frames are RGB, 0..255, (frame, 3, row,
    column)."""

    def encode(self, frames: Tensor) -> Encoded:
        """See ``Encoded``."""

    def memorise(self, frames: Tensor, encoded: Encoded, masks: Tensor, others: Tensor) -> Memory:
        """Frames with a mask each, (object, 1, row, column), 0..1, and with the other objects' masks together.

        frames, encoded: one for each object.
        """

    def read(self, memory: Memory, encoded: Encoded) -> Tensor:
        """What each position of a frame reads, (object, channel, row, column). encoded: one for each object."""

    def decode(self, encoded: Encoded, read: Tensor) -> Decoded:
        """See ``Decoded``. encoded: one for each object."""


def similarity(keys: Tensor, query: Tensor, kind: Similarity) -> Tensor:
    """Of every position in memory with every one of a frame, (object, position in memory, position).

    keys: (object, channel, position in memory). query: (object, channel, position). Divided by the square root of the
    number of channels, as published.
    """
    products = keys.transpose(1, 2) @ query
    if kind == "distance":
        products = 2 * products - keys.square().sum(dim=1)[:, :, None]
    return products / math.sqrt(keys.shape[1])


def mean_value(scores: Tensor, values: Tensor, top: int | None = None) -> Tensor:
    """The mean of ``values`` (object, channel, position in memory), weighted by the softmax of ``scores`` (object,
    position in memory, position): (object, channel, position). top: only so many of the largest scores count."""
    if top is None or top >= scores.shape[1]:
        return values @ scores.softmax(dim=1)
    best, places = scores.topk(top, dim=1)
    return values @ torch.zeros_like(scores).scatter(1, places, best.softmax(dim=1))


def aggregated(probabilities: Tensor) -> Tensor:
    """Logits of background and objects, (frame, 1 + object, row, column), from each object's own probabilities
    (frame, object, row, column): the background's is that of there being no object, and a softmax over what follows
    makes all of them sum to 1 (arXiv 1904.00607, section 3.4)."""
    background = (1 - probabilities).prod(dim=1, keepdim=True)
    return torch.cat([background, probabilities], dim=1).clamp(LEAST, 1 - LEAST).logit()
