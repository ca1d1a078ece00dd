"""Pictures with all their objects for detectors, from Pascal VOC, COCO and YOLO, in one form.

The readers of the layouts (``voc``, ``coco``, ``yolo``) say what stands in the files; here classes become indices,
boxes become corners, and what is wrong is collected, so that one bad annotation does not cost the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netx.errors import MonospikeError
from pipeline.core.boxes import Boxes, Values
from pipeline.datasets.annotations import AnnotatedPicture, Flags
from pipeline.datasets.config import DetectionData
from pipeline.datasets.detection_layout import category_ids, classes_in, layout_of, read_pictures
from pipeline.datasets.errors import DataError, Report
from pipeline.datasets.images import RGB, picture_size, read_frame

TOLERANCE = 1.0
"""Pixels by which a box may reach out of its picture without a word: what rounding, and counting from 0 in place of 1,
come to. Such a box stays as it is; one that reaches farther is cut to the picture and named."""


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """A picture file and the objects in it.

    id: of the picture, unique in its set and at least 0: COCO's own, else counted from 1. size: width and height in
        pixels.
    boxes: float64 (object, 4), x1, y1, x2, y2 in pixels, edges continuous: column i spans [i, i + 1), so the box of the
        first pixel alone is (0, 0, 1, 1); x1 < x2, y1 < y2. classes: int64 (object,), indices into the set's names.
    difficult: bool (object,), in VOC neither found nor missed. crowd: bool (object,), COCO's boxes of many objects.
        Crowds are not trained on.
    areas: float64 (object,), square pixels: of the outline where the file says it (COCO), else of the box.
    of: which of several data sets it comes from, counted from 0.
    """

    id: int
    file: Path
    size: tuple[int, int]
    boxes: Boxes
    classes: npt.NDArray[np.int64]
    difficult: Flags
    crowd: Flags
    areas: Values
    of: int = 0

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.classes)

    def read(self) -> RGB:
        """The picture, RGB uint8 (height, width, 3). Raises FormatError naming the file."""
        return read_frame(self.file)


@dataclass(frozen=True, eq=False)
class DetectionSet:
    """Pictures and the names of their classes.

    classes: names by index. category_ids: COCO's numbers for them, by index; counted from 1 where the files have none.
    pictures: in the order of their files, those without objects too, since what is found in them is wrong. issues: what
    was wrong and left out or mended, each with its file and, where there is one, its line.
    """

    classes: tuple[str, ...]
    pictures: tuple[LabelledPicture, ...]
    issues: tuple[str, ...] = ()
    category_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.category_ids:
            object.__setattr__(self, "category_ids", tuple(range(1, len(self.classes) + 1)))

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.pictures)


def open_detection(data: DetectionData, classes: Sequence[str] | None = None) -> DetectionSet:
    """The pictures that ``data`` names, whatever their layout.

    classes: names that a model knows, in its order; objects of others are issues. None: those that the data set itself
    lists (COCO by id, YOLO by index) or, as Pascal VOC has no list, those that occur, by name.

    Left out and named in ``issues``: annotations that cannot be read, objects of an unknown class, boxes without area
    or outside their picture, pictures that are missing or no pictures, second annotations of one picture or object.
    Pictures whose header is whole but whose pixels are not are found by ``without_unreadable``, or when they are read.

    Raises DataError or FormatError where nothing is left.
    """
    issues: list[str] = []

    def report(error: MonospikeError) -> None:
        issues.append(" ".join(str(error).split()))

    layout = layout_of(data) if data.layout == "auto" else data.layout
    pictures = read_pictures(data, layout, report)
    known = tuple(classes or data.classes or classes_in(data, layout, pictures))
    if not known:
        raise DataError(f"{data.root}: holds no object, and nobody has said what its classes are")
    labelled = tuple(_labelled(_once(pictures, report), known, report))
    if not labelled:
        why = f"; the first of {len(issues)} things that are wrong: {issues[0]}" if issues else ", the split is empty"
        raise DataError(f"{data.root}: no picture is left{why}")
    return DetectionSet(known, labelled, tuple(issues), _category_ids(known, category_ids(data, layout)))


def open_detections(sets: Sequence[DetectionData], classes: Sequence[str]) -> DetectionSet:
    """Several data sets as one, in their order, under the same ``classes``. Pictures are counted from 1 where there is
    more than one set, since their own numbers may be the same; a file that lies in two of them is taken once.

    Raises as ``open_detection``, also where one of several has nothing.
    """
    if len(sets) == 1:
        return open_detection(sets[0], classes)
    pictures, issues = dict[Path, LabelledPicture](), list[str]()
    for of, data in enumerate(sets):
        found = open_detection(data, classes)
        issues.extend(found.issues)
        for picture in found.pictures:
            own = replace(picture, id=len(pictures) + 1, of=of)
            if pictures.setdefault(picture.file.resolve(), own) is not own:
                issues.append(f"{picture.file}: lies in two of the data sets; it counts as the first has it")
    return DetectionSet(tuple(classes), tuple(pictures.values()), tuple(issues))


def without_unreadable(pictures: DetectionSet) -> DetectionSet:
    """The set without pictures that cannot be decoded, each of which is an issue more; every one is read for that.

    Raises DataError where none is left.
    """
    left, issues = [], list(pictures.issues)
    for picture in pictures.pictures:
        try:
            picture.read()
        except MonospikeError as error:
            issues.append(" ".join(str(error).split()))
        else:
            left.append(picture)
    if not left:
        raise DataError(f"no picture can be decoded; the first: {issues[len(pictures.issues)]}")
    return replace(pictures, pictures=tuple(left), issues=tuple(issues))


def _category_ids(classes: Sequence[str], own: Mapping[str, int]) -> tuple[int, ...]:
    """The data set's numbers for classes, and for those that it does not know numbers that are free."""
    free = count(max(own.values(), default=0) + 1)
    return tuple(own[name] if name in own else next(free) for name in classes)


