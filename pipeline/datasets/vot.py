"""VOT2018 short-term: ``list.txt``, ``NAME/groundtruth.txt`` of polygons, pictures in ``NAME/`` or ``NAME/color/``.

Kristan et al., "The sixth Visual Object Tracking VOT2018 challenge results", ECCVW 2018.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from pipeline.core.boxes import Boxes
from pipeline.datasets.annotations import no_box, one_line_a_picture, read_rows
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import pictures_in
from pipeline.datasets.video import Annotations, PictureFiles, Video


def vot2018(root: Path) -> list[Video]:
    """The sequences that ``list.txt`` names, in its order. Raises DataError where there is no list."""
    names = listed(root / "list.txt")
    return [Video(name, root / name, partial(_read, root / name)) for name in names]


def listed(path: Path) -> list[str]:
    """The names in a list file, one a line. Raises DataError when it is missing, empty or no text."""
    if not path.is_file():
        raise DataError(f"{path}: is missing; it names the sequences, one a line")
    try:
        names = path.read_text(encoding="utf-8-sig").split()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read as text ({error})") from None
    if not names:
        raise DataError(f"{path}: names no sequence")
    return names


def upright_boxes(polygons: Boxes) -> Boxes:
    """Boxes (frame, 4) to start a tracker with, from corners (frame, 8).

    The middle is the corners' mean; the sides are those of the corners' bounds, shrunk so that the area is that of the
    rotated box, plus one pixel (STVIR/pysot, toolkit/datasets/vot.py get_axis_aligned_bbox; got10k 0.1.3,
    datasets/vot.py).
    """
    corners = polygons.reshape(-1, 4, 2)
    middle = corners.mean(axis=1)
    extent = corners.max(axis=1) - corners.min(axis=1)
    sides = np.linalg.norm(corners[:, :2] - corners[:, 1:3], axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(sides.prod(axis=1) / extent.prod(axis=1))
    size = scale[:, None] * extent + 1
    return np.concatenate([middle - size / 2, size], axis=1)


def corners_of(boxes: Boxes) -> Boxes:
    """Upright boxes (frame, 4) as corners (frame, 8), clockwise from the top left."""
    x, y, width, height = boxes.T
    return np.stack([x, y, x + width, y, x + width, y + height, x, y + height], axis=1)


def _read(folder: Path) -> Annotations:
    if not folder.is_dir():
        raise DataError(f"{folder}: is missing, though the list names it")
    pictures = pictures_in(folder / "color" if (folder / "color").is_dir() else folder)
    rows = read_rows(folder / "groundtruth.txt", (4, 8))
    one_line_a_picture(folder / "groundtruth.txt", rows, pictures)
    rotated = rows.shape[1] == 8
    polygons, boxes = (rows, upright_boxes(rows)) if rotated else (corners_of(rows), rows)
    return Annotations(PictureFiles(tuple(pictures)), boxes, no_box(boxes), polygons)
