"""A video with label masks: its frames, and which object each pixel of them belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import overload

import numpy as np

from netx.errors import FormatError
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import picture_size
from pipeline.datasets.label_masks import VOID, LabelMask, objects_in, read_labels
from pipeline.datasets.video import PictureFiles

CACHED = 192
"""Masks that are kept decoded by each process where frames are drawn at random, as many as frames."""


@dataclass(frozen=True)
class MaskFiles(Sequence["LabelMask | None"]):
    """Masks of the frames of a sequence, each read when it is asked for; None for a frame that nobody has annotated.

    sequence: its name. files, pictures: of the masks and of their frames. black_and_white: the files say 255 for the
    one object that there is, as DAVIS-2016's do, and not for ``VOID``; it becomes 1. merged: all objects become 1.

    Raises DataError naming the sequence and the frame, where a file is no mask, or none of its frame.
    """

    sequence: str
    files: tuple[Path | None, ...]
    pictures: tuple[Path, ...]
    black_and_white: bool
    merged: bool = False

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> LabelMask | None: ...
    @overload
    def __getitem__(self, index: slice) -> MaskFiles: ...
    def __getitem__(self, index: int | slice) -> LabelMask | MaskFiles | None:
        if isinstance(index, slice):
            files, pictures = self.files[index], self.pictures[index]
            return MaskFiles(self.sequence, files, pictures, self.black_and_white, self.merged)
        return _drawn(self, range(len(self))[index])

    @property
    def annotated(self) -> tuple[int, ...]:
        """Numbers of the frames that have a mask."""
        return tuple(number for number, file in enumerate(self.files) if file is not None)

    def read(self, index: int) -> LabelMask | None:
        """The mask of a frame, which is not kept."""
        file, picture = self.files[index], self.pictures[index]
        if file is None:
            return None
        where = f"sequence {self.sequence!r}, frame {index}"
        try:
            mask, (width, height) = read_labels(file), picture_size(picture)
        except FormatError as error:
            raise DataError(f"{where}: {error}") from None
        if mask.shape != (height, width):
            mask_size = f"{mask.shape[1]}x{mask.shape[0]}"
            raise DataError(f"{where}: the mask {file} is {mask_size}, and its picture {picture} is {width}x{height}")
        return self._named(mask, f"{where}: {file}")

    def _named(self, mask: LabelMask, where: str) -> LabelMask:
        """The mask with numbers of objects for what its file says."""
        if self.black_and_white:
            objects = mask == VOID
            others = mask[~objects & (mask > 0)]
            if len(others):
                raise DataError(f"{where} holds {others[0]}, and the first mask with an object is of 0 and 255 alone")
            return objects.astype(np.uint8)
        if self.merged:
            return np.where((mask > 0) & (mask < VOID), 1, mask).astype(np.uint8)
        return mask


@lru_cache(CACHED)
def _drawn(masks: MaskFiles, index: int) -> LabelMask | None:
    mask = masks.read(index)
    if mask is not None:
        mask.setflags(write=False)
    return mask


@dataclass(frozen=True)
class MaskedFrames:
    """frames: RGB, by number. masks: of the same frames. classes: what an object is, by its number, where it is known.

    Raises DataError when they are not as many.
    """

    frames: PictureFiles
    masks: MaskFiles
    classes: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        if self.frames.files != self.masks.pictures or len(self.masks.files) != len(self.frames):
            raise DataError(f"sequence {self.masks.sequence!r}: its masks are of other frames")


class MaskedVideo:
    """A sequence by name; what lies in its folders is looked for when it is first asked for.

    So a data set is opened at once, and one bad sequence does not keep the others from being evaluated: whatever asks
    for more than the name raises MonospikeError naming the sequence, and the frame where one is at fault.
    """

    def __init__(self, name: str, read: Callable[[], MaskedFrames]) -> None:
        self.name, self._read = name, read

    @cached_property
    def content(self) -> MaskedFrames:
        """See ``MaskedFrames``."""
        return self._read()

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.content.frames)

    @property
    def frames(self) -> PictureFiles:
        """RGB, uint8 (height, width, 3)."""
        return self.content.frames

    @property
    def masks(self) -> MaskFiles:
        """See ``MaskFiles``."""
        return self.content.masks

    def all_masks(self) -> list[LabelMask | None]:
        """Every frame's mask, so that what is wrong with one of them is known before the work on the sequence begins.

        Raises DataError as ``MaskFiles`` does, also where a frame is no picture, or of another size than the first.
        """
        first: tuple[int, int] | None = None
        for number, picture in enumerate(self.frames.files):
            where = f"sequence {self.name!r}, frame {number}"
            try:
                size = picture_size(picture)
            except FormatError as error:
                raise DataError(f"{where}: {error}") from None
            first = first or size
            if size != first:
                change = f"is {size[0]}x{size[1]} but {first[0]}x{first[1]} in frame 0; give frames of one size"
                raise DataError(f"{where}: {picture} {change}")
        return [self.masks.read(number) for number in range(len(self.masks))]


def paired(
    name: str, pictures: Sequence[Path], masks: Sequence[Path], every_frame: bool, merged: bool = False
) -> MaskedFrames:
    """Pictures and masks that are called alike, without their suffixes.

    every_frame: whether each frame has to have a mask; but a first mask alone, as where the truth is held back, will
        do.
    merged: as of ``MaskFiles``.

    Raises DataError naming the sequence and the frame: a mask whose picture is missing, a frame without a mask, or no
    mask with an object in it.
    """
    by_stem = {file.stem: file for file in masks}
    stems = [picture.stem for picture in pictures]
    strays = sorted(set(by_stem) - set(stems))
    if strays:
        raise DataError(f"sequence {name!r}, frame {strays[0]}: {by_stem[strays[0]]} has no picture; it is missing")
    files = tuple(by_stem.get(stem) for stem in stems)
    if not by_stem:
        raise DataError(f"sequence {name!r}: has no mask")
    if every_frame and len(by_stem) < len(stems) and set(by_stem) != set(stems[:1]):
        number = files.index(None)
        raise DataError(f"sequence {name!r}, frame {number}: {pictures[number]} has no mask; it is missing")
    found = MaskFiles(name, files, tuple(pictures), _black_and_white(name, [file for file in files if file]), merged)
    return MaskedFrames(PictureFiles(tuple(pictures)), found)


def _black_and_white(name: str, files: Sequence[Path]) -> bool:
    """Whether the first mask that is not empty holds 255 alone. Raises DataError where all are empty."""
    for file in files:
        try:
            labels = read_labels(file)
        except FormatError as error:
            raise DataError(f"sequence {name!r}, frame {file.stem}: {error}") from None
        if labels.any():
            return not objects_in(labels)
    raise DataError(f"sequence {name!r}: no mask has an object; frame 0 is to show what is to be followed")


def check_no_gap(name: str, pictures: Sequence[Path]) -> None:
    """Raises DataError naming the frame that is missing where the numbers that the files are called by are not evenly
    apart. Files whose names are no numbers are taken as they come."""
    if not all(picture.stem.isdecimal() for picture in pictures):
        return
    numbers = [int(picture.stem) for picture in pictures]
    steps = np.diff(numbers)
    if len(steps) and (steps != steps.min()).any():
        place = int(np.argmax(steps != steps.min()))
        before, after = pictures[place], pictures[place + 1]
        where = f"sequence {name!r}, frame {numbers[place] + int(steps.min())}"
        raise DataError(f"{where}: is missing in {before.parent}, where {before.name} is followed by {after.name}")
