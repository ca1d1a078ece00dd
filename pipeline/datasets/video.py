"""A video with boxes: its frames, read one at a time, and what its annotators say of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol, overload

import numpy as np

from pipeline.core.boxes import Boxes
from pipeline.datasets.annotations import Flags
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB, picture_size, read_frame

CACHED = 192
"""Pictures that are kept decoded by each process where frames are drawn at random, about a megabyte each."""

_drawn = lru_cache(CACHED)(read_frame)


class Frames(Protocol):
    """Frames in order, uint8 RGB, (height, width, 3) each, read as they are asked for.

    A length is what is known before they are read: of a video file what its header says, 0 where that says nothing.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[RGB]: ...


@dataclass(frozen=True)
class PictureFiles(Sequence[RGB]):
    """Frames that are picture files. Each is as large as it is stored, as the got10k toolkit reads them.

    Iterated, each is read and let go; by index, the process keeps the latest ones. Raises FormatError naming a picture
    that cannot be read.
    """

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[RGB]:
        return map(read_frame, self.files)

    @overload
    def __getitem__(self, index: int) -> RGB: ...
    @overload
    def __getitem__(self, index: slice) -> PictureFiles: ...
    def __getitem__(self, index: int | slice) -> RGB | PictureFiles:
        return PictureFiles(self.files[index]) if isinstance(index, slice) else _drawn(self.files[index])


@dataclass(frozen=True, eq=False)
class Annotations:
    """Frames of a video and what is said of each.

    boxes: where the object is, float64, shape (frame, 4), in the convention of ``pipeline.datasets.annotations``; a row
        of NaN where there is no box. Shape (0, 4) where nobody has annotated the video.
    absent: shape (frame,): no box, or flagged by the annotators as out of view or hidden.
    polygons: four corners x1, y1, ... x4, y4, shape (frame, 8), where the benchmark annotates rotated boxes (VOT);
        ``boxes`` are then the upright boxes to start a tracker with.
    near: boxes that a tracker is told to search around, shape (frame, 4), where it is not to follow; the first is not
        used.
    label: class of the object, where it is known.
    origin: what the layout's files call the first pixel: to be added to x and y where boxes are written for its users.
    """

    frames: Frames
    boxes: Boxes
    absent: Flags
    polygons: Boxes | None = None
    near: Boxes | None = None
    label: str | None = None
    origin: float = 0.0

    def part(self, frames: Sequence[int]) -> Annotations:
        """Only the frames of these numbers, in this order. ``near`` is left out."""
        assert isinstance(self.frames, PictureFiles), "other frames can only be read from the first on"
        numbers = list(frames)
        files = tuple(self.frames.files[number] for number in numbers)
        polygons = None if self.polygons is None else self.polygons[numbers]
        boxes, absent = self.boxes[numbers], self.absent[numbers]
        return Annotations(PictureFiles(files), boxes, absent, polygons, None, self.label, self.origin)


class Video:
    """A video by name. Its annotations are read when they are first asked for, its frames each time.

    So a benchmark is opened at once, and one bad video does not keep the others from being evaluated: whatever asks for
    more than name and folder raises MonospikeError, naming video or file, where something does not fit.

    name: files of its results are called so. folder: the file or folder that has to be there for it.
    """

    def __init__(self, name: str, folder: Path, read: Callable[[], Annotations]) -> None:
        self.name, self.folder, self._read = name, folder, read

    def load(self) -> Video:
        """Read the annotations now. Returns the video itself."""
        _ = self.annotations
        return self

    @cached_property
    def annotations(self) -> Annotations:
        """See ``Annotations``."""
        found = self._read()
        frames, boxes, absent = len(found.frames), found.boxes, found.absent
        if len(boxes) and (boxes.shape != (frames, 4) or absent.shape != (frames,)):
            raise DataError(
                f"sequence {self.name!r}: has {frames} pictures, but boxes of shape {boxes.shape} "
                f"and {len(absent)} flags"
            )
        return found

    def __len__(self) -> int:
        """Number of frames, as far as it is known: see ``Frames``."""
        return len(self.annotations.frames)

    def frames(self) -> Iterator[RGB]:
        """The frames as RGB, each of its own size. Grey is repeated, and of 16 bits the upper 8 are kept.

        Raises FormatError naming a picture that cannot be read.
        """
        return iter(self.annotations.frames)

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The files of its frames, where each has one of its own."""
        frames = self.annotations.frames
        return frames.files if isinstance(frames, PictureFiles) else ()

    def size(self) -> tuple[int, int]:
        """Width and height of the first frame."""
        if self.pictures:
            return picture_size(self.pictures[0])
        height, width = next(self.frames()).shape[:2]
        return width, height

    @property
    def annotated(self) -> bool:
        """Whether there are boxes."""
        return len(self.boxes) > 0

    @property
    def boxes(self) -> Boxes:
        """Shape (frame, 4), NaN where there is none; (0, 4) of a video that nobody has annotated."""
        return self.annotations.boxes

    @property
    def absent(self) -> Flags:
        """Frames without the object, shape (frame,)."""
        return self.annotations.absent

    @property
    def polygons(self) -> Boxes | None:
        """Corners (frame, 8) of rotated boxes."""
        return self.annotations.polygons

    @property
    def near(self) -> Boxes | None:
        """Boxes (frame, 4) that a tracker is told to search around."""
        return self.annotations.near

    @property
    def origin(self) -> float:
        """What the layout's files call the first pixel."""
        return self.annotations.origin


def unannotated(frames: Frames, origin: float = 0.0) -> Annotations:
    """Frames of which nothing is said."""
    return Annotations(frames, np.empty((0, 4)), np.empty(0, np.bool_), origin=origin)
