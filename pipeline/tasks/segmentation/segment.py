"""A segmenter at work on a video or a folder of pictures: palette PNGs, and an overlay to look at."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from netx.files import write_whole
from pipeline.core.progress import Progress
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import VOID, LabelMask, objects_in, read_labels, write_labels
from pipeline.datasets.video import Video
from pipeline.datasets.video_source import open_video
from pipeline.report.animation import LARGEST, Animation
from pipeline.report.masked import with_masks
from pipeline.tasks.segmentation.following import follow
from pipeline.tasks.segmentation.predictions import OpenSegmenter

MASKS = "masks"
"""Folder of the PNGs."""


def first_mask(path: Path) -> LabelMask:
    """The mask that says what is to be followed: numbers of objects, or 0 and 255 for one alone, which becomes 1.

    Raises FormatError where the file is no mask, DataError where no object is in it.
    """
    mask = read_labels(path)
    if not mask.any():
        raise DataError(f"{path}: no pixel of the mask is of an object, so there is nothing to follow")
    return mask if objects_in(mask) else (mask == VOID).astype(np.uint8)


def segment(source: Path, mask: Path, segmenter: OpenSegmenter, out: Path, progress: Progress) -> tuple[int, bool]:
    """Follow the objects of ``mask``, which is of the first frame. Leaves in ``out`` a palette PNG for each frame, in
    ``masks/`` and called as the frame's file where it has one, and an animated GIF of the frames with their masks.

    Returns the number of frames, and whether they are all: interrupted (Ctrl-C), it writes what it has come to; before
    the first frame there is nothing to write, and KeyboardInterrupt passes. Raises MonospikeError where the source or
    the mask is missing or none, or they don't fit, or a folder of masks is there that holds something else; nothing is
    written then.
    """
    _check_replaceable(out / MASKS)
    video, given, animation = open_video(source), first_mask(mask), Animation()
    done, whole = 0, False
    with write_whole(out / MASKS) as folder:
        folder.mkdir()
        with progress.task("frames", len(video)) as task, suppress(KeyboardInterrupt):
            for number, (frame, found, _) in enumerate(follow(video.name, video.frames(), [given], segmenter)):
                animation.add_drawn(partial(_drawn, frame, found))
                write_labels(folder / f"{_stem(video, number)}.png", found)
                done = number + 1
                task.advance()
            whole = True
        if not done:
            raise KeyboardInterrupt
    with write_whole(out / f"{video.name}.gif") as temporary:
        temporary.write_bytes(animation.gif())
    return done, whole


def _check_replaceable(folder: Path) -> None:
    """Masks of an earlier run are replaced, and nothing else is."""
    others = [file.name for file in folder.iterdir() if file.suffix != ".png"] if folder.is_dir() else []
    if others:
        raise DataError(f"{folder}: holds {others[0]}, which is no mask, and would be replaced; take another --out")


def _stem(video: Video, number: int) -> str:
    return video.pictures[number].stem if video.pictures else f"{number:05}"


def _drawn(frame: RGB, mask: LabelMask, _: int) -> Image.Image:
    return with_masks(frame, mask, LARGEST)
