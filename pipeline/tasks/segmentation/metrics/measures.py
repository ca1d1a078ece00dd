"""Region similarity J and contour accuracy F of masks, as DAVIS defines them.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016; what its text
leaves open is as in davisvideochallenge/davis2017-evaluation ac7c43f and vos-benchmark 0.1.0, which give the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.core.boxes import Values
from pipeline.datasets.annotations import Flags
from pipeline.datasets.label_masks import LabelMask

BOUNDARY = 0.008
"""Tolerance of a contour's place over the diagonal of the picture."""


def region_similarities(found: LabelMask, true: LabelMask, objects: Sequence[int]) -> Values:
    """J of each object, float64 (object,), 0..1: intersection over union; 1 where it is in neither mask."""
    pairs = np.bincount(true.ravel().astype(np.int64) * 256 + found.ravel(), minlength=1 << 16).reshape(256, 256)
    chosen = list(objects)
    common = pairs[chosen, chosen]
    union = pairs[chosen].sum(axis=1) + pairs[:, chosen].sum(axis=0) - common
    return np.divide(common, union, out=np.ones(len(chosen)), where=union > 0)


def contour_accuracy(found: Flags, true: Flags) -> float:
    """F of one object, 0..1: the harmonic mean of the shares of either boundary that lie within ``tolerance`` of the
    other. found, true: where the object is, (height, width).

    Where only one of both has a boundary F is 0, where neither has one it is 1. Only pixels count, not lengths.
    """
    reach = tolerance(*found.shape)
    around = _around(found | true)
    found_boundary, true_boundary = boundary(found[around]), boundary(true[around])
    found_count, true_count = int(found_boundary.sum()), int(true_boundary.sum())
    if not found_count or not true_count:
        return float(found_count == true_count)
    precision = np.sum(found_boundary & _within(true_boundary, reach)) / float(found_count)
    recall = np.sum(true_boundary & _within(found_boundary, reach)) / float(true_count)
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def tolerance(height: int, width: int) -> int:
    """Pixels by which a boundary may be off: those of a disk, whose rim counts."""
    return math.ceil(BOUNDARY * np.linalg.norm((height, width)))


def boundary(mask: Flags) -> Flags:
    """Pixels of which the right, the lower or the lower right neighbour is on the other side: one pixel wide, and half
    a pixel up and left of the true outline. The edge of the picture is no boundary."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    return np.asarray((here != padded[:-1, 1:]) | (here != padded[1:, :-1]) | (here != padded[1:, 1:]))


def _around(mask: Flags) -> tuple[slice, slice]:
    """Rows and columns around the mask and a pixel more: where the boundaries are."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return slice(max(y - 1, 0), y + height + 1), slice(max(x - 1, 0), x + width + 1)


def _within(edges: Flags, reach: int) -> npt.NDArray[np.bool_]:
    """Pixels whose distance from an edge is at most ``reach``. Distances are roots of whole numbers, in float32: half
    way to the next one is beyond all rounding."""
    distance = cv2.distanceTransform((~edges).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance < math.sqrt(reach * reach + 0.5))
