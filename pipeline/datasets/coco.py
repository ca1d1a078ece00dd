"""COCO: a JSON file of pictures, categories and objects (``instances_train2017.json``), and a folder of the pictures.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; the format stands at https://cocodataset.org, Data
format. Boxes are x, y, width, height from the top left corner, which is 0, 0. Ids of categories have gaps (1 to 90 for
80 classes), so objects carry their category's name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.datasets.annotations import AnnotatedPicture
from pipeline.datasets.errors import DataError, Report, refuse
from pipeline.datasets.locations import located


def read_coco(root: str | Path, annotations: str | Path, report: Report = refuse) -> Iterator[AnnotatedPicture]:
    """Every picture that the JSON file names, in its order; those without objects too.

    root: folder of the pictures, which aren't opened. report: told of each entry that is wrong, naming the line. Raises
    DataError where the file is no such file.
    """
    path, folder = located(annotations), located(root)
    content, lines = _read(path), _Lines(path)
    names = _categories(content, path, report)
    pictures = _pictures(content, lines, report)
    things: dict[Any, list[_Thing]] = {key: [] for key in pictures}
    for number, entry in enumerate(_list(content, "annotations", path)):
        where = _Place(lines, "annotations", number)
        try:
            picture, thing = _thing(entry, names, where)
            if picture not in things:
                raise DataError(f"{where}: there is no picture with the id {picture!r}")
        except DataError as error:
            report(error)
        else:
            things[picture].append(thing)
    for key, (file, size, place) in pictures.items():
        found = things[key]
        yield AnnotatedPicture(
            folder / file,
            size,
            np.array([thing.box for thing in found], dtype=np.float64).reshape(-1, 4),
            tuple(thing.label for thing in found),
            crowd=np.array([thing.crowd for thing in found], dtype=np.bool_),
            areas=np.array([thing.area for thing in found], dtype=np.float64),
            place=place,
            places=tuple(thing.place for thing in found),
            id=key if isinstance(key, int) else None,
            ids=tuple(thing.id for thing in found),
        )


def read_categories(annotations: str | Path, report: Report = refuse) -> dict[int, str]:
    """Name by id, in order of id: what a detector's classes stand for. Raises DataError as ``read_coco`` does."""
    path = located(annotations)
    names = _categories(_read(path), path, report)
    return {number: names[number] for number in sorted(names)}


class _Picture(NamedTuple):
    file: str
    size: tuple[int, int]
    place: _Place


class _Thing(NamedTuple):
    box: list[float]
    label: str
    crowd: bool
    area: float
    place: _Place
    id: object


class _Lines:
    """Where the entries of a file's lists begin; looked for when something is wrong, and once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, list[int]] | None = None

    def of(self, key: str, number: int) -> int:
        """The line, counted from 1, of an entry of the list ``key``."""
        if self._found is None:
            self._found = _entry_lines(self.path.read_text(encoding="utf-8"))
        return self._found[key][number]


class _Place(NamedTuple):
    """Prints as the file, the line and the entry."""

    lines: _Lines
    key: str
    number: int

    def __str__(self) -> str:
        line = self.lines.of(self.key, self.number)
        return f"{self.lines.path}, line {line}: {self.key}[{self.number}]"


def _entry_lines(text: str) -> dict[str, list[int]]:
    """The line of each entry of each list in the object that ``text`` holds, which is known to be JSON."""
    decoder, found = json.JSONDecoder(), dict[str, list[int]]()
    line, counted = 1, 0
    at = _past(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        at = _past(text, at)  # the colon
        if text[at] != "[":
            at = decoder.raw_decode(text, at)[1]
        else:
            lines = found[key] = []
            at = _past(text, at + 1)
            while text[at] != "]":
                line, counted = line + text.count("\n", counted, at), at
                lines.append(line)
                at = _past(text, decoder.raw_decode(text, at)[1])
            at += 1
        at = _past(text, at)
    return found


def _past(text: str, at: int) -> int:
    """The next sign that is neither blank nor a comma or colon."""
    match = re.compile(r"[\s,:]*").match(text, at)
    return match.end() if match else at


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}). To have COCO, download annotations_trainval2017.zip and "
            "train2017.zip from https://cocodataset.org"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is no COCO file of boxes ({type(error).__name__}: {error})") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: is no COCO file of boxes: it holds no object with images and annotations")
    return content


def _pictures(content: Mapping[str, Any], lines: _Lines, report: Report) -> dict[Any, _Picture]:
    """By id."""
    found: dict[Any, _Picture] = {}
    for number, picture in enumerate(_list(content, "images", lines.path)):
        where = _Place(lines, "images", number)
        try:
            sides = [_value(picture, key, where) for key in ("width", "height")]
            if not all(isinstance(side, (int, float)) and 0 < side < math.inf for side in sides):
                raise DataError(f"{where}: width and height must be positive numbers, got {sides}")
            key = _value(picture, "id", where)
            if key in found:
                raise DataError(f"{where}: has the id {key!r} of another picture, {found[key].file}")
            file = str(_value(picture, "file_name", where))
            found[key] = _Picture(file, (int(sides[0]), int(sides[1])), where)
        except DataError as error:
            report(error)
    return found


def _categories(content: Mapping[str, Any], path: Path, report: Report) -> dict[int, str]:
    found: dict[int, str] = {}
    lines = _Lines(path)
    for number, category in enumerate(_list(content, "categories", path)):
        where = _Place(lines, "categories", number)
        try:
            key = _value(category, "id", where)
            if not isinstance(key, int):
                raise DataError(f"{where}: the id must be a whole number, got {key!r}")
            if key in found:
                raise DataError(f"{where}: has the id {key!r} of another category, {found[key]!r}")
            found[key] = str(_value(category, "name", where))
        except DataError as error:
            report(error)
    return found


def _thing(entry: Any, names: Mapping[int, str], where: _Place) -> tuple[Any, _Thing]:
    """An object, and the id of its picture."""
    picture, category = _value(entry, "image_id", where), _value(entry, "category_id", where)
    if category not in names:
        raise DataError(f"{where}: there is no category with the id {category!r}")
    box = _box(entry, where)
    area = entry.get("area")
    known = isinstance(area, (int, float)) and 0 <= area < math.inf
    crowd = bool(entry.get("iscrowd", 0))
    return picture, _Thing(box, names[category], crowd, area if known else box[2] * box[3], where, entry.get("id"))


def _list(content: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    if not isinstance(content.get(key), list):
        raise DataError(f"{path}: is no COCO file of boxes: it has no list of {key}")
    return list(content[key])


def _value(entry: Any, key: str, where: object) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise DataError(f"{where}: has no {key}")
    if isinstance(entry[key], (list, dict)):
        raise DataError(f"{where}: {key} must be a number or a text, got {str(entry[key])[:80]}")
    return entry[key]


def _box(thing: Mapping[str, Any], where: object) -> list[float]:
    try:
        box = [float(value) for value in thing["bbox"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        box = []
    if len(box) != 4 or not all(map(math.isfinite, box)) or min(box[2:]) < 0:
        raise DataError(f"{where}: the bbox must be x, y, width, height, got {str(thing.get('bbox'))[:80]}")
    return box
