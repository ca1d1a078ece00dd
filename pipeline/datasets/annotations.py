"""What the readers share: boxes in one convention, files of numbers, and clear words where something is missing.

Inside the program a box is x, y, width, height in pixels, x, y its top left corner, and edges are continuous: pixel
column i spans [i, i + 1), so the box that covers exactly the first pixel is (0, 0, 1, 1), as the crops have it
(``pipeline.tasks.tracking.crop``). Layouts count differently, and the reader of each is where that ends:

- OTB counts pixels from 1, as MATLAB does (Wu, Lim, Yang, "Object Tracking Benchmark", PAMI 2015, and its toolkit): one
  is subtracted from x and y (``OTB_ORIGIN``). got10k 0.1.3 (datasets/otb.py), pysot and video_analyst hand the file's
  numbers to trackers as they are, a pixel too far right and down; overlaps and distances of boxes don't change when all
  of them are moved alike, so scores of the same boxes are the toolkits'.
- UAV123, LaSOT and VOT2018: their toolkits and trackers take the numbers as they are, and so do we (got10k 0.1.3,
  datasets/uav123.py, lasot.py, vot.py). pysot and video_analyst put a box's middle at x + (width - 1) / 2 of pixels
  that are counted from 0, which is x + width / 2 here.
- GOT-10k counts from 0: its toolkit cuts boxes to 0..width and 0..height (got10k 0.1.3, experiments/got10k.py).
- Pascal VOC and ImageNet-VID give the first and last pixel, counted from 1; COCO gives x, y, width, height from 0; YOLO
  gives the middle and the sides in parts of the picture's (``pipeline.datasets.voc``, ``coco``, ``yolo``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from netx.errors import FormatError
from pipeline.core.boxes import Boxes, Values
from pipeline.datasets.errors import DataError

Flags = npt.NDArray[np.bool_]

OTB_ORIGIN = 1.0
"""What OTB's files call the first pixel."""

_FACTS = Path(__file__).parent


def facts(name: str) -> Any:
    """What a benchmark's own files do not say, from the YAML beside this module, where its source stands."""
    return yaml.safe_load((_FACTS / f"{name}.yaml").read_text(encoding="utf-8"))


def read_rows(path: Path, columns: tuple[int, ...] = (4,)) -> Boxes:
    """The numbers in a ground-truth file, one frame a line, shape (frame, column).

    Commas, semicolons, tabs and spaces separate. A line that holds NaN becomes a row of NaN: no box in that frame.
    columns: how many numbers a line may have; every line of a file has as many as its first.

    Raises FormatError naming the file and line.
    """
    lines = read_text(path).rstrip().splitlines()
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        words = re.split(r"[\s,;]+", line.strip(" \t,;"))
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if len(row) not in columns or (rows and len(row) != len(rows[0])) or any(map(math.isinf, row)):
            wanted = " or ".join(map(str, columns))
            raise FormatError(f"{path}, line {number}: expected {wanted} numbers, got {line.strip()[:80]!r}")
        rows.append(row)
    if not rows:
        raise FormatError(f"{path}: is empty")
    values = np.array(rows, dtype=np.float64)
    values[np.isnan(values).any(axis=1)] = np.nan
    return values


def read_flags(path: Path, frames: int) -> npt.NDArray[np.int64]:
    """Whole numbers, one a frame, on one line or many, shape (frame,). Raises FormatError."""
    try:
        values = [int(word) for word in re.split(r"[\s,;]+", read_text(path).strip(" \t\r\n,;"))]
    except ValueError as error:
        raise FormatError(f"{path}: expected whole numbers, one a frame ({error})") from None
    if len(values) != frames:
        raise FormatError(f"{path}: has {len(values)} numbers for {frames} pictures")
    return np.array(values, dtype=np.int64)


def one_line_a_picture(path: Path, rows: Boxes, pictures: Sequence[Path]) -> None:
    """Raises DataError naming the first picture without a line, or the first line without a picture."""
    if len(rows) < len(pictures):
        raise DataError(
            f"{path}: has {len(rows)} lines for {len(pictures)} pictures; the first without a line is frame "
            f"{len(rows)}, {pictures[len(rows)].name}"
        )
    if len(rows) > len(pictures):
        raise DataError(
            f"{path}: has {len(rows)} lines for {len(pictures)} pictures; pictures are missing, or the file is of "
            "another sequence"
        )


def moved(boxes: Boxes, by: float) -> Boxes:
    """Boxes (frame, 4) with ``by`` added to x and y."""
    return boxes + np.array([by, by, 0.0, 0.0])


def no_box(boxes: Boxes) -> Flags:
    """Which frames have no box: a row of NaN. Shape (frame,)."""
    return np.asarray(np.isnan(boxes).any(axis=1))


def has_box(boxes: Boxes) -> Flags:
    """Which of ``boxes`` (frame, 4) are boxes: neither NaN, as where the object is out of view, nor without area."""
    return np.asarray(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))


@dataclass(frozen=True, eq=False)
class AnnotatedPicture:
    """A picture file and all objects that are marked in it.

    size: width and height in pixels. boxes: (object, 4). labels: class of each object, as its data set names it.
    difficult: which are hard to recognise, and are not counted in Pascal VOC's evaluation, bool (object,). crowd: which
    boxes hold many objects of the class, and are no single one (COCO), bool (object,). tracks: the same in every frame
    that shows the object (ImageNet-VID); empty texts elsewhere. areas: square pixels, float64 (object,): of the outline
    where the file says it (COCO), else of the box. place: prints as the file, and the line, that annotates the picture,
    and places: as those of each object. id: the picture's, and ids: the objects', where the layout has such (COCO),
    else None.

    Raises DataError, naming the picture, when they are not as many.
    """

    file: Path
    size: tuple[int, int]
    boxes: Boxes
    labels: tuple[str, ...]
    difficult: Flags = field(default_factory=lambda: np.empty(0, np.bool_))
    crowd: Flags = field(default_factory=lambda: np.empty(0, np.bool_))
    tracks: tuple[str, ...] = ()
    areas: Values = field(default_factory=lambda: np.empty(0))
    place: object = ""
    places: tuple[object, ...] = ()
    id: int | None = None
    ids: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.labels)
        if not self.place:
            object.__setattr__(self, "place", self.file)
        for name in ("difficult", "crowd"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(count, np.bool_))
        for name, usual in (("tracks", ""), ("places", self.place), ("ids", None)):
            if not getattr(self, name):
                object.__setattr__(self, name, (usual,) * count)
        if self.boxes.shape != (count, 4) or any(len(getattr(self, name)) != count for name in _OF_OBJECTS):
            raise DataError(f"{self.file}: has {count} labels for boxes of shape {self.boxes.shape} and their flags")
        if len(self.areas) != count:
            object.__setattr__(self, "areas", self.boxes[:, 2] * self.boxes[:, 3])


_OF_OBJECTS = ("difficult", "crowd", "tracks", "places", "ids")
"""What an ``AnnotatedPicture`` says of each object, beside its box and label."""


def read_text(path: Path) -> str:
    """A file's text, in UTF-8. Raises FormatError when it is missing or none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FormatError(f"{path}: is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: cannot be read as text ({error})") from None
