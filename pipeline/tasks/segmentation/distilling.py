"""What a student of segmentation learns from its teacher besides what students of all tasks do.

Boundary and pixel-relation terms are those of MobileVOS (Miles et al., "MobileVOS: Real-Time Video Object
Segmentation", CVPR 2023), of which the abstract was read; the forms are those of a third party's re-implementation,
edwardguil/mobilevos (mobilevos/losses.py, commit 6dc7f32), where nothing else is said. With ``p`` the softmax over
background and objects, B the pixels near a boundary, and Z a frame's features, a row of length 1 for each position:

    boundary   mean over B of KL(p_teacher(logits / T) || p_student(logits / T))            T = 0.1: it sharpens
    relation   log2 |C_S|^2 - log2 |C_S o (w C_T + (1 - w) Y)|^2,    C = Z Z',    Y = 1 where two labels are the same

``|.|^2`` is the sum of squares, ``o`` the product of elements: no two positions are to be alike to the student but
those that are to the teacher, and by their labels. Ours are the rows' length, without which C is as large as features
are and w says nothing; a matrix for each frame, of all its positions, where the re-implementation draws 256; the mean
over pixels where it divides by the number of classes as well, and that over frames where it divides by the positions.

Space-time feature fusion (STFF) is named in the abstract of Hou et al. (Knowledge-Based Systems, 2025, 308:112759): it
gives appearance and position priors to the fitting of each frame's features. The form is ours. Before the student's
features F of a frame are compared with the teacher's, they are given what the frame before says, by its own features F'
and its true mask M', the share of each position that is of an object:

    a = sum M' F' / sum M'          how the objects looked
    A = cos(F, a)                   appearance: where it looks like that now
    S = F + W [F, A, M']            W a 3x3 convolution that begins as zero

so that the encoder need not learn what cannot be known from one frame. No part of it is left in the student.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.datasets.label_masks import VOID
from pipeline.tasks.segmentation.distilling_config import Priors

_LEAST = 1e-6


def near_boundary(labels: Tensor, width: int) -> Tensor:
    """Pixels from which another label is at most ``width`` rows and columns away, bool (frame, row, column).

    labels: int64 of that shape. Void is no label, and never near. (The re-implementation filters the labels as numbers
    by Sobel's operator, in which several can cancel each other.)
    """
    void = labels == VOID
    values = labels.float()
    most = _widest(values.masked_fill(void, -1.0), width)
    least = -_widest(-values.masked_fill(void, VOID), width)
    return (most > least) & ~void


def _widest(values: Tensor, width: int) -> Tensor:
    return F.max_pool2d(values[:, None], 2 * width + 1, stride=1, padding=width)[:, 0]


def boundary_divergence(student: Tensor, teacher: Tensor, near: Tensor, temperature: float) -> Tensor:
    """``boundary`` of logits (frame, class, row, column); 0 where no pixel is ``near``, bool (frame, row, column)."""
    ours, theirs = (F.log_softmax(logits.movedim(1, -1)[near] / temperature, dim=-1) for logits in (student, teacher))
    return F.kl_div(ours, theirs, reduction="sum", log_target=True) / max(len(ours), 1)


def pixel_relation(student: Tensor, teacher: Tensor, labels: Tensor, teacher_share: float) -> Tensor:
    """``relation`` of maps (frame, channel, row, column), of any number of channels each, averaged over frames.

    labels: int64 (frame, row, column), as large as the maps; positions of void don't count. teacher_share: w, 0..1.
    """
    counted = (labels != VOID).flatten(1)
    ours, theirs = (_relations(maps, counted) for maps in (student, teacher))
    flat = labels.flatten(1)
    alike = (flat[:, :, None] == flat[:, None, :]).to(ours.dtype)
    wanted = teacher_share * theirs + (1 - teacher_share) * alike
    whole, shared = (values.square().sum(dim=(1, 2)) + _LEAST for values in (ours, ours * wanted))
    return (torch.log2(whole) - torch.log2(shared)).mean()


def _relations(maps: Tensor, counted: Tensor) -> Tensor:
    """Cosines between a frame's positions, (frame, position, position), 0 where one of the two doesn't count."""
    rows = F.normalize(maps.flatten(2), dim=1, eps=_LEAST) * counted[:, None]
    return rows.transpose(1, 2) @ rows


class SpaceTimeFusion(nn.Module):
    """STFF: the student's features with what the frame before says."""

    def __init__(self, channels: int, priors: Priors = "both") -> None:
        """priors: those that are given; the other one is 0 everywhere."""
        super().__init__()
        self._priors = priors
        self.fuse = nn.Conv2d(channels + 2, channels, 3, padding=1)
        nn.init.zeros_(self.fuse.weight)
        nn.init.zeros_(self.fuse.bias)  # type: ignore[arg-type]

    def forward(self, maps: Tensor, before: Tensor, mask: Tensor) -> Tensor:
        """S of maps (frame, channel, row, column). before: F', as large, without a gradient. mask: M', (frame, 1, row,
        column), 0..1."""
        look = (mask * before).sum(dim=(2, 3)) / mask.sum(dim=(2, 3)).clamp(min=_LEAST)
        appearance = F.cosine_similarity(maps, look[..., None, None].expand_as(maps), dim=1, eps=_LEAST)
        given = appearance[:, None] * (self._priors != "position"), mask * (self._priors != "appearance")
        fused: Tensor = self.fuse(torch.cat([maps, *given], dim=1))
        return maps + fused
