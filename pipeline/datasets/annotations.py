"""What the readers share: folders of pictures, files of numbers, and clear words where something is missing."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from netx.errors import FormatError
from pipeline.datasets.errors import DataError
from pipeline.datasets.video import Boxes

PICTURES = (".jpg", ".jpeg", ".png")

_FACTS = Path(__file__).parent


def facts(name: str) -> Any:
    """What a benchmark's own files do not say, from the YAML beside this module, where its source stands."""
    return yaml.safe_load((_FACTS / f"{name}.yaml").read_text(encoding="utf-8"))


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in order of name. Raises DataError when there are none."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of pictures")
    pictures = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)
    if not pictures:
        raise DataError(f"{folder}: holds no jpg or png")
    return pictures


def read_rows(path: Path, columns: tuple[int, ...] = (4,)) -> Boxes:
    """The numbers in a ground-truth file, one frame a line, shape (frame, column).

    Commas, semicolons, tabs and spaces separate. A line that holds NaN becomes a row of NaN: no box in that frame.
    columns: how many numbers a line may have; every line of a file has as many as its first.

    Raises FormatError naming the file and line.
    """
    lines = _text(path).rstrip().splitlines()
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
        values = [int(word) for word in re.split(r"[\s,;]+", _text(path).strip(" \t\r\n,;"))]
    except ValueError as error:
        raise FormatError(f"{path}: expected whole numbers, one a frame ({error})") from None
    if len(values) != frames:
        raise FormatError(f"{path}: has {len(values)} numbers for {frames} pictures")
    return np.array(values, dtype=np.int64)


def one_line_a_picture(path: Path, rows: Boxes, pictures: list[Path]) -> None:
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


def no_box(boxes: Boxes) -> npt.NDArray[np.bool_]:
    """Which frames have no box: a row of NaN. Shape (frame,)."""
    return np.asarray(np.isnan(boxes).any(axis=1))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FormatError(f"{path}: is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: cannot be read as text ({error})") from None
