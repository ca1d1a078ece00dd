"""A segmenter on all sequences of a data set: each followed or read back, and what all come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2

from netx.errors import MonospikeError
from pipeline.core.progress import Progress
from pipeline.datasets.errors import DataError
from pipeline.datasets.masked_video import MaskedVideo
from pipeline.tasks.segmentation.following import follow
from pipeline.tasks.segmentation.metrics.kept import MaskFolder
from pipeline.tasks.segmentation.metrics.scores import combined, measured, sequence_scores
from pipeline.tasks.segmentation.predictions import OpenSegmenter

_ITS_OWN = (MonospikeError, OSError, cv2.error)
"""What is wrong with one sequence, and not with the others."""


@dataclass(frozen=True)
class Evaluated:
    """sequences: the scores of each, by name, as of ``metrics.scores.sequence_scores``. failed: why, by name."""

    sequences: Mapping[str, Mapping[str, Any]]
    failed: Mapping[str, str]


def segment_all(
    videos: Sequence[MaskedVideo], segmenter: OpenSegmenter, kept: MaskFolder, progress: Progress
) -> Evaluated:
    """Follow the objects of each sequence and score them; what was followed before is taken from ``kept``.

    Raises DataError where not one sequence could be scored.
    """
    rows: dict[str, Mapping[str, Any]] = {}
    failed: dict[str, str] = {}
    with progress.task("sequences", len(videos)) as task:
        for number, video in enumerate(videos, start=1):
            try:
                rows[video.name] = _row(video, segmenter, kept)
            except _ITS_OWN as error:
                failed[video.name] = " ".join(str(error).split())
                progress.say(f"  {video.name}: failed: {failed[video.name]}")
            task.reach(number, video.name)
    if not rows:
        raise DataError(
            f"none of the {len(failed)} sequences could be scored; the first: {next(iter(failed.values()))}"
        )
    return Evaluated(rows, failed)


def summary(evaluated: Evaluated) -> dict[str, Any]:
    """The scores as JSON values: those of ``metrics.scores.combined``, and failed, why, by sequence."""
    return {**combined(evaluated.sequences), "failed": dict(evaluated.failed)}


def _row(video: MaskedVideo, segmenter: OpenSegmenter, kept: MaskFolder) -> dict[str, Any]:
    true = video.all_masks()
    found = kept.get(video)
    if found is None:
        followed = [(mask, seconds) for _, mask, seconds in follow(video.name, video.frames, true, segmenter)]
        masks, seconds = zip(*followed, strict=True)
        found = kept.add(video, masks, sum(seconds))
    return sequence_scores(measured(video.name, true, found.masks), found)
