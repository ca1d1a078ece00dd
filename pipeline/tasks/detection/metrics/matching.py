"""Which detection is of which object, for what COCO's library does not say: Pascal VOC's scores, and confusions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.core.boxes import Boxes, Values
from pipeline.datasets.annotations import Flags
from pipeline.datasets.detection import DetectionSet, LabelledPicture
from pipeline.tasks.detection.predictions import Detections

VOC_IOU = 0.5
"""What the overlap has to exceed."""


def overlaps(boxes: Boxes, others: Boxes) -> Values:
    """Intersection over union of each of the boxes (n, 4), x1, y1, x2, y2, with each of the others (m, 4): (n, m)."""
    corner = np.maximum(boxes[:, None, :2], others[None, :, :2])
    far = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = np.maximum(far - corner, 0).prod(axis=2)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes, others))
    union = areas[:, None] + other_areas - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(union), where=union > 0))


def by_score(answer: Detections) -> npt.NDArray[np.int64]:
    """Indices of detections, the surest first; of equal scores, in the order in which they came."""
    return np.argsort(-answer.scores, kind="stable")


@dataclass(frozen=True, eq=False)
class VocCurve:
    """recall, precision: after each detection of the class that counts, the surest first, float64 (detection,).
    objects: of the class that count."""

    recall: Values
    precision: Values
    objects: int

    def eleven_point(self) -> float | None:
        """Mean of the best precision at recalls of at least 0, .1, ... 1: VOC 2007's. None where there are no objects.

        As in the development kit the steps are multiples of .1 in double precision, which 3, 6 and 7 of 10 don't reach.
        Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 88, 2010, section 4.2.
        """
        if not self.objects:
            return None
        best = [self.precision[self.recall >= recall].max(initial=0.0) for recall in np.linspace(0, 1, 11)]
        return float(np.mean(best))

    def all_point(self) -> float | None:
        """Area below the best precision at each recall or above: VOC's since 2010. None where there are no objects.

        Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", IJCV 111, 2015, section 3.
        """
        if not self.objects:
            return None
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0.0) * best))


def voc_curve(pictures: DetectionSet, found: Mapping[int, Detections], index: int) -> VocCurve:
    """How one class is found, by Pascal VOC's rules.

    From the surest detection on (of equal scores by picture, then in the order of the answer), each takes the object of
    its class with which it overlaps most. Where that is more than half, it is right; it is wrong where the object was
    taken before, or the overlap is no more. Where the object is difficult, or a crowd, it counts for neither.

    The challenge's texts say "must exceed 50 %", and py-faster-rcnn's voc_eval.py has it so; the development kit's
    VOCevaldet.m also takes exactly 50 %.
    """
    scores, right, objects = [], [], 0
    for picture in pictures.pictures:
        if picture.id not in found:
            continue
        answer = found[picture.id]
        outcome, objects_here = _voc_outcome(picture, answer, index)
        scores.append(answer.scores[answer.classes == index])
        right.append(outcome)
        objects += objects_here
    every_score, every_outcome = np.concatenate([np.empty(0), *scores]), np.concatenate([np.empty(0), *right])
    ordered = every_outcome[np.argsort(-every_score, kind="stable")]
    counted = ordered[~np.isnan(ordered)]
    true = np.cumsum(counted)
    return VocCurve(true / max(objects, 1), true / np.arange(1, len(counted) + 1), objects)


def _voc_outcome(picture: LabelledPicture, answer: Detections, index: int) -> tuple[Values, int]:
    """1 right, 0 wrong, NaN neither, for each detection of the class in the order of the answer; and how many objects
    count."""
    own, chosen = picture.classes == index, np.flatnonzero(answer.classes == index)
    outcome, ignored = np.zeros(len(chosen)), (picture.difficult | picture.crowd)[own]
    if not len(chosen) or not len(ignored):
        return outcome, int((~ignored).sum())
    shared = overlaps(answer.boxes[chosen], picture.boxes[own])
    taken = np.zeros(int(own.sum()), np.bool_)
    for place in np.argsort(-answer.scores[chosen], kind="stable"):
        best = int(np.argmax(shared[place]))
        if shared[place, best] <= VOC_IOU:
            continue
        outcome[place] = np.nan if ignored[best] else not taken[best]
        taken[best] = True
    return outcome, int((~ignored).sum())


def confusion(
    pictures: DetectionSet, found: Mapping[int, Detections], least: float, iou: float = VOC_IOU
) -> npt.NDArray[np.int64]:
    """How often an object of each class (row) was found as each class (column), int64 (class + 1, class + 1); the last
    row is found where nothing is, the last column was not found.

    least: score from which a detection counts. From the surest on, each takes the object, of any class and not taken
    yet, with which it overlaps most, where that is more than ``iou``. One that overlaps so only with a difficult object
    or a crowd counts for nothing.
    """
    classes = len(pictures.classes)
    table = np.zeros((classes + 1, classes + 1), np.int64)
    for picture in pictures.pictures:
        if picture.id in found:
            _add(table, picture, found[picture.id], least, iou)
    return table


def _add(table: npt.NDArray[np.int64], picture: LabelledPicture, answer: Detections, least: float, iou: float) -> None:
    ignored: Flags = picture.difficult | picture.crowd
    shared = overlaps(answer.boxes, picture.boxes)
    free = ~ignored
    for place in by_score(answer):
        if answer.scores[place] < least:
            break
        fits = np.where(free, shared[place], 0.0)
        if fits.max(initial=0.0) > iou:
            taken = int(np.argmax(fits))
            free[taken] = False
            table[picture.classes[taken], answer.classes[place]] += 1
        elif shared[place][ignored].max(initial=0.0) <= iou:
            table[-1, answer.classes[place]] += 1
    np.add.at(table[:, -1], picture.classes[free], 1)
