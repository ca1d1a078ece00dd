"""A tracking sequence: frames and the box of one object in each; its file, and the OTB folder layout."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx.arrays import ArrayEquality
from netx.errors import FormatError
from netx.files import write_whole
from netx.npz import read_npz
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB, read_frame

Boxes = npt.NDArray[np.float64]

GROUND_TRUTH = "groundtruth_rect.txt"
OTB_ORIGIN = 1.0
"""OTB counts pixels from 1, as MATLAB does (Wu, Lim, Yang, "Object Tracking Benchmark", PAMI 2015, and its toolkit)."""


@dataclass(frozen=True, eq=False)
class Sequence(ArrayEquality):
    """Frames of a video and the box of the object in every one of them.

    frames: RGB, uint8, shape (frame, height, width, 3).
    boxes: x, y, width, height in pixels, float64, shape (frame, 4); x, y is the top left corner. Edges are continuous:
        pixel column i spans [i, i + 1), so a box that covers exactly the first pixel is (0, 0, 1, 1). Sizes are
        positive; a box may reach out of the frame.

    Both arrays are read-only. Raises DataError, naming the sequence and the first bad frame, when something is off.
    """

    name: str
    frames: RGB
    boxes: Boxes

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", _checked_frames(self.frames, self.name))
        object.__setattr__(self, "boxes", _checked_boxes(self.boxes, len(self.frames), self.name))

    def __len__(self) -> int:
        return len(self.frames)

    def save(self, path: Path) -> None:
        """Write an npz without objects, uncompressed; the file appears whole or not at all."""
        with write_whole(path) as temporary, temporary.open("wb") as file:
            np.savez(file, name=np.array(self.name), frames=self.frames, boxes=self.boxes)

    @staticmethod
    def load(path: Path) -> Sequence:
        """Read what ``save`` wrote. Raises FormatError when the file is not that."""
        try:
            arrays = read_npz(path)
            return Sequence(str(arrays["name"]), arrays["frames"], arrays["boxes"])
        except (FormatError, ValueError, KeyError, DataError) as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise FormatError(f"{path}: is not a tracking sequence ({reason})") from None


def read_folder(path: Path, ground_truth: str = GROUND_TRUTH) -> Sequence:
    """The sequence in a folder of OTB's layout: ``img/*.jpg`` or ``*.png`` in order of name, and a ground-truth file.

    The file holds one ``x,y,width,height`` a line, separated by commas, tabs, semicolons or spaces, in OTB's pixels,
    which count from 1; one is subtracted from x and y. A folder with several targets has a file for each
    (``groundtruth_rect.2.txt``).

    Raises FormatError naming the file, and the line where there is one, when something is missing, unreadable, not a
    number or an empty box, when frames differ in size, or when there is not one line a picture.
    """
    path = Path(path)
    pictures = frame_files(path)
    boxes = read_boxes(path / ground_truth)
    if len(boxes) != len(pictures):
        raise FormatError(
            f"{path / ground_truth}: has {len(boxes)} boxes, but {path / 'img'} holds {len(pictures)} pictures; "
            "every picture needs its line"
        )
    target = ground_truth.removeprefix("groundtruth_rect").removesuffix("txt").strip(".")
    return Sequence(f"{path.name}.{target}" if target else path.name, _read_frames(pictures), boxes)


def frame_files(path: Path) -> list[Path]:
    """The pictures of an OTB folder in order. Raises FormatError when there are none."""
    folder = Path(path) / "img"
    if not folder.is_dir():
        raise FormatError(f"{path}: is not a sequence in OTB's layout: there is no folder {folder}")
    pictures = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not pictures:
        raise FormatError(f"{folder}: holds no jpg or png")
    return pictures


def read_boxes(path: Path) -> Boxes:
    """The boxes in an OTB ground-truth file, x and y counted from 0, shape (frame, 4). Raises FormatError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except FileNotFoundError:
        raise FormatError(f"{path}: the ground truth is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: cannot be read as text ({error})") from None
    boxes = [_parse_box(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _parse_box(line: str, where: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = (float(word) for word in re.split(r"[\s,;]+", line.strip(" \t,;")))
    except ValueError:
        raise FormatError(f"{where}: expected x,y,width,height, got {line[:80]!r}") from None
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise FormatError(f"{where}: {line.strip()[:80]!r} is no box; leave out frames without the object")
    return x - OTB_ORIGIN, y - OTB_ORIGIN, width, height


def _read_frames(pictures: list[Path]) -> RGB:
    first = read_frame(pictures[0])
    frames = np.empty((len(pictures), *first.shape), dtype=np.uint8)
    for index, picture in enumerate(pictures):
        frame = read_frame(picture)
        if frame.shape != first.shape:
            sizes = " but ".join(f"{width}x{height}" for height, width, _ in (frame.shape, first.shape))
            raise FormatError(f"{picture}: is {sizes} in {pictures[0].name}; all frames must be of one size")
        frames[index] = frame
    return frames


def _checked_frames(frames: RGB, name: str) -> RGB:
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise DataError(
            f"sequence {name!r}: frames must be uint8 of shape (frame, height, width, 3), "
            f"got {frames.dtype} of shape {frames.shape}"
        )
    return _read_only(frames)


def has_box(boxes: Boxes) -> npt.NDArray[np.bool_]:
    """Which of ``boxes`` (frame, 4) are boxes: neither NaN, as where the object is out of view, nor without area."""
    return np.asarray(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))


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
