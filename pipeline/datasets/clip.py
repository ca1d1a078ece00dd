"""Clips: frames of one object with its box in every one of them, to train on or to judge a run by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from netx.arrays import ArrayEquality
from netx.errors import FormatError
from netx.files import write_whole
from netx.npz import npz_bytes, read_npz
from pipeline.core.boxes import Boxes
from pipeline.datasets.annotations import AnnotatedPicture, Flags, has_box
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB
from pipeline.datasets.video import PictureFiles, Video

FrameSequence: TypeAlias = "RGB | Sequence[RGB]"
"""Frames by index: an array (frame, height, width, 3), or pictures that are read when asked for."""

SMALLEST_SIDE = 8.0
LARGEST_ASPECT = 10.0
LARGEST_AREA = 0.6
"""Boxes that are trained on: sides in pixels (ours); ratio of sides, and share of the picture as in
siamfcpp_alexnet-trn.yaml, where only the ratio acts because the test of the area is never evaluated."""


@dataclass(frozen=True, eq=False)
class Clip(ArrayEquality):
    """Frames and the box of the object in every one of them.

    frames: RGB, uint8: an array (frame, height, width, 3), or a sequence of (height, width, 3), each of its own size.
    boxes: float64, shape (frame, 4), in the convention of ``pipeline.datasets.annotations``. Sizes are positive; a box
        may reach out of the frame.
    label: class of the object, where it is known.

    Arrays are read-only. Raises DataError, naming the clip and the first bad frame, when something is off.
    """

    name: str
    frames: FrameSequence
    boxes: Boxes
    label: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.frames, np.ndarray):
            object.__setattr__(self, "frames", _checked_frames(self.frames, self.name))
        elif not len(self.frames):
            raise DataError(f"sequence {self.name!r}: has no frames")
        object.__setattr__(self, "boxes", _checked_boxes(self.boxes, len(self.frames), self.name))

    def __len__(self) -> int:
        return len(self.frames)

    def stacked(self) -> RGB:
        """The frames as one array (frame, height, width, 3).

        Raises DataError naming the first frame of another size, FormatError naming a picture that cannot be read.
        """
        if isinstance(self.frames, np.ndarray):
            return self.frames
        frames = list(self.frames)
        for number, frame in enumerate(frames):
            if frame.shape != frames[0].shape:
                sizes = " but ".join(f"{shape[1]}x{shape[0]}" for shape in (frame.shape, frames[0].shape))
                raise DataError(
                    f"sequence {self.name!r}, frame {number}: is {sizes} in frame 0; what is kept in one file, as a "
                    "run's sequences are, has frames of one size"
                )
        return np.stack(frames)

    def save(self, path: Path) -> None:
        """Write an npz without objects, uncompressed; the file appears whole or not at all."""
        arrays = {"name": np.array(self.name), "frames": self.stacked(), "boxes": self.boxes}
        if self.label is not None:
            arrays["label"] = np.array(self.label)
        with write_whole(path) as temporary:
            temporary.write_bytes(npz_bytes(arrays))

    @staticmethod
    def load(path: Path) -> Clip:
        """Read what ``save`` wrote. Raises FormatError when the file is not that."""
        try:
            arrays = read_npz(path)
            label = str(arrays["label"]) if "label" in arrays else None
            return Clip(str(arrays["name"]), arrays["frames"], arrays["boxes"], label)
        except (FormatError, ValueError, KeyError, DataError) as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise FormatError(f"{path}: is not a tracking sequence ({reason})") from None


def usable(boxes: Boxes, size: tuple[float, float]) -> Flags:
    """Which boxes (box, 4) can be trained on in a picture of this width and height."""
    sides = np.nan_to_num(boxes[:, 2:], nan=0.0)
    thin = sides.min(axis=1) < SMALLEST_SIDE
    long = sides.max(axis=1) > LARGEST_ASPECT * np.maximum(sides.min(axis=1), 1e-9)
    return np.isfinite(boxes).all(axis=1) & ~thin & ~long & (sides.prod(axis=1) <= LARGEST_AREA * size[0] * size[1])


def whole_clip(video: Video) -> Clip:
    """Every frame of a video. Raises DataError naming a frame in which the object has no box."""
    seen = np.flatnonzero(~has_box(video.boxes))
    if len(seen) or not video.annotated:
        frame = int(seen[0]) if len(seen) else 0
        raise DataError(
            f"sequence {video.name!r}, frame {frame}: the object has no box; leave out frames without the object"
        )
    return Clip(video.name, PictureFiles(video.pictures), video.boxes, video.annotations.label)


def clips_of_videos(videos: Iterable[Video]) -> Iterator[Clip]:
    """Of each video the frames in which the object can be trained on, where there are two at least."""
    for video in videos:
        fit = np.flatnonzero(~video.absent & usable(video.boxes, video.size()))
        if len(fit) >= 2:
            part = video.annotations.part(fit.tolist())
            assert isinstance(part.frames, PictureFiles)
            yield Clip(video.name, part.frames, part.boxes, part.label)


def clips_of_pictures(pictures: Iterable[AnnotatedPicture]) -> Iterator[Clip]:
    """A clip of one frame for each object that can be trained on; crowds are no single object."""
    for picture in pictures:
        for index in np.flatnonzero(usable(picture.boxes, picture.size) & ~picture.crowd):
            name = f"{picture.file.stem}:{index}"
            yield Clip(name, PictureFiles((picture.file,)), picture.boxes[index : index + 1], picture.labels[index])


def clips_of_tracks(frames: Sequence[AnnotatedPicture], name: str) -> Iterator[Clip]:
    """Of each object of one video, told by its track, the frames in which it can be trained on."""
    shown: dict[str, list[tuple[Path, npt.NDArray[np.float64], str]]] = {}
    for picture in frames:
        for index in np.flatnonzero(usable(picture.boxes, picture.size)):
            seen = shown.setdefault(picture.tracks[index], [])
            seen.append((picture.file, picture.boxes[index], picture.labels[index]))
    for track, seen in shown.items():
        files, boxes, labels = zip(*seen, strict=True)
        yield Clip(f"{name}:{track}", PictureFiles(files), np.array(boxes), labels[0])


def _checked_frames(frames: RGB, name: str) -> RGB:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise DataError(
            f"sequence {name!r}: frames must be uint8 of shape (frame, height, width, 3), "
            f"got {frames.dtype} of shape {frames.shape}"
        )
    return _read_only(frames)


def _checked_boxes(boxes: Boxes, frames: int, name: str) -> Boxes:
    boxes = np.asarray(boxes)
    if boxes.shape != (frames, 4) or not np.issubdtype(boxes.dtype, np.number) or np.iscomplexobj(boxes):
        raise DataError(
            f"sequence {name!r}: boxes must be numbers of shape ({frames}, 4), got {boxes.dtype} of shape {boxes.shape}"
        )
    boxes = boxes.astype(np.float64, copy=False)
    bad = ~has_box(boxes)
    if bad.any():
        frame = int(np.argmax(bad))
        raise DataError(f"sequence {name!r}, frame {frame}: {boxes[frame].tolist()} is not a box x, y, width, height")
    return _read_only(boxes)


def _read_only(array: npt.NDArray) -> npt.NDArray:
    view = array.view()
    view.setflags(write=False)
    return view
