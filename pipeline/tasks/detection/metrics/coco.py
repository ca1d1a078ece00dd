"""COCO's average precision, by hotcoco, which is equal to pycocotools to the last bit.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; https://cocodataset.org, Detection evaluation. What
the reference does that one would not expect, and what we do about it, is a table in docs/detection.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from hotcoco import COCO, COCOeval

from netx.errors import MonospikeError
from pipeline.core.boxes import Boxes, Values
from pipeline.datasets.detection import DetectionSet
from pipeline.tasks.detection.predictions import Detections

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = ("all", "small", "medium", "large")
"""Of objects: any, up to 32 x 32, from there to 96 x 96, from there on; what lies on a bound counts in both."""
MOST = (1, 10, 100)
"""Detections a picture and class that count: those of the highest scores."""

NOT_COUNTED = 1e11
"""The area by which an object is in none of the ranges, which end at 1e10: it is neither found nor missed, and neither
is what is found there a mistake. Overlap is then as of any object, where a crowd's is the share of the detection."""


@dataclass(frozen=True, eq=False)
class CocoResult:
    """precision: float64 (IoU threshold, recall, class, area, most), -1 for a class without objects of that area.
    recall: float64 (IoU threshold, class, area, most), the highest that was reached, -1 alike."""

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]

    def average_precision(self, iou: float | None = None, area: str = "all", index: int | None = None) -> float | None:
        """Mean over the thresholds, or at ``iou`` alone, and over the classes, or of ``index`` alone; None where there
        are no such objects."""
        return _mean(self.precision[_at(iou), :, _only(index), AREAS.index(area), -1])

    def average_recall(self, most: int = 100, area: str = "all") -> float | None:
        """Mean over thresholds and classes of the recall with at most ``most`` detections a picture and class."""
        return _mean(self.recall[:, :, AREAS.index(area), MOST.index(most)])

    def curve(self, index: int, iou: float = 0.5) -> Values | None:
        """Precision at each of ``RECALLS``, the best at that recall or above, of one class; None for one without
        objects."""
        precision = self.precision[_at(iou), :, index, 0, -1][0]
        return None if (precision < 0).any() else np.asarray(precision)


def evaluate_coco(pictures: DetectionSet, found: Mapping[int, Detections]) -> CocoResult:
    """Average precision of what was found, by the pictures' ids; pictures without an answer do not count.

    Crowds are ignored as COCO does it, and difficult objects by ``NOT_COUNTED``. Raises MonospikeError where an answer
    is to no picture of the set, or names a class that it does not have.
    """
    check(pictures, found)
    truth = COCO(truth_of(pictures, found))
    evaluation = COCOeval(truth, truth.loadRes(rows_of(found)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    arrays = evaluation.eval
    assert arrays is not None, "it has just been accumulated"
    return CocoResult(np.asarray(arrays["precision"]), np.asarray(arrays["recall"]))


def check(pictures: DetectionSet, found: Mapping[int, Detections]) -> None:
    """Raises MonospikeError where an answer is to no picture of the set, or names a class that it does not have."""
    unknown = sorted(set(found) - {picture.id for picture in pictures.pictures})
    if unknown:
        raise MonospikeError(f"there are detections for the picture {unknown[0]}, which the data set does not have")
    for key, answer in found.items():
        bad = answer.classes[(answer.classes < 0) | (answer.classes >= len(pictures.classes))]
        if len(bad):
            raise MonospikeError(f"picture {key}: a detection is of class {bad[0]} of {len(pictures.classes)}")


def truth_of(pictures: DetectionSet, found: Mapping[int, Detections]) -> dict[str, Any]:
    """The objects of the pictures that were answered, as COCO's JSON has them.

    Objects are counted from 1: an id of 0 would mean that there is no match. Classes and pictures are, too, the latter
    in order of their ids, which decides between equal scores; ids themselves may be longer than a double holds.
    """
    numbers = _numbers(found)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for picture in pictures.pictures:
        if picture.id not in found:
            continue
        images.append({"id": numbers[picture.id], "width": picture.size[0], "height": picture.size[1]})
        areas = np.where(picture.difficult, NOT_COUNTED, picture.areas)
        for index, box in enumerate(as_sides(picture.boxes).tolist()):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": numbers[picture.id],
                    "category_id": int(picture.classes[index]) + 1,
                    "bbox": box,
                    "area": float(areas[index]),
                    "iscrowd": int(picture.crowd[index]),
                }
            )
    categories = [{"id": index, "name": name} for index, name in enumerate(pictures.classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def rows_of(found: Mapping[int, Detections]) -> npt.NDArray[np.float64]:
    """Detections as ``loadRes`` takes them, (detection, 7): picture, x, y, width, height, score, class from 1."""
    numbers = _numbers(found)
    rows = [
        np.column_stack([np.full(len(answer), numbers[key]), as_sides(answer.boxes), answer.scores, answer.classes + 1])
        for key, answer in found.items()
    ]
    return np.concatenate([np.empty((0, 7)), *rows])


def _numbers(found: Mapping[int, Detections]) -> dict[int, int]:
    return {key: number for number, key in enumerate(sorted(found), start=1)}


def as_sides(boxes: Boxes) -> Boxes:
    """Boxes (object, 4) of corners as x, y, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _at(iou: float | None) -> slice:
    if iou is None:
        return slice(None)
    index = int(np.argmin(np.abs(IOU_THRESHOLDS - iou)))
    return slice(index, index + 1)


def _only(index: int | None) -> slice:
    return slice(None) if index is None else slice(index, index + 1)


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    known = values[values > -1]
    return float(np.mean(known)) if known.size else None
