"""Pascal VOC: ``Annotations/*.xml`` beside ``JPEGImages/``, and the XML that ImageNet-VID shares with it.

Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", IJCV 111(1), 2015. Corners are the
first and the last pixel of a box, counted from 1, as its development kit's MATLAB code takes them: one is subtracted
from the first, and the last belongs to the box.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from netx.errors import MonospikeError
from pipeline.datasets.annotations import AnnotatedPicture, read_text
from pipeline.datasets.errors import DataError, Report, refuse
from pipeline.datasets.images import SUFFIXES, picture_size
from pipeline.datasets.locations import located
from pipeline.datasets.xml_lines import line_of, read_xml


def read_voc(root: str | Path, split: str | None = None, report: Report = refuse) -> Iterator[AnnotatedPicture]:
    """Every annotated picture of ``root`` or its subfolders, in order of path; those without objects too.

    split: only those that ``ImageSets/Main/SPLIT.txt`` names, in its order. report: told of each file and object that
    is wrong, naming the line, and of each picture that is missing.

    Raises DataError where there is no annotation at all.
    """
    for file in _annotations(located(root), split, report):
        try:
            picture = read_annotation(file, partial(_picture_of, file), report)
        except MonospikeError as error:
            report(error)
        else:
            yield picture


def read_annotation(
    file: Path, picture_of: Callable[[ElementTree.Element], Path], report: Report = refuse
) -> AnnotatedPicture:
    """What one XML file says; the size is the picture's own where none is written.

    picture_of: the picture's path, given the root of the file. report: told of each object that is wrong. Raises
    DataError naming the file, and the line that is wrong.
    """
    tree = read_xml(file)
    things = []
    for number, element in enumerate(tree.iter("object"), start=1):
        try:
            things.append(_thing(element, number, file))
        except DataError as error:
            report(error)
    width, height = (_side(tree, key, file) for key in ("width", "height"))
    picture = picture_of(tree)
    return AnnotatedPicture(
        picture,
        (width, height) if width > 0 and height > 0 else picture_size(picture),
        np.array([thing.box for thing in things], dtype=np.float64).reshape(-1, 4),
        tuple(thing.label for thing in things),
        difficult=np.array([thing.difficult for thing in things], dtype=np.bool_),
        tracks=tuple(thing.track for thing in things),
        place=file,
        places=tuple(thing.place for thing in things),
    )


class _Thing(NamedTuple):
    box: list[float]
    label: str
    difficult: bool
    track: str
    place: str


def _thing(element: ElementTree.Element, number: int, file: Path) -> _Thing:
    label = (element.findtext("name") or "").strip()
    where = f"{line_of(element, file)}: object {number}" + (f" ({label})" if label else "")
    difficult = _number(element.findtext("difficult") or "0", f"{where}: difficult") != 0
    return _Thing(_box(element, where), label, difficult, element.findtext("trackid") or "", where)


def _annotations(root: Path, split: str | None, report: Report) -> list[Path]:
    if split is None:
        files = sorted(root.glob("**/Annotations/*.xml"))
        if not files:
            raise DataError(f"{root}: holds no Annotations/*.xml in Pascal VOC's layout")
        return files
    lists = sorted(root.glob(f"**/ImageSets/Main/{split}.txt"))
    if not lists:
        raise DataError(f"{root}: holds no ImageSets/Main/{split}.txt, which would say what the split {split!r} is")
    files = []
    for path in lists:
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            file = path.parents[2] / "Annotations" / f"{line.strip()}.xml"
            if file.is_file():
                files.append(file)
            elif line.strip():
                report(DataError(f"{path}, line {number}: there is no annotation {file}"))
    if not files:
        raise DataError(f"{', '.join(map(str, lists))}: the split is empty; it names no picture with an annotation")
    return files


def _picture_of(file: Path, tree: ElementTree.Element) -> Path:
    """The picture that a file in ``Annotations/`` is of: the one it names, or one of its own name."""
    folder, named = file.parents[1] / "JPEGImages", (tree.findtext("filename") or "").strip()
    beside = [folder / f"{file.stem}{suffix}" for suffix in SUFFIXES]
    for picture in ([folder / Path(named).name] if named else []) + beside:
        if picture.is_file():
            return picture
    where = line_of(tree.find("filename"), file)
    raise DataError(f"{where}: its picture {named or file.stem!r} is missing in {folder}")


def _box(thing: ElementTree.Element, where: str) -> list[float]:
    corners = [thing.findtext(f"bndbox/{key}") or "" for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, top, right, bottom = map(float, corners)
    except ValueError:
        raise DataError(f"{where}: has no box, but {corners}") from None
    if not all(map(math.isfinite, (left, top, right, bottom))) or right < left or bottom < top:
        raise DataError(f"{where}: the corners {', '.join(corners)} are no box; xmax and ymax come last")
    return [left - 1, top - 1, right - left + 1, bottom - top + 1]


def _side(tree: ElementTree.Element, key: str, file: Path) -> int:
    return int(_number(tree.findtext(f"size/{key}") or "0", f"{file}: {key} of its picture"))


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: is no number, but {text!r}")
    return value
