"""The trackers by name: models, and what they are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from netx.errors import MonospikeError
from pipeline.core.files import file_digest
from pipeline.datasets.errors import DataError
from pipeline.datasets.locations import DATA, VARIABLE, located
from pipeline.tasks.tracking.baselines import SOURCE, FixedBox, NanoTrack
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.tracker import Tracker

Engine = Literal["float", "integer"]

REFERENCES = ("fixed", "nanotrack")
"""Trackers that are no models."""

_NANOTRACK = f"{DATA}/weights/nanotrack"
"""Where NanoTrack's weights lie when the user does not say."""


def engine_called(name: str) -> Engine:
    """Raises MonospikeError when there is no such engine."""
    for engine in get_args(Engine):
        if engine == name:
            return engine
    raise MonospikeError(f"there is no engine {name!r}; the engines are {', '.join(get_args(Engine))}")


def open_tracker(name: str, engine: Engine, settings: TrackerConfig, weights: Path | None = None) -> Tracker:
    """A tracker by name.

    name: ``fixed``, ``nanotrack``, or the path of a checkpoint. engine: which form of a
    student runs; a box that never moves is the same in both, NanoTrack and teachers have the float form only. settings:
    a model's post-processing. weights: folder of NanoTrack's ONNX files.

    Raises MonospikeError when there is no such tracker, or it lacks that engine, or its files are missing or bad.
    """
    if name == "fixed":
        return FixedBox()
    if name == "nanotrack":
        if engine != "float":
            raise MonospikeError("nanotrack is no spiking network and has no integers; use --engine float")
        return NanoTrack(_nanotrack(weights))
    # Imported when it is asked for: a model brings torch with it.
    from pipeline.tasks.tracking.model_tracker import model_tracker

    return model_tracker(Path(name), engine, settings)


@dataclass(frozen=True)
class TrackerChoice:
    """What ``open_tracker`` takes: a worker is told this and opens the tracker itself."""

    name: str
    engine: Engine
    settings: TrackerConfig
    weights: Path | None = None

    def open(self) -> OpenTracker:
        """See ``open_tracker``."""
        return OpenTracker(self, open_tracker(self.name, self.engine, self.settings, self.weights))


@dataclass(frozen=True)
class OpenTracker:
    """A tracker for this process, and what it was chosen by."""

    choice: TrackerChoice
    tracker: Tracker


def identity(name: str, weights: Path | None = None) -> list[str]:
    """SHA-256 of the files that the tracker is made from, which tell it from one of the same name. name: as for
    ``open_tracker``."""
    if name == "fixed":
        return []
    if name == "nanotrack":
        return [file_digest(file) for file in sorted(_nanotrack(weights).glob("*.onnx"))]
    return [file_digest(Path(name))]


def _nanotrack(weights: Path | None) -> Path:
    if weights is not None:
        return weights
    try:
        return located(_NANOTRACK)
    except DataError as error:
        raise DataError(
            f"nanotrack needs --weights DIR with the ONNX files of {SOURCE}, or {VARIABLE}: {error}"
        ) from None
