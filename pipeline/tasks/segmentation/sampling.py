"""Training batches of a segmenter: short clips with their masks, varied at random.

A batch (``pipeline.core.task.Batch``, inputs ("frames", "masks")) holds

- ``frames``: float32 (clip, frame, 3, height, width), 0..255, channels red, green, blue.
- ``masks``: int64 (clip, frame, height, width): 0 for background, 1 and on for objects, ``VOID`` for pixels that are
  not to be judged. Every object is in its clip's first frame: what appears later is background.
- ``objects``: int64 (clip,): how many there are, at least 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from pipeline.core.seeds import derived_seed
from pipeline.core.task import Batch
from pipeline.datasets.errors import DataError
from pipeline.datasets.label_masks import VOID, LabelMask, objects_in
from pipeline.datasets.masked_layouts import open_masked
from pipeline.datasets.masked_video import MaskedVideo
from pipeline.datasets.pictures import Pictures, open_pictures
from pipeline.datasets.synthetic.compose import compose_masked
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.tasks.segmentation.augmentation import MaskedClip, Random, varied
from pipeline.tasks.segmentation.data_config import ClipConfig, ClipSource, ComposedMasks

INPUTS = ("frames", "masks")
"""What models take of a batch."""

ATTEMPTS = 20
"""Clips that are drawn for one in whose first frame an object is left."""

SMALLEST = 16
"""Pixels of the first frame that an object has to have to be followed."""


class ClipBatches:
    """The batches of a training by step, each from (seed, rank, step) alone."""

    def __init__(self, config: ClipConfig, batch: int, steps: int, seed: int, rank: int = 0) -> None:
        """batch: clips a step. rank: of several processes, each of which draws its own. Raises DataError where a source
        holds nothing."""
        self._config, self._batch, self._steps, self._seed, self._rank = config, batch, steps, seed, rank
        self._draws = [_opened(source, config.frames) for source in config.sources]
        weights = np.array([source.weight for source in config.sources])
        self._shares = weights / weights.sum()

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        """Raises DataError or FormatError where a source's file is bad, or shows no object."""
        seed = derived_seed(self._seed, f"clips of {self._rank}", step)
        return as_batch([self._clip(np.random.default_rng([seed, index])) for index in range(self._batch)])

    def _clip(self, random: Random) -> MaskedClip:
        config = self._config
        for _ in range(ATTEMPTS):
            clip = self._draws[int(random.choice(len(self._draws), p=self._shares))](random)
            seen = varied(clip, config.height, config.width, config.augmentation, random)
            marked = MaskedClip(seen.frames, relabelled(seen.masks, config.objects, random))
            if objects_in(marked.masks[0]):
                return marked
        raise DataError(f"none of {ATTEMPTS} clips had an object of {SMALLEST} pixels in its first frame")


def relabelled(masks: LabelMask, most: int, random: Random) -> LabelMask:
    """Labels 1 and on for at most ``most`` of the objects of the first frame (frame, height, width), in random order;
    all others become background, and void stays."""
    counts = np.bincount(masks[0].ravel(), minlength=256)
    objects = [index for index in objects_in(masks[0]) if counts[index] >= SMALLEST]
    table = np.zeros(256, np.uint8)
    table[VOID] = VOID
    for label, index in enumerate(random.permutation(objects)[:most], start=1):
        table[int(index)] = label
    return table[masks]


def as_batch(clips: list[MaskedClip]) -> Batch:
    """Clips of one size as tensors."""
    frames = np.stack([clip.frames for clip in clips]).transpose(0, 1, 4, 2, 3)
    masks = np.stack([clip.masks for clip in clips])
    counts = [len(objects_in(clip.masks[0])) for clip in clips]
    tensors = {
        "frames": torch.from_numpy(frames.astype(np.float32)),
        "masks": torch.from_numpy(masks.astype(np.int64)),
        "objects": torch.tensor(counts, dtype=torch.int64),
    }
    return Batch(tensors, INPUTS)


def empty_batch(config: ClipConfig) -> Batch:
    """One grey clip with an object in its middle."""
    frames = np.full((config.frames, config.height, config.width, 3), 114, np.uint8)
    masks = np.zeros(frames.shape[:3], np.uint8)
    masks[:, config.height // 4 : config.height * 3 // 4, config.width // 4 : config.width * 3 // 4] = 1
    return as_batch([MaskedClip(frames, masks)])


def _opened(source: ClipSource, frames: int) -> Callable[[Random], MaskedClip]:
    """What draws clips of so many frames from a source."""
    if isinstance(source, ComposedMasks):
        spec = source.composition.model_copy(update={"frames": frames})
        return partial(_composed, open_pictures(source.pictures), spec)
    return partial(_cut, open_masked(source, davis_split="train"), frames, source.gap)


def _composed(pictures: Pictures, spec: CompositionSpec, random: Random) -> MaskedClip:
    return MaskedClip(*compose_masked(pictures, spec, int(random.integers(1 << 31))))


def _cut(videos: list[MaskedVideo], frames: int, gap: int, random: Random) -> MaskedClip:
    """Frames of a video in their order, forwards or backwards; the last one stands still where there are too few."""
    video = videos[int(random.integers(len(videos)))]
    annotated = video.masks.annotated
    places = np.concatenate([[0], np.cumsum(random.integers(1, gap + 1, frames - 1))]).astype(int)
    places = np.minimum(places, len(annotated) - 1)
    places += int(random.integers(len(annotated) - places[-1]))
    numbers = [annotated[place] for place in (places[::-1] if random.random() < 0.5 else places)]
    shown = [(video.frames[number], video.masks[number]) for number in numbers]
    first = shown[0][0]
    for number, (frame, _) in zip(numbers, shown, strict=True):
        if frame.shape != first.shape:
            raise DataError(f"sequence {video.name!r}, frame {number}: is of another size than frame {numbers[0]}")
    pictures, masks = zip(*shown, strict=True)
    return MaskedClip(np.stack(pictures), np.stack(masks))
