"""Foreground and background of a map of features: masks from the boxes that a picture has.

As foreground-separation distillation (FSD; Li et al., PeerJ Computer Science, 2024, cs-2485) has them in its released
code, QuanZhe2000/SFC (SFC.py), which goes back to yzd-v/FGD (mmdet/distillation/losses/fgd.py). Of the paper its
abstract alone could be read. In positions of the map a box goes from ``first = floor(x1)`` to ``last = ceil(x2)``, both
of them in it, and in the same way from row to row. With ``d = (last - first) // 2`` its surroundings go from
``first - d`` to ``last + d``, and

    a    = 1 / ((last_x + 1 - first_x) (last_y + 1 - first_y))
    G    = exp(-((column - centre_x)^2 / sigma_x^2 + (row - centre_y)^2 / sigma_y^2) / 2) in the surroundings, else 0
    M_fg = max over boxes of  a in the box, a G around it
    M_bg = 1 where M_fg is 0, over how many such positions a picture has; else 0

``sigma`` is ``(last - first) / 2`` here, the centre's coordinate counted from the box's own corner, so that
surroundings end at about two of them wherever a box is (ours). The released code has the centre's coordinate in the
map, compares rows with ``centre_x`` and columns with ``centre_y``, and takes ``n`` numbers spread evenly from
``first - d`` to ``last + d`` for ``n`` positions, the last of which is ``last + d - 1``. ``BoxMask`` has each of these
as a key. (FGD's mask has rows for columns and columns for rows in the version that was read; no key has that.)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.training.distillation.config import BoxMask

PADDING = -1
"""Class of a row of a picture's boxes that is none."""


class PictureBoxes(NamedTuple):
    """The boxes of a batch's pictures.

    boxes: (frame, box, 5), corners x1, y1, x2, y2 in picture pixels and class, which is ``PADDING`` where there is no
    box; any number of boxes, none among them. height, width: of all pictures, pixels.
    """

    boxes: Tensor
    height: int
    width: int


class _Span(NamedTuple):
    """Boxes along one axis of a map, in its positions: (frame, box)."""

    first: Tensor
    last: Tensor
    centre: Tensor


def box_masks(pictured: PictureBoxes, rows: int, columns: int, stride: int, config: BoxMask) -> tuple[Tensor, Tensor]:
    """``M_fg`` and ``M_bg``, each (frame, row, column), of a map that is centred on the picture.

    stride: picture pixels between neighbouring positions. A map that covers the picture is centred on it; one of
    convolutions without padding covers the middle, and of boxes beyond it what reaches into the map counts.
    """
    there = pictured.boxes[..., 4] != PADDING
    x1, y1, x2, y2 = pictured.boxes[..., :4].masked_fill(~there[..., None], 0).unbind(-1)
    if not there.shape[1]:
        foreground = x1.new_zeros(len(x1), rows, columns)
    else:
        down, along = _span(y1, y2, rows, stride, pictured.height), _span(x1, x2, columns, stride, pictured.width)
        area = (down.last + 1 - down.first).clamp(min=1) * (along.last + 1 - along.first).clamp(min=1)
        weight = (there / area)[..., None, None]
        foreground = (weight * _shapes(down, along, rows, columns, config)).amax(dim=1)
    background = (foreground == 0).to(foreground.dtype)
    return foreground, background / background.sum(dim=(1, 2), keepdim=True).clamp(min=1)


def _span(low: Tensor, high: Tensor, count: int, stride: int, side: int) -> _Span:
    """count: positions of the map along the axis. side: of the picture along it, pixels."""
    before = (side - count * stride) / 2
    low, high = (low - before) / stride, (high - before) / stride
    return _Span(low.floor(), high.ceil(), (low + high) / 2)


def _shapes(down: _Span, along: _Span, rows: int, columns: int, config: BoxMask) -> Tensor:
    """``M_fg / a`` of each box alone: (frame, box, row, column)."""
    inside = _outer(_inside(down, rows), _inside(along, columns))
    if config.gaussian == "none":
        return inside
    of_rows, of_columns = (along, down) if config.axes == "swapped" else (down, along)
    gaussian = _outer(_gaussian(down, of_rows, rows, config), _gaussian(along, of_columns, columns, config))
    return gaussian if config.gaussian == "whole" else torch.maximum(inside, gaussian)


def _outer(down: Tensor, along: Tensor) -> Tensor:
    return down[..., :, None] * along[..., None, :]


def _positions(span: _Span, count: int) -> Tensor:
    return torch.arange(count, dtype=span.first.dtype, device=span.first.device)


def _inside(span: _Span, count: int) -> Tensor:
    """1 in the box, else 0: (frame, box, position)."""
    position = _positions(span, count)
    return ((position >= span.first[..., None]) & (position <= span.last[..., None])).to(position.dtype)


def _gaussian(span: _Span, measured: _Span, count: int, config: BoxMask) -> Tensor:
    """The factor of ``G`` that an axis has: (frame, box, position). measured: whose centre and sigma it takes."""
    position = _positions(span, count)
    margin = (span.last - span.first).div(2, rounding_mode="floor")
    first, last = (edge[..., None] for edge in (span.first - margin, span.last + margin))
    coordinate = position
    if config.grid == "linspace":
        first, after = first.clamp(min=0), last.clamp(max=count)
        last, length = after - 1, after - first
        coordinate = first + (position - first) * length / (length - 1).clamp(min=1)
    sigma = (measured.last - measured.first) / 2 if config.sigma == "box" else measured.centre
    # Squares are finite even at a centre or side of 0, where only the centre itself is left of the Gaussian.
    off = (coordinate - measured.centre[..., None]) / (sigma.abs()[..., None] + 1e-8)
    return (-off.square() / 2).exp() * ((position >= first) & (position <= last))
