"""One sequence of a benchmark on disk: its pictures, read one at a time, and its ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB, read_frame

Boxes = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Video:
    """Pictures of a sequence in order, and what its annotators say of each.

    boxes: x, y, width, height in pixels, float64, shape (frame, 4), as they stand in the benchmark's file: the toolkits
        (got10k, pysot, video_analyst) hand them to trackers like this, so published scores are made like this. A row of
        NaN where the object has no box.
    absent: bool, shape (frame,): no box, or flagged by the annotators as out of view or hidden.
    polygons: four corners x1, y1, ... x4, y4, shape (frame, 8), where the benchmark annotates rotated boxes (VOT);
        ``boxes`` are then the upright boxes to start a tracker with.
    near: boxes that a tracker is told to look near, shape (frame, 4), where it is not to follow; the first is not used.

    Raises DataError, naming the sequence and what does not fit.
    """

    name: str
    pictures: tuple[Path, ...]
    boxes: Boxes
    absent: npt.NDArray[np.bool_]
    polygons: Boxes | None = None
    near: Boxes | None = None

    def __post_init__(self) -> None:
        frames = len(self.pictures)
        if self.boxes.shape != (frames, 4) or self.absent.shape != (frames,):
            raise DataError(
                f"sequence {self.name!r}: has {frames} pictures, but boxes of shape {self.boxes.shape} "
                f"and {len(self.absent)} flags"
            )

    def __len__(self) -> int:
        return len(self.pictures)

    def frames(self) -> Iterator[RGB]:
        """The pictures as RGB, all of one size. Grey is repeated, and of 16 bits the upper 8 are kept.

        Raises FormatError naming a picture that cannot be read, DataError naming sequence, frame and picture when the
        size changes.
        """
        first: RGB | None = None
        for number, picture in enumerate(self.pictures):
            frame = read_frame(picture)
            first = frame if first is None else first
            if frame.shape != first.shape:
                sizes = " but ".join(f"{shape[1]}x{shape[0]}" for shape in (frame.shape, first.shape))
                raise DataError(
                    f"sequence {self.name!r}, frame {number}: {picture} is {sizes} in frame 0; "
                    "a tracker needs frames of one size"
                )
            yield frame

    def size(self) -> tuple[int, int]:
        """Width and height of the first picture, from its header. Raises DataError when it is no picture."""
        try:
            with Image.open(self.pictures[0]) as picture:
                return picture.size
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"sequence {self.name!r}, frame 0: cannot be read as a picture ({error})") from None


@dataclass(frozen=True)
class Entry:
    """A sequence of a benchmark by name, and the file or folder that has to be there for it.

    ``load`` reads its annotations and raises MonospikeError when they are bad, so that one bad sequence does not keep
    the others from being evaluated.
    """

    name: str
    place: Path
    load: Callable[[], Video]
