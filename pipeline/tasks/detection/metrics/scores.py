"""All scores of a detector on a data set, as JSON values and as what a report draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.boxes import Values
from pipeline.datasets.detection import DetectionSet
from pipeline.tasks.detection.metrics.coco import RECALLS, CocoResult, evaluate_coco
from pipeline.tasks.detection.metrics.matching import VocCurve, confusion, voc_curve
from pipeline.tasks.detection.predictions import Detections


def scores(pictures: DetectionSet, found: Mapping[int, Detections]) -> dict[str, Any]:
    """Scores of what was found, by the pictures' ids; pictures without an answer do not count.

    All are 0..1, and None where there is no object to find. map, map50, map75, map_small, map_medium, map_large,
    mar100: COCO's. voc07, voc: means over the classes of Pascal VOC's average precision, by 11 points and by all.
    per_class: of these map, map50, map75, voc07, voc, with the numbers of objects that count and of detections, by
    name. images, objects, detections: how many.

    Raises MonospikeError as ``evaluate_coco`` does.
    """
    result = evaluate_coco(pictures, found)
    curves = [voc_curve(pictures, found, index) for index in range(len(pictures.classes))]
    per_class = {
        name: _class_scores(result, curves[index], found, index) for index, name in enumerate(pictures.classes)
    }
    return {
        "map": result.average_precision(),
        "map50": result.average_precision(0.5),
        "map75": result.average_precision(0.75),
        **{f"map_{area}": result.average_precision(area=area) for area in ("small", "medium", "large")},
        "mar100": result.average_recall(),
        **{key: _mean([row[key] for row in per_class.values()]) for key in ("voc07", "voc")},
        "per_class": per_class,
        "images": len(found),
        "objects": sum(curve.objects for curve in curves),
        "detections": sum(map(len, found.values())),
    }


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a report draws. recalls: float64 (101,). precisions: at these by class, at an IoU of .5; classes without
    objects have none. confusion: as of ``metrics.matching.confusion``."""

    recalls: Values
    precisions: Mapping[str, Values]
    confusion: npt.NDArray[np.int64]


def drawn(pictures: DetectionSet, found: Mapping[int, Detections], least: float) -> Drawn:
    """Precision-recall curves and the confusions. least: score from which a detection counts as one in the latter."""
    result = evaluate_coco(pictures, found)
    curves = {name: result.curve(index) for index, name in enumerate(pictures.classes)}
    known = {name: curve for name, curve in curves.items() if curve is not None}
    return Drawn(RECALLS, known, confusion(pictures, found, least))


def _class_scores(
    result: CocoResult, curve: VocCurve, found: Mapping[int, Detections], index: int
) -> dict[str, float | int | None]:
    return {
        "map": result.average_precision(index=index),
        "map50": result.average_precision(0.5, index=index),
        "map75": result.average_precision(0.75, index=index),
        "voc07": curve.eleven_point(),
        "voc": curve.all_point(),
        "objects": curve.objects,
        "detections": sum(int((answer.classes == index).sum()) for answer in found.values()),
    }


def _mean(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
