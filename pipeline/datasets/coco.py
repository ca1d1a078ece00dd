"""COCO: a JSON file of pictures, categories and objects (``instances_train2017.json``), and a folder of the pictures.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; the format stands at https://cocodataset.org, Data
format. Boxes are x, y, width, height from the top left corner, which is 0, 0. Ids of categories have gaps (1 to 90 for
80 classes), so objects carry their category's name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets.annotations import AnnotatedPicture
from pipeline.datasets.errors import DataError
from pipeline.datasets.locations import located


def read_coco(root: str | Path, annotations: str | Path) -> Iterator[AnnotatedPicture]:
    """Every picture that the JSON file names, in its order; those without objects too.

    root: folder of the pictures, which aren't opened. Raises DataError naming the file and the entry that is wrong.
    """
    path, folder = located(annotations), located(root)
    content = _read(path)
    names, pictures = _categories(content, path), _pictures(content, path)
    things: dict[Any, list[tuple[list[float], str, bool]]] = {key: [] for key in pictures}
    for number, thing in enumerate(_list(content, "annotations", path)):
        where = f"{path}: annotations[{number}]"
        picture, category = _value(thing, "image_id", where), _value(thing, "category_id", where)
        if picture not in things:
            raise DataError(f"{where}: there is no picture with the id {picture!r}")
        if category not in names:
            raise DataError(f"{where}: there is no category with the id {category!r}")
        things[picture].append((_box(thing, where), names[category], bool(thing.get("iscrowd", 0))))
    for key, (file, size) in pictures.items():
        boxes, labels, crowds = zip(*things[key], strict=True) if things[key] else ((), (), ())
        yield AnnotatedPicture(
            folder / file,
            size,
            np.array(boxes, dtype=np.float64).reshape(-1, 4),
            tuple(labels),
            crowd=np.array(crowds, dtype=np.bool_),
        )


def read_categories(annotations: str | Path) -> dict[int, str]:
    """Name by id, in order of id: what a detector's classes stand for. Raises DataError as ``read_coco`` does."""
    path = located(annotations)
    names = _categories(_read(path), path)
    return {number: names[number] for number in sorted(names)}


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


def _pictures(content: Mapping[str, Any], path: Path) -> dict[Any, tuple[str, tuple[int, int]]]:
    """File name and size by id."""
    found = {}
    for number, picture in enumerate(_list(content, "images", path)):
        where = f"{path}: images[{number}]"
        sides = [_value(picture, key, where) for key in ("width", "height")]
        if not all(isinstance(side, (int, float)) and 0 < side < math.inf for side in sides):
            raise DataError(f"{where}: width and height must be positive numbers, got {sides}")
        found[_value(picture, "id", where)] = str(_value(picture, "file_name", where)), (int(sides[0]), int(sides[1]))
    return found


def _categories(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    found = {}
    for number, category in enumerate(_list(content, "categories", path)):
        where = f"{path}: categories[{number}]"
        key = _value(category, "id", where)
        if not isinstance(key, int):
            raise DataError(f"{where}: the id must be a whole number, got {key!r}")
        found[key] = str(_value(category, "name", where))
    return found


def _list(content: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    if not isinstance(content.get(key), list):
        raise DataError(f"{path}: is no COCO file of boxes: it has no list of {key}")
    return list(content[key])


def _value(entry: Any, key: str, where: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise DataError(f"{where}: has no {key}")
    if isinstance(entry[key], (list, dict)):
        raise DataError(f"{where}: {key} must be a number or a text, got {str(entry[key])[:80]}")
    return entry[key]


def _box(thing: Mapping[str, Any], where: str) -> list[float]:
    try:
        box = [float(value) for value in thing["bbox"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        box = []
    if len(box) != 4 or not all(map(math.isfinite, box)) or min(box[2:]) < 0:
        raise DataError(f"{where}: the bbox must be x, y, width, height, got {str(thing.get('bbox'))[:80]}")
    return box
