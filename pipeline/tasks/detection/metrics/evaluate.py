"""A detector on a whole data set: every picture answered or read back, and what all come to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2

from netx.errors import MonospikeError
from pipeline.core.progress import Progress
from pipeline.datasets.detection import DetectionSet, LabelledPicture
from pipeline.datasets.errors import DataError
from pipeline.tasks.detection.metrics.answers import AnswerFile
from pipeline.tasks.detection.metrics.scores import scores
from pipeline.tasks.detection.predictions import Detections, Detector

_ITS_OWN = (MonospikeError, OSError, cv2.error)
"""What is wrong with one picture, and not with the others."""


@dataclass(frozen=True)
class Answers:
    """found: by the pictures' ids. seconds: that all took, reading not included. failed: why, by the picture's path."""

    found: Mapping[int, Detections]
    seconds: float
    failed: Mapping[str, str]


def answer_all(pictures: DetectionSet, detect: Detector, kept: AnswerFile, progress: Progress) -> Answers:
    """What ``detect`` finds in each picture; those that it has answered before are taken from ``kept``.

    Raises DataError where not one could be answered.
    """
    found: dict[int, Detections] = {}
    failed: dict[str, str] = {}
    total = 0.0
    with progress.task("pictures", len(pictures)) as task:
        for number, picture in enumerate(pictures.pictures, start=1):
            try:
                found[picture.id], seconds = _answer(picture, detect, kept)
                total += seconds
            except _ITS_OWN as error:
                failed[str(picture.file)] = " ".join(str(error).split())
                progress.say(f"  {picture.file.name}: failed: {failed[str(picture.file)]}")
            task.reach(number, f"{len(found) / total:.1f} pictures/s" if total else "")
    if not found:
        raise DataError(
            f"none of the {len(failed)} pictures could be answered; the first: {next(iter(failed.values()))}"
        )
    return Answers(found, total, failed)


def summary(pictures: DetectionSet, answers: Answers) -> dict[str, Any]:
    """The scores as JSON values: those of ``metrics.scores.scores``; fps, pictures a second, reading not included;
    failed, why, by picture; issues, what is wrong with the data set."""
    return {
        **scores(pictures, answers.found),
        "fps": len(answers.found) / answers.seconds if answers.seconds else None,
        "failed": dict(answers.failed),
        "issues": list(pictures.issues),
    }


def _answer(picture: LabelledPicture, detect: Detector, kept: AnswerFile) -> tuple[Detections, float]:
    before = kept.get(picture)
    if before is not None:
        return before
    frame = picture.read()
    began = time.perf_counter()
    answer = detect(frame)
    seconds = time.perf_counter() - began
    kept.add(picture, answer, seconds)
    return answer, seconds
