"""Target response (STR): the student's features respond to the target, among all else, as the teacher's do.

With ``F(U) = sum_c |U_c|``, template features ``x`` and search features ``z``, and as weights of the search's positions
``W``, the correlation of ``z`` with ``x`` summed over channels,

    L = ||F(x_S) - F(x_T)||^2 + ||F(W_S . z_S) - F(W_T . z_T)||^2

(danier97/CFKD, MSc_thesis.pdf, eqs. 2.7 to 2.10, after "Distilled Siamese Networks for Visual Tracking"; norms are
means of squares over frames and positions, as its ltr/models/loss/distillation.py takes them). ``F`` sums channels up,
so that teacher and student may have different ones.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_LEAST = 1e-6


def target_response_loss(student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], relative: bool) -> Tensor:
    """STR of features (template, search), each (frame, channel, row, column).

    relative: responses count in multiples of their mean over the map, since spikes and real values, or sixteen channels
    and sixty-four, have different sizes (ours).
    """
    pairs = zip(_responses(*student), _responses(*teacher), strict=True)
    compared = ((_relative(ours), _relative(theirs)) if relative else (ours, theirs) for ours, theirs in pairs)
    first, second = (F.mse_loss(ours, theirs) for ours, theirs in compared)
    return first + second


def response(features: Tensor) -> Tensor:
    """``F(U)``, (frame, row, column)."""
    return features.abs().sum(dim=1)


def target_weights(template: Tensor, search: Tensor) -> Tensor:
    """``W``, (frame, row, column) as large as the search: how much each position looks like the template.

    Magnitudes sum to one in each frame. (The implementation named above divides by the sum over the batch; features
    without ReLU can make that zero.)
    """
    frames, _, rows, columns = template.shape
    padding = ((columns - 1) // 2, columns // 2, (rows - 1) // 2, rows // 2)
    padded = F.pad(search, padding).flatten(0, 1)[None]
    weights = F.conv2d(padded, template, groups=frames)[0]
    return weights / weights.abs().sum(dim=(1, 2), keepdim=True).clamp(min=_LEAST)


def _responses(template: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
    return response(template), response(target_weights(template, search)[:, None] * search)


def _relative(responses: Tensor) -> Tensor:
    return responses / responses.mean(dim=(1, 2), keepdim=True).clamp(min=_LEAST)
