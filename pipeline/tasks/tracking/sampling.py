"""Training pairs: a template crop and a search crop of the same target, or of two, from clips; and batches of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch

from pipeline.core.task import Batch
from pipeline.datasets.clip import Clip
from pipeline.datasets.training_sources import Mixture
from pipeline.tasks.tracking.config import PairConfig, TrainingConfig
from pipeline.tasks.tracking.crop import Image, centre, context_side, crop, to_crop
from pipeline.tasks.tracking.models.config import STRIDE
from pipeline.tasks.tracking.predictor import Geometry

Pick: TypeAlias = Callable[[np.random.Generator], Clip]
"""Draws a clip."""


class Crops(NamedTuple):
    """template, search: RGB, uint8 (pair, side, side, 3). box: float64 (pair, 4), x, y, width, height in search-crop
    pixels. same: bool (pair,), False where the template shows another target."""

    template: npt.NDArray[np.uint8]
    search: npt.NDArray[np.uint8]
    box: npt.NDArray[np.float64]
    same: npt.NDArray[np.bool_]


def draw_crops(
    pick: Pick, count: int, geometry: Geometry, context: float, pairs: PairConfig, random: np.random.Generator
) -> Crops:
    """``count`` pairs from random frames of clips that ``pick`` draws, the search crop shifted and scaled at random.

    context: as in ``pipeline.tasks.tracking.crop.context_side``.
    """
    drawn = [_draw_pair(pick, geometry, context, pairs, random) for _ in range(count)]
    template, search, box, same = zip(*drawn, strict=True)
    return Crops(np.stack(template), np.stack(search), np.array(box), np.array(same))


def _draw_pair(
    pick: Pick, geometry: Geometry, context: float, pairs: PairConfig, random: np.random.Generator
) -> tuple[Image, Image, npt.NDArray[np.float64], bool]:
    clip = pick(random)
    negative = random.random() < pairs.negative
    shown = pick(random) if negative else clip
    at = int(random.integers(len(clip.frames)))
    template_at = _template_frame(len(shown.frames), None if negative else at, pairs, random)
    box = shown.boxes[template_at]
    jitter = np.exp(random.uniform(-pairs.template_jitter, pairs.template_jitter))
    scale = geometry.template / context_side(box, context) * jitter
    offset = random.uniform(-pairs.template_jitter, pairs.template_jitter, 2) * box[2:]
    template = crop(shown.frames[template_at], centre(box) + offset, scale, geometry.template)
    box = clip.boxes[at]
    scale = geometry.template / context_side(box, context)
    scale *= np.exp(random.uniform(-pairs.scale_jitter, pairs.scale_jitter))
    middle = centre(box) + random.uniform(-pairs.shift, pairs.shift, 2) * geometry.search / 2 / scale
    search = crop(clip.frames[at], middle, scale, geometry.search)
    if random.random() < 0.5:  # a mirrored pair is as good a pair
        template, search = template[:, ::-1], search[:, ::-1]
        box = np.array([2 * middle[0] - box[0] - box[2], *box[1:]])
    template, search = (_varied(image, pairs, random) for image in (template, search))
    return template, search, to_crop(box, middle, scale, geometry.search), not negative


def _template_frame(frames: int, search_at: int | None, pairs: PairConfig, random: np.random.Generator) -> int:
    """Any frame, or one at most ``max_gap`` from that of the search crop."""
    if pairs.max_gap is None or search_at is None:
        return int(random.integers(frames))
    return int(random.integers(max(search_at - pairs.max_gap, 0), min(search_at + pairs.max_gap + 1, frames)))


def _varied(image: Image, pairs: PairConfig, random: np.random.Generator) -> Image:
    """``image`` under another light and camera; nothing is drawn for what is off."""
    if pairs.light:
        gain, offset = np.exp(random.normal(0, 0.3 * pairs.light, 3)), random.normal(0, 20 * pairs.light)
        levels = np.clip(np.arange(256)[:, None] * gain + offset, 0, 255).astype(np.uint8)
        image = np.asarray(cv2.LUT(np.ascontiguousarray(image), levels[None]), np.uint8)
    if pairs.grey and random.random() < pairs.grey:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    if pairs.blur and random.random() < pairs.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(random.uniform(0.5, 2.0))), np.uint8)
    return image


INPUTS = ("template", "search")
"""What models take of a batch."""


def as_batch(crops: Crops) -> Batch:
    """Crops as tensors, channels before rows.

    template, search: RGB, uint8 (pair, 3, side, side). box: float32 (pair, 4), x, y, width, height in search-crop
    pixels. same: bool (pair,), False where the template shows another target.
    """
    images = {
        name: torch.from_numpy(np.ascontiguousarray(getattr(crops, name).transpose(0, 3, 1, 2))) for name in INPUTS
    }
    box, same = torch.tensor(crops.box, dtype=torch.float32), torch.tensor(crops.same)
    return Batch({**images, "box": box, "same": same}, INPUTS)


def empty_batch(template: int, search: int) -> Batch:
    """One pair of black crops of these sides, with a box in the middle."""
    black = {
        name: torch.zeros(1, 3, side, side, dtype=torch.uint8)
        for name, side in zip(INPUTS, (template, search), strict=True)
    }
    corner = search / 2 - 16
    box, same = torch.tensor([[corner, corner, 32.0, 32.0]]), torch.tensor([True])
    return Batch({**black, "box": box, "same": same}, INPUTS)


class PairBatches:
    """The batches of a training by step, each drawn from (seed, rank, step) alone; steps may only go forward.

    rank: of several processes, each of which draws its own. Raises DataError at once where a root is missing or bad,
    and FormatError at the step that meets a bad picture.
    """

    def __init__(self, config: TrainingConfig, rank: int) -> None:
        self._config, self._rank = config, rank
        self._sources = Mixture(config.data, config.seed)

    def __len__(self) -> int:
        return self._config.train.steps

    def __getitem__(self, step: int) -> Batch:
        config, architecture = self._config, next(iter(self._config.models.values())).architecture
        small = config.train.search
        side = small.side if small and step < small.until * config.train.steps else architecture.search
        crops = draw_crops(
            lambda random: self._sources.pick(step, random),
            config.train.batch,
            Geometry(architecture.template, side, STRIDE, 8),
            config.tracker.context,
            config.train.pairs,
            np.random.default_rng([config.seed, self._rank, step]),
        )
        return as_batch(crops)
