"""Training batches of a detector: pictures with their boxes, put together and varied at random.

A batch (``pipeline.core.task.Batch``, inputs ("images",)) holds

- ``images``: float32 (picture, 3, side, side), 0..255, channels red, green, blue, neither mean nor deviation taken off.
  side is a multiple of 32. YOLOX itself has blue first; no weights of its are read here, and all pictures of this
  project, and MobileNetV2's weights, are red first.
- ``boxes``: float32 (picture, most, 5): x1, y1, x2, y2 in pixels of ``images``, edges continuous, then the class's
  index. Rows of padding come last and are 0, 0, 0, 0, -1. most: of the objects in one picture of the batch, at least 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pipeline.core.seeds import derived_seed
from pipeline.core.task import Batch
from pipeline.datasets.detection import DetectionSet, LabelledPicture
from pipeline.datasets.images import RGB
from pipeline.tasks.detection.augmentation import (
    LabelledBoxes,
    Random,
    Sample,
    boxed,
    mirrored,
    mixup,
    mosaic,
    recoloured,
)
from pipeline.tasks.detection.data_config import AugmentationConfig
from pipeline.tasks.detection.letterbox import GREY

INPUTS = ("images",)
"""What models take of a batch."""

PADDING = -1
"""The class of a row that is no box."""

SIDE_STEP = 32
"""Sides are multiples of the coarsest stride."""

CACHED_BYTES = 256 << 20
"""Decoded pictures that are kept: decoding takes as long as all else, and small data sets fit in."""


class DetectionBatches:
    """The batches of a training by step, each from (seed, rank, step) alone.

    In each epoch every picture comes once, in an order of its own, as the first of a sample; those that a mosaic or
    mixup adds are drawn at random. All pictures of a step, in every process, have one side.
    """

    def __init__(
        self,
        pictures: DetectionSet,
        config: AugmentationConfig,
        side: int,
        batch: int,
        steps: int,
        seed: int,
        rank: int = 0,
    ) -> None:
        """side: of the images, before it is varied; a multiple of 32. batch: pictures a step. steps: of the training.
        rank: of several processes, each of which draws its own."""
        self._pictures, self._config = pictures.pictures, config
        self._side, self._batch, self._steps, self._seed, self._rank = side, batch, steps, seed, rank
        self._read = _Reader(config.difficult)
        self._order = lru_cache(2)(self._drawn_order)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        """Raises FormatError where a picture cannot be read."""
        random = np.random.default_rng([self._seed, self._rank, step])
        side, plain = self.side(step), step >= round((1 - self._config.plain) * self._steps)
        firsts = [self._first(step * self._batch + index) for index in range(self._batch)]
        return as_batch([self._sample(first, side, plain, random) for first in firsts])

    def side(self, step: int) -> int:
        """Of the images of a step."""
        config = self._config
        random = np.random.default_rng(derived_seed(self._seed, "side", step // config.side_steps))
        change = int(random.integers(-config.multi_scale, config.multi_scale + 1))
        return max(self._side + SIDE_STEP * change, SIDE_STEP)

    def _sample(self, first: int, side: int, plain: bool, random: Random) -> Sample:
        config = self._config
        if not plain and random.random() < config.mosaic:
            chosen = [first, *random.integers(len(self._pictures), size=3).tolist()]
            sample = mosaic([self._at(index) for index in chosen], side, config, random)
            if random.random() < config.mixup:
                sample = mixup(sample, self._at(int(random.integers(len(self._pictures)))), config, random)
        else:
            sample = boxed(self._at(first), side)
        sample = Sample(recoloured(sample.picture, config, random), sample.boxes)
        return mirrored(sample) if random.random() < config.flip else sample

    def _at(self, index: int) -> Sample:
        return self._read(self._pictures[index])

    def _first(self, position: int) -> int:
        """The picture at a position in the whole training."""
        epoch, place = divmod(position, len(self._pictures))
        return int(self._order(epoch)[place])

    def _drawn_order(self, epoch: int) -> npt.NDArray[np.int64]:
        random = np.random.default_rng(derived_seed(self._seed, f"order of {self._rank}", epoch))
        return random.permutation(len(self._pictures))


class _Reader:
    """Reads samples, and keeps the first ones decoded."""

    def __init__(self, difficult: bool) -> None:
        self._difficult, self._kept, self._bytes = difficult, dict[Path, RGB](), 0

    def __call__(self, picture: LabelledPicture) -> Sample:
        pixels = self._kept.get(picture.file)
        if pixels is None:
            pixels = picture.read()
            if self._bytes + pixels.nbytes <= CACHED_BYTES:
                self._kept[picture.file] = pixels
                self._bytes += pixels.nbytes
        trained = ~picture.crowd & (self._difficult | ~picture.difficult)
        boxes = np.concatenate([picture.boxes, picture.classes[:, None]], axis=1)
        return Sample(pixels, boxes[trained])


def as_batch(samples: Sequence[Sample]) -> Batch:
    """Samples of one side as tensors, boxes padded."""
    images = np.stack([sample.picture for sample in samples]).transpose(0, 3, 1, 2)
    boxes = padded([sample.boxes for sample in samples])
    tensors = {"images": torch.from_numpy(images.astype(np.float32)), "boxes": torch.from_numpy(boxes)}
    return Batch(tensors, INPUTS)


def padded(boxes: Sequence[LabelledBoxes]) -> npt.NDArray[np.float32]:
    """Boxes (object, 5) of each picture as one array (picture, most, 5), with rows of padding after them."""
    most = max(1, *map(len, boxes))
    result = np.zeros((len(boxes), most, 5), np.float32)
    result[:, :, 4] = PADDING
    for row, own in zip(result, boxes, strict=True):
        row[: len(own)] = own
    return result


def empty_batch(side: int) -> Batch:
    """One grey picture with an object of class 0 in its middle."""
    box = np.array([[side / 4, side / 4, side * 3 / 4, side * 3 / 4, 0]])
    return as_batch([Sample(np.full((side, side, 3), GREY, np.uint8), box)])
