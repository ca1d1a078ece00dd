"""Where training clips come from: composed, videos, pictures with boxes, or photographs alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.datasets.clip import Clip, clips_of_pictures, clips_of_tracks, clips_of_videos
from pipeline.datasets.coco import read_coco
from pipeline.datasets.config import (
    CocoSource,
    ComposedSource,
    PhotoSource,
    SourceConfig,
    VideoSource,
    VidSource,
    VocSource,
)
from pipeline.datasets.errors import DataError
from pipeline.datasets.imagenet_vid import read_vid
from pipeline.datasets.pictures import Pictures, open_pictures
from pipeline.datasets.synthetic.stream import ClipStream
from pipeline.datasets.voc import read_voc

REGION = (0.15, 0.6)
"""Longer side of a region that stands for an object, in shorter sides of its photograph. Ours."""


class Source(Protocol):
    """Draws clips."""

    def pick(self, step: int, random: np.random.Generator) -> Clip:
        """A clip for step ``step``; steps may only go forward."""


class Composed:
    """The window of composed clips that belongs to each step."""

    def __init__(self, config: ComposedSource, seed: int) -> None:
        pictures = open_pictures(config.pictures)
        self._stream = ClipStream(pictures, config.composition, seed, config.clips, config.fresh_clips)

    def pick(self, step: int, random: np.random.Generator) -> Clip:
        window = self._stream.window(step)
        return window[int(random.integers(len(window)))]


class Stored:
    """Clips on disk, each as likely as the others."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = clips

    def pick(self, step: int, random: np.random.Generator) -> Clip:  # noqa: ARG002
        return self.clips[int(random.integers(len(self.clips)))]


class Photos:
    """Random regions of photographs."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def pick(self, step: int, random: np.random.Generator) -> Clip:  # noqa: ARG002
        picture = self._pictures[int(random.integers(len(self._pictures)))]
        height, width = picture.shape[:2]
        longer = min(height, width) * np.exp(random.uniform(*np.log(REGION)))
        aspect = np.exp(random.uniform(-np.log(2), np.log(2)))
        size = longer * np.array([aspect, 1.0]) / max(aspect, 1.0)
        corner = random.random(2) * (np.array([width, height]) - size)
        return Clip("photograph", picture[None], np.concatenate([corner, size])[None])


def open_source(config: SourceConfig, seed: int) -> Source:
    """The source of a configuration. Raises DataError or FormatError that say what is missing and where."""
    if isinstance(config, ComposedSource):
        return Composed(config, seed)
    if isinstance(config, PhotoSource):
        return Photos(open_pictures(config.root))
    clips = list(_clips(config))
    if not clips:
        raise DataError(f"{config.root}: holds no object that can be trained on")
    return Stored(clips)


def _clips(config: VideoSource | VocSource | CocoSource | VidSource) -> Iterator[Clip]:
    if isinstance(config, VideoSource):
        return clips_of_videos(open_benchmark(find_benchmark(config.layout), config.root))
    if isinstance(config, VocSource):
        return clips_of_pictures(read_voc(config.root))
    if isinstance(config, CocoSource):
        return clips_of_pictures(read_coco(config.root, config.annotations))
    return (clip for name, frames in read_vid(config.root) for clip in clips_of_tracks(frames, name))


class Mixture:
    """Several sources, each drawn from as often as its weight says."""

    def __init__(self, configs: Sequence[SourceConfig], seed: int) -> None:
        weights = np.array([config.weight for config in configs])
        self._shares = weights / weights.sum()
        self._sources = [open_source(config, seed) for config in configs]

    def pick(self, step: int, random: np.random.Generator) -> Clip:
        """A clip for step ``step``; steps may only go forward."""
        return self._sources[int(random.choice(len(self._sources), p=self._shares))].pick(step, random)
