"""Golden frames: what a generated ``main`` feeds the network, and what every layer has to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx.arrays import IntArray

MULTIPLIER = 6364136223846793005
"""Of the checksum, modulo 2^64: Knuth's multiplier of a linear congruential generator, odd, so that order counts."""


@dataclass(frozen=True)
class GoldenPart:
    """Consecutive frames from rest, and what comes of them; every array (frame, channel, height, width), integers.

    frames: by input. outputs: by layer with neurons: spikes, messages or read-outs. membranes: by the same layers, as
    the exact engine records them.
    """

    frames: Mapping[str, IntArray]
    outputs: Mapping[str, npt.NDArray[np.integer]]
    membranes: Mapping[str, IntArray]

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(next(iter(self.frames.values())))


@dataclass(frozen=True)
class Golden:
    """step: frames of the network, correlations programmed. program: of a network with correlations, its template."""

    step: GoldenPart
    program: GoldenPart | None = None
    origin: str = ""
    """Where the frames are from, in words."""


def checksum(values: npt.NDArray[np.integer]) -> int:
    """Of integers of 32 bits in order: ``h <- h * MULTIPLIER + (value mod 2^32) + 1`` from 0, modulo 2^64."""
    flat = values.astype(np.int32).ravel().view(np.uint32).astype(np.uint64) + np.uint64(1)
    powers = np.full(flat.size, MULTIPLIER, np.uint64)
    powers[:1] = 1
    return int((flat[::-1] * np.multiply.accumulate(powers)).sum(dtype=np.uint64))
