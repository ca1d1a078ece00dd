"""What the report shows in pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from netx import MonospikeError, Network, Range
from sim.recording import Recording

if TYPE_CHECKING:
    from pipeline.core.task import PageSection


class ReportError(MonospikeError):
    """A report that cannot be written because what it should hold is incomplete or does not fit together."""


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
class SpikeFrame:
    """What a network did on one frame.

    pictures: of what went in, uint8, shape (height, width, 3), RGB, by input; those that make a picture. spikes: for
    each layer 0 or 1, uint8, shape (channel, height, width).
    """

    pictures: Mapping[str, npt.NDArray[np.uint8]]
    spikes: Mapping[str, npt.NDArray[np.uint8]]

    def __post_init__(self) -> None:
        for name, spikes in self.spikes.items():
            if spikes.ndim != 3 or spikes.size == 0:
                raise ReportError(f"spikes of layer {name!r}: shape {spikes.shape}, expected (channel, height, width)")

    @staticmethod
    def of(network: Network, frames: Mapping[str, npt.NDArray], recording: Recording, number: int) -> SpikeFrame:
        """Frame ``number`` of a recording of ``network``, and the same one of ``frames``."""
        pictures = {
            name: as_picture(values[number], network.range(name))
            for name, values in frames.items()
            if values.shape[1] in (1, 3)
        }
        return SpikeFrame(pictures, {name: values[number] for name, values in recording.spikes.items()})


def as_picture(values: npt.NDArray, values_range: Range) -> npt.NDArray[np.uint8]:
    """Integers of ``values_range``, (1 or 3, height, width), as a picture (height, width, 3) of 256 levels."""
    levels = values_range.high - values_range.low + 1
    scaled = (values.astype(np.int64) - values_range.low) * 256 // levels
    return np.repeat(scaled.transpose(1, 2, 0), 3 // len(values), axis=2).astype(np.uint8)


@dataclass(frozen=True)
class Figures:
    """What the page of a run shows beside the numbers of its report.

    headline: the task's most important figures, text by label. sections: the task's. spikes: of every network of the
    run, on one frame. chips: for each chip that is planned for its picture, an SVG element. fronts: of a search, chip
    by chip; none where the report has no search.
    """

    headline: Mapping[str, str] = field(default_factory=dict)
    sections: tuple[PageSection, ...] = ()
    spikes: tuple[SpikeFrame, ...] = ()
    chips: Mapping[str, str] = field(default_factory=dict)
    fronts: tuple[ChipFront, ...] = ()
