"""Wires between layers, which re-arrange values and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netx import Concat, Upsample, Wire


def wired(wire: Wire, inputs: Sequence[Tensor]) -> Tensor:
    """What ``wire`` makes of values of shape (frame, channel, height, width); channels stay last in memory."""
    if isinstance(wire, Concat):
        kinds = {values.dtype for values in inputs}
        same = inputs if len(kinds) == 1 else [values.to(torch.int32) for values in inputs]
        return torch.cat(list(same), dim=1)
    [values] = inputs
    if isinstance(wire, Upsample):
        return _upsampled(wire, values.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return values.reshape(len(values), -1, 1, 1)


def _upsampled(wire: Upsample, values: Tensor) -> Tensor:
    """Of and to (frame, height, width, channel)."""
    (down, across), (frames, height, width, channels) = wire.factor, values.shape
    if not wire.zeros:
        spread = values[:, :, None, :, None].expand(frames, height, down, width, across, channels)
        return spread.reshape(frames, height * down, width * across, channels)
    rows, columns = ((n - 1) * f + 1 + t for n, f, t in zip((height, width), wire.factor, wire.trailing, strict=True))
    result = values.new_zeros((frames, rows, columns, channels))
    result[:, ::down, ::across][:, :height, :width] = values
    return result
