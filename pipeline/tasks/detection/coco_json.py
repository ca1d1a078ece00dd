"""What was found, as COCO's JSON: a list of results for a data set, or a file with pictures and classes of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.datasets.detection import DetectionSet
from pipeline.tasks.detection.metrics.coco import as_sides
from pipeline.tasks.detection.predictions import Detections


def results(pictures: DetectionSet, found: Mapping[int, Detections]) -> list[dict[str, Any]]:
    """Detections with the data set's own numbers of pictures and classes, as ``loadRes`` of COCO's libraries reads
    them; the picture's name stands beside them for data sets whose files have no numbers."""
    return [
        {"file_name": picture.file.name, **entry}
        for picture in pictures.pictures
        if picture.id in found
        for entry in _entries(picture.id, found[picture.id], pictures.category_ids)
    ]


def annotated(
    images: Sequence[Mapping[str, Any]], classes: Sequence[str], found: Mapping[int, Detections]
) -> dict[str, Any]:
    """A file of COCO's whose annotations are the detections, each with its score.

    images: COCO's entries, each with its ``id``. found: by these ids.
    """
    numbers = range(1, len(classes) + 1)
    entries = [entry for image in images for entry in _entries(image["id"], found[image["id"]], numbers)]
    return {
        "images": list(images),
        "categories": [{"id": number, "name": name} for number, name in zip(numbers, classes, strict=True)],
        "annotations": [
            {"id": number, **entry, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
            for number, entry in enumerate(entries, start=1)
        ],
    }


def _entries(key: int, answer: Detections, numbers: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"image_id": key, "category_id": numbers[index], "bbox": box, "score": score}
        for index, box, score in zip(
            answer.classes.tolist(), as_sides(answer.boxes).tolist(), answer.scores.tolist(), strict=True
        )
    ]
