"""YOLO: ``images/NAME.jpg``, ``labels/NAME.txt`` with a line an object, and a file of the classes' names.

A line is a class's index, from 0, and the box's middle x, middle y, width and height in parts of the picture's width
and height (https://docs.ultralytics.com/datasets/detect, Ultralytics YOLO format). Names stand in ``classes.txt``, one
a line, beside the folders or in ``labels/``, or in ``data.yaml`` under ``names``. A picture without a file of labels
has no object in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from netx.errors import MonospikeError
from netx.text_files import read_yaml
from pipeline.datasets.annotations import AnnotatedPicture, read_text
from pipeline.datasets.errors import DataError, Report, refuse
from pipeline.datasets.images import SUFFIXES, in_order, picture_size
from pipeline.datasets.locations import located

NAME_FILES = ("classes.txt", "labels/classes.txt", "data.yaml")
"""Where the classes' names may stand, below the root; the first that there is counts."""


def read_yolo(root: str | Path, split: str | None = None, report: Report = refuse) -> Iterator[AnnotatedPicture]:
    """Every picture of ``images/``, in order of path, with what is in it.

    split: the folder within ``images/`` and ``labels/``, such as train. report: told of each line that is wrong, of
    pictures that cannot be opened, and of files of labels without a picture.

    Raises DataError or FormatError where there is no picture, or the classes' names are missing.
    """
    folder = located(root)
    names = read_names(folder)
    images, labels = (folder / kind / (split or "") for kind in ("images", "labels"))
    pictures = [file for file in images.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()]
    if not pictures:
        raise DataError(f"{images}: holds no picture; these are looked for: {' '.join(SUFFIXES)}")
    wanted = {picture.relative_to(images).with_suffix("") for picture in pictures}
    for file in sorted(labels.rglob("*.txt")):
        if file.name != "classes.txt" and file.relative_to(labels).with_suffix("") not in wanted:
            report(DataError(f"{file}: its picture is missing in {images}"))
    for parent in sorted({picture.parent for picture in pictures}):
        for picture in in_order(file for file in pictures if file.parent == parent):
            try:
                size = picture_size(picture)
            except MonospikeError as error:
                report(error)
            else:
                yield _labelled(
                    picture, size, (labels / picture.relative_to(images)).with_suffix(".txt"), names, report
                )


def read_names(root: str | Path) -> tuple[str, ...]:
    """The classes' names in order of their indices. Raises DataError where no file says them, or none that can be."""
    folder = located(root)
    files = [folder / name for name in NAME_FILES if (folder / name).is_file()]
    if not files:
        raise DataError(f"{folder}: holds none of {', '.join(NAME_FILES)}, one of which must name the classes")
    if files[0].suffix == ".txt":
        return tuple(line.strip() for line in read_text(files[0]).splitlines() if line.strip())
    return _names_in_yaml(files[0])


def _names_in_yaml(file: Path) -> tuple[str, ...]:
    content = read_yaml(file, finite=False)
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names)] if set(names) == set(range(len(names))) else None
    if not isinstance(names, list) or not names:
        raise DataError(f"{file}: names must be a list of the classes' names, or a name by each index from 0")
    return tuple(map(str, names))


def _labelled(
    picture: Path, size: tuple[int, int], file: Path, names: tuple[str, ...], report: Report
) -> AnnotatedPicture:
    found: list[tuple[str, list[float], str]] = []
    try:
        lines = read_text(file).splitlines() if file.exists() else []
    except MonospikeError as error:
        report(error)
        lines = []
    for number, line in enumerate(lines, start=1):
        where = f"{file}, line {number}"
        try:
            if line.strip():
                found.append((*_object(line, size, names, where), where))
        except DataError as error:
            report(error)
    labels, boxes, places = zip(*found, strict=True) if found else ((), (), ())
    return AnnotatedPicture(
        picture,
        size,
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        labels,
        place=file if lines else picture,
        places=places,
    )


def _object(line: str, size: tuple[int, int], names: tuple[str, ...], where: str) -> tuple[str, list[float]]:
    """Class and box x, y, width, height in pixels."""
    words = line.split()
    try:
        index, (x, y, width, height) = int(words[0]), map(float, words[1:])
    except ValueError:
        index, x, y, width, height = -1, math.nan, math.nan, math.nan, math.nan
    if not all(map(math.isfinite, (x, y, width, height))):
        raise DataError(
            f"{where}: expected a class and its box's middle x, y, width, height, got {line.strip()[:80]!r}"
        )
    if not 0 <= index < len(names):
        raise DataError(f"{where}: there is no class {index} of {len(names)}, counted from 0")
    return names[index], [
        (x - width / 2) * size[0],
        (y - height / 2) * size[1],
        width * size[0],
        height * size[1],
    ]
