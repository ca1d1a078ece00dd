"""Which layout the pictures of a detector's data set lie in, and what its reader finds there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.datasets.annotations import AnnotatedPicture
from pipeline.datasets.coco import read_categories, read_coco
from pipeline.datasets.config import DetectionData, DetectionLayout
from pipeline.datasets.errors import DataError, Report
from pipeline.datasets.locations import located
from pipeline.datasets.voc import read_voc
from pipeline.datasets.yolo import NAME_FILES, read_names, read_yolo


def layout_of(data: DetectionData) -> DetectionLayout:
    """Which layout lies in the root. Raises DataError where it is none, or several."""
    root = located(data.root)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder of pictures with boxes")
    if data.annotations is not None:
        return "coco"
    found: list[DetectionLayout] = []
    if next(root.glob("**/Annotations/*.xml"), None) is not None:
        found.append("voc")
    if _json_files(root):
        found.append("coco")
    if (root / "images").is_dir() and any((root / name).is_file() for name in NAME_FILES):
        found.append("yolo")
    if len(found) != 1:
        what = f"several layouts, {' and '.join(found)}; say which is meant" if found else "no annotations"
        raise DataError(
            f"{root}: holds {what}. The layouts are voc (JPEGImages/, Annotations/*.xml), coco (annotations/*.json) "
            f"and yolo (images/, labels/*.txt, and {' or '.join(NAME_FILES)})"
        )
    return found[0]


def read_pictures(data: DetectionData, layout: DetectionLayout, report: Report) -> list[AnnotatedPicture]:
    """What the layout's reader finds. Raises DataError or FormatError as it does."""
    if layout == "voc":
        return list(read_voc(data.root, data.split, report))
    if layout == "yolo":
        return list(read_yolo(data.root, data.split, report))
    root, annotations = located(data.root), _coco_file(data)
    pictures = list(read_coco("", annotations, report))
    folder = _coco_folder(root, annotations, pictures)
    return [replace(picture, file=folder / picture.file) for picture in pictures]


def classes_in(data: DetectionData, layout: DetectionLayout, pictures: Sequence[AnnotatedPicture]) -> tuple[str, ...]:
    """Names of the classes by index: as the data set lists them, and else, in VOC, those that occur, by name."""
    if layout == "coco":
        return tuple(category_ids(data, layout))
    if layout == "yolo":
        return read_names(data.root)
    return tuple(sorted({label for picture in pictures for label in picture.labels if label}))


def category_ids(data: DetectionData, layout: DetectionLayout) -> dict[str, int]:
    """COCO's number by name, in order of the numbers; empty for other layouts, which have none."""
    if layout != "coco":
        return {}
    categories = read_categories(_coco_file(data), lambda _: None)  # of what is wrong read_pictures tells
    return {name: number for number, name in categories.items()}


def _json_files(root: Path) -> list[Path]:
    return sorted([*root.glob("*.json"), *root.glob("annotations/*.json")])


def _coco_file(data: DetectionData) -> Path:
    """The file that is meant. Raises DataError where that is anyone's guess."""
    if data.annotations is not None:
        return located(data.annotations)
    files = [file for file in _json_files(located(data.root)) if data.split in (None, *_split_names(file))]
    if len(files) != 1:
        what = ", ".join(file.name for file in files) if files else "no JSON file of annotations"
        raise DataError(f"{data.root}: holds {what}; say with annotations, or the split, which file is meant")
    return files[0]


def _split_names(file: Path) -> tuple[str, str]:
    """What a file's split may be called: ``instances_val2017.json`` is of val2017."""
    return file.stem, file.stem.rpartition("_")[2]


def _coco_folder(root: Path, annotations: Path, pictures: Sequence[AnnotatedPicture]) -> Path:
    """The folder of the pictures: of those that are usual, the first in which one of the file's lies."""
    places = [root, root / "images", *(root / name for name in _split_names(annotations))]
    for picture in pictures:
        for place in places:
            if (place / picture.file).is_file():
                return place
    return root
