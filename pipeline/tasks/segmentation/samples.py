"""The sequences that models are scored on, and those of a deployment as files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from netx.files import write_whole
from netx.npz import npz_bytes, read_npz
from pipeline.core.progress import Progress
from pipeline.core.seeds import derived_seed
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import LabelMask, objects_in
from pipeline.datasets.masked_layouts import open_masked
from pipeline.datasets.masked_video import MaskedVideo
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose_masked
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.tasks.segmentation.config import SampleData
from pipeline.tasks.segmentation.following import follow
from pipeline.tasks.segmentation.metrics.scores import Found, combined, measured, sequence_scores
from pipeline.tasks.segmentation.predictions import OpenSegmenter

ATTEMPTS = 20
"""Sequences that are composed for one in whose first frame an object is seen."""


@dataclass(frozen=True, eq=False)
class MaskedSequence:
    """name: of the sequence. frames: RGB, uint8 (frame, height, width, 3). masks: of each frame, None where nobody has
    made one."""

    name: str
    frames: Sequence[RGB]
    masks: Sequence[LabelMask | None]


def cut(video: MaskedVideo, frames: int | None) -> MaskedSequence:
    """The first so many frames of a video. Raises DataError where one of its files is bad."""
    return MaskedSequence(video.name, video.frames[:frames], video.all_masks()[:frames])


def composed(pictures: str, spec: CompositionSpec, count: int, seed: int) -> list[MaskedSequence]:
    """Sequences composed from still photographs, each with an object in its first frame. pictures: as of
    ``open_pictures``. Raises DataError where none of ATTEMPTS has one."""
    opened, found = open_pictures(pictures), list[MaskedSequence]()
    for number in range(count):
        for attempt in range(ATTEMPTS):
            frames, masks = compose_masked(opened, spec, derived_seed(seed, f"composed {number}", attempt))
            if objects_in(masks[0]):
                found.append(MaskedSequence(f"composed-{number}", list(frames), list(masks)))
                break
        else:
            raise DataError(f"none of {ATTEMPTS} sequences composed from {pictures} shows an object in its first frame")
    return found


def scored(
    sequences: Sequence[MaskedSequence], segmenter: OpenSegmenter
) -> tuple[dict[str, Any], dict[str, list[LabelMask]]]:
    """What a segmenter finds in sequences, by name, and its scores as of ``metrics.scores.combined``."""
    rows, masks = {}, {}
    for one in sequences:
        followed = list(follow(one.name, one.frames, one.masks, segmenter))
        masks[one.name] = [frame.mask for frame in followed]
        found = Found(masks[one.name], sum(frame.seconds for frame in followed))
        rows[one.name] = sequence_scores(measured(one.name, one.masks, found.masks), found)
    return combined(rows), masks


def write_samples(config: SampleData, seed: int, folder: Path, progress: Progress) -> str:
    """Leave each sequence in a file of its own; returns what they are, in a line.

    Raises DataError or FormatError where a video is missing or bad.
    """
    data = config.videos
    if data is None:
        assert config.sequences is not None, "the configuration has been checked"
        sequences = composed(config.pictures, config.composition, config.sequences, seed)
    else:
        sequences = [cut(video, config.frames) for video in open_masked(data)[: config.sequences]]
    frames = 0
    with progress.task("sequences", len(sequences)) as bar:
        for number, one in enumerate(sequences):
            known = [mask is not None for mask in one.masks]
            size = one.frames[0].shape[:2]
            masks = [np.zeros(size, np.uint8) if mask is None else mask for mask in one.masks]
            values: dict[str, npt.ArrayLike] = {
                "name": one.name,
                "frames": np.stack(one.frames),
                "masks": np.stack(masks),
                "known": known,
            }
            with write_whole(folder / f"{number:04}.npz") as temporary:
                temporary.write_bytes(npz_bytes(values, compressed=True))
            frames += len(masks)
            bar.advance()
    return f"{len(sequences)} sequences, {frames} frames"


def read_samples(folder: Path) -> list[MaskedSequence]:
    """What ``write_samples`` left. Raises FormatError where a file is damaged."""
    return [_sequence(path, read_npz(path)) for path in sorted(folder.glob("*.npz"))]


def _sequence(path: Path, values: dict[str, npt.NDArray]) -> MaskedSequence:
    try:
        frames, masks, known = (values[name] for name in ("frames", "masks", "known"))
        if frames.dtype != np.uint8 or masks.dtype != np.uint8 or frames.shape != (*masks.shape, 3):
            raise ValueError("frames and masks don't fit")
        seen = [mask if there else None for mask, there in zip(masks, known, strict=True)]
        return MaskedSequence(str(values["name"]), list(frames), seen)
    except (KeyError, ValueError, TypeError) as error:
        raise FormatError(f"{path}: is no sequence with masks ({error}); run again with --from data") from None
