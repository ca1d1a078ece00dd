"""Training pairs: a template crop and a search crop of the same target, or of two, from clips."""

from __future__ import annotations

from collections.abc import Sequence as Clips
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.config import PairConfig, TrackerConfig
from pipeline.crop import centre, context_side, crop, to_crop, to_pixels
from pipeline.data import Sequence
from pipeline.track import Geometry


class Batch(NamedTuple):
    """template, search: integers as float32 (pair, 3, side, side). box: (pair, 4) in search-crop pixels.

    same: (pair,) bool, False where the template shows another target.
    """

    template: Tensor
    search: Tensor
    box: Tensor
    same: Tensor


def draw(
    clips: Clips[Sequence],
    count: int,
    geometry: Geometry,
    tracker: TrackerConfig,
    pairs: PairConfig,
    random: np.random.Generator,
) -> Batch:
    """``count`` pairs from random frames of random clips, the search crop shifted and scaled at random."""
    templates, searches, boxes, same = [], [], [], []
    for _ in range(count):
        clip = clips[int(random.integers(len(clips)))]
        negative = random.random() < pairs.negative
        shown = clips[int(random.integers(len(clips)))] if negative else clip
        at, template_at = int(random.integers(len(clip.frames))), int(random.integers(len(shown.frames)))
        box = shown.boxes[template_at]
        jitter = np.exp(random.uniform(-pairs.template_jitter, pairs.template_jitter))
        scale = geometry.template / context_side(box, tracker.context) * jitter
        offset = random.uniform(-pairs.template_jitter, pairs.template_jitter, 2) * box[2:]
        template = crop(shown.frames[template_at], centre(box) + offset, scale, geometry.template)
        box = clip.boxes[at]
        scale = geometry.template / context_side(box, tracker.context)
        scale *= np.exp(random.uniform(-pairs.scale_jitter, pairs.scale_jitter))
        middle = centre(box) + random.uniform(-pairs.shift, pairs.shift, 2) * geometry.search / 2 / scale
        search = crop(clip.frames[at], middle, scale, geometry.search)
        if random.random() < 0.5:  # a mirrored pair is as good a pair
            template, search = template[:, ::-1], search[:, ::-1]
            box = np.array([2 * middle[0] - box[0] - box[2], *box[1:]])
        templates.append(template)
        searches.append(search)
        boxes.append(to_crop(box, middle, scale, geometry.search))
        same.append(not negative)
    return Batch(
        torch.from_numpy(to_pixels(np.stack(templates), geometry.pixel_bits)).float(),
        torch.from_numpy(to_pixels(np.stack(searches), geometry.pixel_bits)).float(),
        torch.tensor(np.array(boxes), dtype=torch.float32),
        torch.tensor(same),
    )
