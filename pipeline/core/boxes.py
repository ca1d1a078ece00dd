"""Overlap of boxes and distance of their middles, as the got10k toolkit reckons them.

Boxes are x, y, width, height in pixels, float64, in the last axis. A box of NaN gives NaN. Without a bound none of
these changes when all boxes are moved alike, so the origin that a layout counts from does not matter to them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]
Values = npt.NDArray[np.float64]


def iou(boxes: Boxes, truth: Boxes, bound: tuple[int, int] | None = None) -> Values:
    """Intersection over union, pair by pair, of boxes (..., 4): 0..1, shape (...).

    bound: width and height of the picture; both boxes are first cut to it (GOT-10k does so, OTB does not).
    Source: got10k 0.1.3, utils/metrics.py rect_iou; two boxes without area overlap by 0.
    """
    if bound is not None:
        boxes, truth = _within(boxes, bound), _within(truth, bound)
    corner = np.maximum(boxes[..., :2], truth[..., :2])
    far = np.minimum(boxes[..., :2] + boxes[..., 2:], truth[..., :2] + truth[..., 2:])
    intersection = np.maximum(far - corner, 0).prod(axis=-1)
    union = boxes[..., 2:].prod(axis=-1) + truth[..., 2:].prod(axis=-1) - intersection
    return np.asarray(np.clip(intersection / (union + np.finfo(float).eps), 0, 1))


def centre_error(boxes: Boxes, truth: Boxes) -> Values:
    """Distance of the middles in pixels, shape (...).

    The middle of a box is x + (width - 1) / 2, as of whole pixels (got10k 0.1.3, utils/metrics.py center_error).
    """
    return np.asarray(np.linalg.norm(_middles(boxes) - _middles(truth), axis=-1))


def normalised_centre_error(boxes: Boxes, truth: Boxes) -> Values:
    """Distance of the middles in sizes of the true box, each axis by its own side, shape (...).

    Muller et al., "TrackingNet", ECCV 2018, equation 1; a side below one pixel counts as one
    (megvii-research/video_analyst, got_benchmark/utils/metrics.py normalized_center_error).
    """
    shift = (_middles(boxes) - _middles(truth)) / np.maximum(truth[..., 2:], 1)
    return np.asarray(np.linalg.norm(shift, axis=-1))


def _middles(boxes: Boxes) -> Boxes:
    return np.asarray(boxes[..., :2] + (boxes[..., 2:] - 1) / 2)


def _within(boxes: Boxes, bound: tuple[int, int]) -> Boxes:
    corner = np.clip(boxes[..., :2], 0, bound)
    # The toolkit cuts the sides from the moved corner on: a box that starts left of the picture keeps its width.
    size = np.clip(boxes[..., 2:], 0, bound - corner)
    return np.concatenate([corner, size], axis=-1)
