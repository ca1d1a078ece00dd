"""J and F over frames, objects and sequences, as JSON values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from netx.errors import MonospikeError
from pipeline.core.boxes import Values
from pipeline.datasets.errors import DataError
from pipeline.datasets.label_masks import VOID, LabelMask, objects_in
from pipeline.tasks.segmentation.metrics.measures import contour_accuracy, region_similarities

Void = Literal["ignored", "background"]
"""What becomes of pixels that the truth calls ``VOID``. ignored: they count for nothing. background: as in DAVIS's own
code of this task, what is found there is wrong. DAVIS-2016 and 2017 have none."""

RECALL = 0.5
"""What a frame's J or F has to be above to count as found."""

QUARTERS = 4


@dataclass(frozen=True, eq=False)
class Found:
    """masks: what was found in each frame, uint8 (height, width), the numbers of the true masks' objects. seconds: that
    all took, reading not included; None where nobody knows."""

    masks: Sequence[LabelMask]
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class ObjectMeasures:
    """j, f: of each frame that counts, from that on in which the object is first seen; float64 (frame,), 0..1."""

    j: Values
    f: Values


def scores(
    sequences: Mapping[str, Sequence[LabelMask | None]], masks: Mapping[str, Found], void: Void = "ignored"
) -> dict[str, Any]:
    """Scores of what was found, by the sequences' names; sequences for which there is nothing do not count.

    sequences: true masks by frame, None where there is none.

    j, f, j_and_f: means over all objects of all sequences, 0..1, of their means over frames. recall, decay: of J; and
    f_recall, f_decay. fps: frames a second over all. frames: how many. sequences: the same of each by its name, and of
    each of its objects by number. None where no object counts, or no time is known.

    Raises MonospikeError naming sequence and frame where masks do not fit each other.
    """
    rows, timed = dict[str, dict[str, Any]](), []
    for name, found in masks.items():
        rows[name] = sequence_scores(measured(name, sequences[name], found.masks, void), found)
        timed.append(found)
    return combined(rows)


def measured(
    name: str, true: Sequence[LabelMask | None], found: Sequence[LabelMask], void: Void = "ignored"
) -> dict[int, ObjectMeasures]:
    """J and F of the objects of a sequence, by number.

    Of the frames that have a true mask the first, which is given, and the last do not count. An object counts from the
    frame on in which it is first seen, truly or as found, and only if it is truly there in any.
    """
    if len(true) != len(found):
        raise MonospikeError(f"sequence {name!r}: has {len(true)} frames, and {len(found)} masks were found")
    seen, real = set[int](), set[int]()
    j, f = defaultdict[int, list[float]](list), defaultdict[int, list[float]](list)
    annotated = [number for number, mask in enumerate(true) if mask is not None]
    for number in annotated[1:-1]:
        ours, theirs = _compared(name, number, true[number], found[number], void)
        real.update(objects_in(theirs))
        seen.update(objects_in(ours), real)
        counted = sorted(seen)
        for index, value in zip(counted, region_similarities(ours, theirs, counted), strict=True):
            j[index].append(float(value))
            f[index].append(contour_accuracy(ours == index, theirs == index))
    return {index: ObjectMeasures(np.array(j[index]), np.array(f[index])) for index in sorted(real)}


def sequence_scores(objects: Mapping[int, ObjectMeasures], found: Found) -> dict[str, Any]:
    """The entry of a sequence: see ``scores``."""
    rows = {str(index): _statistics(measures) for index, measures in objects.items()}
    return {**_means(rows.values()), **_speed(len(found.masks), found.seconds), "objects": rows}


def combined(sequences: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the entries of all sequences come to: see ``scores``."""
    rows = [row for entry in sequences.values() for row in entry["objects"].values()]
    timed = [entry for entry in sequences.values() if entry["seconds"] is not None]
    seconds = sum(entry["seconds"] for entry in timed) if timed else None
    speed = _speed(sum(entry["frames"] for entry in timed), seconds)
    frames = {"frames": sum(entry["frames"] for entry in sequences.values())}
    return {**_means(rows), **speed, **frames, "sequences": dict(sequences)}


def recall(values: Values) -> float:
    """Share of the frames (frame,) in which J or F is above one half."""
    return float(np.mean(values > RECALL))


def decay(values: Values) -> float:
    """Mean of the first quarter of the frames minus that of the last.

    Quarters share their border frames, which lie evenly from the first to the last, halves rounded up. DAVIS's own code
    keeps their numbers in 8 bits, so that sequences of more than 256 frames that count come out wrong there, and not
    here.
    """
    ends = np.round(np.linspace(1, len(values), QUARTERS + 1) + 1e-10).astype(np.int64) - 1
    return float(np.mean(values[ends[0] : ends[1] + 1]) - np.mean(values[ends[-2] : ends[-1] + 1]))


_MEANS = ("j_and_f", "j", "f", "recall", "decay", "f_recall", "f_decay")


def _statistics(measures: ObjectMeasures) -> dict[str, float]:
    j, f = float(np.mean(measures.j)), float(np.mean(measures.f))
    of_j, of_f = ((recall(values), decay(values)) for values in (measures.j, measures.f))
    return dict(zip(_MEANS, ((j + f) / 2, j, f, *of_j, *of_f), strict=True))


def _means(rows: Iterable[Mapping[str, float]]) -> dict[str, float | None]:
    table = [[row[key] for key in _MEANS] for row in rows]
    means = np.mean(table, axis=0).tolist() if table else [None] * len(_MEANS)
    return dict(zip(_MEANS, means, strict=True))


def _speed(frames: int, seconds: float | None) -> dict[str, float | int | None]:
    return {"fps": frames / seconds if seconds else None, "frames": frames, "seconds": seconds}


def _compared(
    name: str, number: int, true: LabelMask | None, found: LabelMask, void: Void
) -> tuple[LabelMask, LabelMask]:
    """What was found and what is true, without void."""
    assert true is not None
    if found.shape != true.shape or found.dtype != np.uint8:
        raise DataError(
            f"sequence {name!r}, frame {number}: the mask found is {found.dtype} of shape {found.shape}, and the true "
            f"one uint8 of {true.shape}"
        )
    unknown: npt.NDArray[np.bool_] = true == VOID
    dropped = (found == VOID) | unknown if void == "ignored" else found == VOID
    return np.where(dropped, 0, found).astype(np.uint8), np.where(unknown, 0, true).astype(np.uint8)
