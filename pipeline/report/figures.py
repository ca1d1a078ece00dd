"""What the report shows in pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from netx import MonospikeError


class ReportError(MonospikeError):
    """A report that cannot be written because what it should hold is incomplete or does not fit together."""


@dataclass(frozen=True)
class TrackedSequence:
    """One sequence and where the trackers saw the object.

    frames: uint8, shape (frame, height, width, 3), RGB.
    truth, float_boxes, integer_boxes: shape (frame, 4): left, top, width, height in pixels.
    float_iou, integer_iou, fixed_iou: intersection over union with the true box, 0..1, shape (frame,); the last for a
        box that never moves.
    Raises ReportError when shapes do not fit together.
    """

    name: str
    frames: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.float64]
    float_boxes: npt.NDArray[np.float64]
    integer_boxes: npt.NDArray[np.float64]
    float_iou: npt.NDArray[np.float64]
    integer_iou: npt.NDArray[np.float64]
    fixed_iou: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[3] != 3 or self.frames.dtype != np.uint8 or not len(self.frames):
            shape, kind = self.frames.shape, self.frames.dtype
            raise ReportError(
                f"sequence {self.name!r}: frames are {kind} of shape {shape}, expected uint8 (F, H, W, 3)"
            )
        count = len(self.frames)
        wanted: dict[str, tuple[int, ...]] = dict.fromkeys(("truth", "float_boxes", "integer_boxes"), (count, 4))
        wanted |= {"float_iou": (count,), "integer_iou": (count,), "fixed_iou": (count,)}
        for name, shape in wanted.items():
            if np.shape(getattr(self, name)) != shape:
                got = np.shape(getattr(self, name))
                raise ReportError(f"sequence {self.name!r}: {name} has shape {got}, expected {shape}")
            if not np.isfinite(getattr(self, name)).all():
                raise ReportError(f"sequence {self.name!r}: {name} holds a value that is not finite")


@dataclass(frozen=True)
class ChipFront:
    """What a search found on one chip.

    objectives: in which candidates were weighed there. missing: those without figures on it. plot: an SVG element,
    empty where there is nothing to draw. rows: the best candidates as texts, a head first. built: candidates there.
    """

    name: str
    title: str
    source: str
    objectives: tuple[str, ...]
    missing: tuple[str, ...]
    plot: str
    rows: Sequence[Sequence[str]]
    built: int


@dataclass(frozen=True)
class Figures:
    """Pictures of a run.

    sequences: at least one. spikes: for each layer 0 or 1, uint8, shape (channel, height, width), of one frame.
    template, search: the crops that these spikes belong to, uint8, shape (height, width, 3), RGB.
    chips: for each chip that is planned for its picture, an SVG element.
    fronts: of a search, chip by chip; none where the report has no search.
    """

    sequences: tuple[TrackedSequence, ...]
    spikes: Mapping[str, npt.NDArray[np.uint8]]
    template: npt.NDArray[np.uint8]
    search: npt.NDArray[np.uint8]
    chips: Mapping[str, str] = field(default_factory=dict)
    fronts: tuple[ChipFront, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sequences", tuple(self.sequences))
        if not self.sequences:
            raise ReportError("a report needs at least one tracked sequence")
        for name, spikes in self.spikes.items():
            if spikes.ndim != 3 or spikes.size == 0:
                raise ReportError(f"spikes of layer {name!r}: shape {spikes.shape}, expected (channel, height, width)")
