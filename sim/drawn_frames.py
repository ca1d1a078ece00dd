"""Frames of a network's inputs, drawn from a seed: for comparing what has no frames of its own."""

from __future__ import annotations

import numpy as np

from netx import Network
from netx.arrays import IntArray

_DENSITIES = (1.0, 0.5, 0.25, 0.1)


def draw_frames(network: Network, count: int, seed: int) -> dict[str, IntArray]:
    """``count`` frames of every input, int32, shape (frame, channel, height, width).

    Values are drawn evenly from the input's range, and only a share of them is kept, full, half, a quarter and a tenth
    in turn; the others are 0, or the value that is nearest to it.
    """
    random = np.random.default_rng(seed)
    frames = {}
    for source in network.inputs:
        shape = (count, *source.shape)
        values = random.integers(source.range.low, source.range.high, shape, endpoint=True)
        density = np.resize(_DENSITIES, count)[:, None, None, None]
        idle = min(max(0, source.range.low), source.range.high)
        frames[source.name] = np.where(random.random(shape) < density, values, idle).astype(np.int32)
    return frames
