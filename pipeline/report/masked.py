"""A picture with the masks of the objects in it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import PALETTE, VOID, LabelMask

_SHARE = 0.55
"""Of an object's colour within it."""


def with_masks(frame: RGB, mask: LabelMask, longest: int | None = None) -> Image.Image:
    """``frame``, RGB uint8 (height, width, 3), with the objects of ``mask``, uint8 (height, width), tinted in their
    labels' colours. longest: a side to which larger pictures are shrunk."""
    scale = 1.0 if longest is None else min(longest / max(frame.shape[:2]), 1.0)
    size = max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1)
    if scale < 1:
        frame = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
        mask = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    tinted = np.rint(frame * (1 - _SHARE) + PALETTE[mask] * _SHARE).astype(np.uint8)
    shown = (mask > 0) & (mask < VOID)
    return Image.fromarray(np.where(shown[..., None], tinted, frame))
