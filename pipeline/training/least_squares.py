"""The convolution that comes closest, in mean square, to what another layer says of the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SAMPLES = 30_000
"""Positions of all maps together that are looked at. Ours."""

_RIDGE = 1e-3
"""What is added to the square of every input, as a share of all inputs' mean: keeps weights small."""

_SMALL = 1e-6
"""The same where no input ever changes."""

Maps = Sequence[Tensor]
"""One for each time that a layer ran, (frame, channel, row, column)."""


@dataclass(frozen=True)
class Fit:
    """``weight`` (channel, input, row, column) and ``bias`` (channel,) of a convolution, and the ``deviation``
    (channel,) of what it says."""

    weight: Tensor
    bias: Tensor
    deviation: Tensor


def fitted_convolution(inputs: Maps, wanted: Maps, masks: Maps | None, kernel: int, stride: int) -> Fit:
    """The convolution without padding whose answers to ``inputs`` are nearest to ``wanted``.

    masks: bool (frame, row, column), the positions that count; where there is none of them at all, or None, all do.
    """
    ours, theirs = [], []
    share = SAMPLES / sum(maps[:, 0].numel() for maps in wanted)
    if masks is None or not any(mask.any() for mask in masks):
        masks = [maps.new_ones(maps[:, 0].shape, dtype=torch.bool) for maps in wanted]
    generator = torch.Generator().manual_seed(0)
    for x, y, mask in zip(inputs, wanted, masks, strict=True):
        places = mask.nonzero()
        chosen = torch.randperm(len(places), generator=generator)[: round(share * mask.numel())]
        frame, row, column = places[chosen].unbind(1)
        ours.append(x.unfold(2, kernel, stride).unfold(3, kernel, stride)[frame, :, row, column].flatten(1))
        theirs.append(y[frame, :, row, column])
    weight, bias, deviation = _least_squares(torch.cat(ours), torch.cat(theirs))
    return Fit(weight.unflatten(1, (-1, kernel, kernel)), bias, deviation)


def _least_squares(inputs: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """weight (channel, input), bias (channel,) and the deviation of ``inputs @ weight.T`` (channel,), of inputs
    (sample, input) and wanted (sample, channel)."""
    means = inputs.mean(dim=0), wanted.mean(dim=0)
    centred = inputs - means[0]
    squares = (centred.T @ centred).double()
    ridge = (_RIDGE * squares.diagonal().mean() + _SMALL) * torch.eye(len(squares), dtype=squares.dtype)
    weight = torch.linalg.solve(squares + ridge, (centred.T @ (wanted - means[1])).double()).T.float()
    return weight, means[1] - weight @ means[0], (centred @ weight.T).std(dim=0)