def _once(pictures: Iterable[AnnotatedPicture], report: Report) -> Iterator[AnnotatedPicture]:
    """The pictures without a second annotation of the same file."""
    seen: dict[Path, object] = {}
    for picture in pictures:
        if picture.file in seen:
            first = seen[picture.file]
            report(DataError(f"{picture.place}: is of {picture.file.name}, as is {first}; the second is left out"))
        else:
            seen[picture.file] = picture.place
            yield picture


def _labelled(
    pictures: Iterable[AnnotatedPicture], classes: tuple[str, ...], report: Report
) -> Iterator[LabelledPicture]:
    indices = {name: index for index, name in enumerate(classes)}
    ids: dict[str, _Object] = {}
    for number, picture in enumerate(pictures, start=1):
        size = _size(picture, report)
        if size is None:
            continue
        found = []
        for thing in _objects(picture):
            try:
                _check_id(thing, ids, report)
                if thing.label not in indices:
                    raise DataError(f"{thing.place}: the class {thing.label!r} is none of {', '.join(classes)}")
                found.append(_within(thing, size, report))
            except DataError as error:
                report(error)
        yield LabelledPicture(
            number if picture.id is None else picture.id,
            picture.file,
            size,
            np.array([thing.corners for thing in found], dtype=np.float64).reshape(-1, 4),
            np.array([indices[thing.label] for thing in found], dtype=np.int64),
            np.array([thing.difficult for thing in found], dtype=np.bool_),
            np.array([thing.crowd for thing in found], dtype=np.bool_),
            np.array([thing.area for thing in found], dtype=np.float64),
        )


class _Object(NamedTuple):
    """corners: x1, y1, x2, y2. id: as the file has it, None for none."""

    file: Path
    place: object
    id: object
    label: str
    corners: tuple[float, float, float, float]
    area: float
    difficult: bool
    crowd: bool


def _objects(picture: AnnotatedPicture) -> Iterator[_Object]:
    for index, (x, y, width, height) in enumerate(picture.boxes.tolist()):
        yield _Object(
            picture.file,
            picture.places[index],
            picture.ids[index],
            picture.labels[index],
            (x, y, x + width, y + height),
            float(picture.areas[index]),
            bool(picture.difficult[index]),
            bool(picture.crowd[index]),
        )


def _size(picture: AnnotatedPicture, report: Report) -> tuple[int, int] | None:
    """Width and height as the file itself has them; None, and a word about it, where it is no picture."""
    try:
        size = picture_size(picture.file)
    except MonospikeError as error:
        report(DataError(f"{picture.place}: its picture is left out: {error}"))
        return None
    if size != picture.size:
        real, said = (f"{width}x{height}" for width, height in (size, picture.size))
        report(DataError(f"{picture.place}: says that its picture is {said}, and {picture.file} is {real}"))
    return size


def _check_id(thing: _Object, ids: dict[str, _Object], report: Report) -> None:
    """Raises DataError where the object was there before; another one of the same id is kept, and named."""
    if thing.id is None:
        return
    other = ids.setdefault(repr(thing.id), thing)
    if other is thing:
        return
    again = f"{thing.place}: has the id {thing.id!r} of {other.place}"
    if (thing.file, thing.label, thing.corners) == (other.file, other.label, other.corners):
        raise DataError(f"{again}, and is the same object; the second is left out")
    report(DataError(f"{again}, which is another object; both are kept"))


def _within(thing: _Object, size: tuple[int, int], report: Report) -> _Object:
    """The object, cut to its picture where it reaches out by more than ``TOLERANCE``. Raises DataError where its box
    has no area, or none in the picture."""
    left, top, right, bottom = thing.corners
    width, height = size
    box = f"{thing.place}: the box from {left:g}, {top:g} to {right:g}, {bottom:g}"
    if right <= left or bottom <= top:
        raise DataError(f"{box} has no area; it is left out")
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        raise DataError(f"{box} lies outside its picture of {width}x{height}; it is left out")
    if min(left, top) >= -TOLERANCE and right <= width + TOLERANCE and bottom <= height + TOLERANCE:
        return thing
    report(DataError(f"{box} reaches out of its picture of {width}x{height}; it is cut to it"))
    cut = max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
    return thing._replace(corners=cut, area=min(thing.area, (cut[2] - cut[0]) * (cut[3] - cut[1])))
