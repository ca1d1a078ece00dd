"""A segmenter at work on a sequence: which masks it is given, and what of its answers is taken."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from netx.errors import MonospikeError
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import VOID, LabelMask, objects_in
from pipeline.tasks.segmentation.predictions import OpenSegmenter


class Followed(NamedTuple):
    """A frame, its mask, and the seconds that it took."""

    frame: RGB
    mask: LabelMask
    seconds: float


def follow(
    name: str, frames: Iterable[RGB], given: Sequence[LabelMask | None], segmenter: OpenSegmenter
) -> Iterator[Followed]:
    """The masks of a sequence's frames, one after the other.

    given: true masks by frame, None where there is none; frames beyond have none. Of them the segmenter sees each
    object in the frame that first shows it, as YouTube-VOS has it: that object's true pixels are laid over what was
    found in the frame, and the segmenter starts anew with both. Before the first object there is only background. Void
    is given as background.

    Raises DataError naming the sequence and the frame where frames differ in size or a mask is of another,
    MonospikeError where there are more objects than the segmenter follows, or where its answer is no mask.
    """
    known, size = set[int](), None
    for number, frame in enumerate(frames):
        where = f"sequence {name!r}, frame {number}"
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            raise DataError(f"{where}: is {_size(frame)}, and frame 0 is {size[1]}x{size[0]}; give frames of one size")
        true = given[number] if number < len(given) else None
        if true is not None and true.shape != size:
            raise DataError(f"{where}: the mask is {_size(true)}, and the frame {_size(frame)}")
        began = time.perf_counter()
        found = _checked(segmenter.step(frame), size, where) if known else np.zeros(size, np.uint8)
        new = set() if true is None else set(objects_in(true)) - known
        if new:
            assert true is not None
            known |= new
            most = segmenter.most_objects
            if most is not None and len(known) > most:
                raise MonospikeError(f"{where}: there are {len(known)} objects by now, and the model follows {most}")
            found = np.where(np.isin(true, sorted(new)), true, found)
            segmenter.start(frame, found)
        yield Followed(frame, found, time.perf_counter() - began)


def _checked(answer: LabelMask, size: tuple[int, ...], where: str) -> LabelMask:
    if not isinstance(answer, np.ndarray) or answer.dtype != np.uint8 or answer.shape != size:
        got = f"{answer.dtype} of shape {answer.shape}" if isinstance(answer, np.ndarray) else type(answer).__name__
        raise MonospikeError(f"{where}: the model's answer is {got}; a mask is uint8 of shape {tuple(size)}")
    return np.where(answer == VOID, 0, answer).astype(np.uint8)


def _size(array: RGB | LabelMask) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
