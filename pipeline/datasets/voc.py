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

import numpy as np

from pipeline.datasets.annotations import AnnotatedPicture
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import SUFFIXES, picture_size
from pipeline.datasets.locations import located


def read_voc(root: str | Path) -> Iterator[AnnotatedPicture]:
    """Every annotated picture of ``root`` or its subfolders, in order of path; those without objects too.

    Raises DataError naming the file and the object that is wrong, or the picture that is missing.
    """
    files = sorted(located(root).glob("**/Annotations/*.xml"))
    if not files:
        raise DataError(f"{root}: holds no Annotations/*.xml in Pascal VOC's layout")
    for file in files:
        yield read_annotation(file, partial(_picture_of, file))


def read_annotation(file: Path, picture_of: Callable[[str], Path]) -> AnnotatedPicture:
    """What one XML file says; the size is the picture's own where none is written.

    picture_of: the picture's path, given the name that the file has for it. Raises DataError naming the file, and the
    line or the object that is wrong.
    """
    tree = _parsed(file)
    boxes, labels, difficult, tracks = [], [], [], []
    for number, thing in enumerate(tree.iter("object"), start=1):
        label = (thing.findtext("name") or "").strip()
        where = f"{file}: object {number}" + (f" ({label})" if label else "")
        boxes.append(_box(thing, where))
        labels.append(label)
        difficult.append(_number(thing.findtext("difficult") or "0", f"{where}: difficult") != 0)
        tracks.append(thing.findtext("trackid") or "")
    width, height = (_side(tree, key, file) for key in ("width", "height"))
    picture = picture_of((tree.findtext("filename") or "").strip())
    return AnnotatedPicture(
        picture,
        (width, height) if width > 0 and height > 0 else picture_size(picture),
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        tuple(labels),
        difficult=np.array(difficult, dtype=np.bool_),
        tracks=tuple(tracks),
    )


def _parsed(file: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:  # the last two of its encoding
        raise DataError(f"{file}: is no annotation in XML ({error})") from None


def _picture_of(file: Path, named: str) -> Path:
    """The picture that a file in ``Annotations/`` is of: the one it names, or one of its own name."""
    folder = file.parents[1] / "JPEGImages"
    beside = [folder / f"{file.stem}{suffix}" for suffix in SUFFIXES]
    for picture in ([folder / Path(named).name] if named else []) + beside:
        if picture.is_file():
            return picture
    raise DataError(f"{file}: its picture {named or file.stem!r} is missing in {folder}")


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
