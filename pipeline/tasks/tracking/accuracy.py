"""How well the float reference and the integer network follow, beside a box that never moves."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as ManyOf
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from netx.files import write_whole
from netx.npz import read_npz
from pipeline.core.boxes import iou
from pipeline.core.progress import Progress
from pipeline.datasets.clip import Clip
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.predictor import Geometry, Scorer, track

TRACKERS = ("float", "integer", "fixed_box")

Boxes = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tracks:
    """Boxes (frame, 4) by tracker, and the true ones, for one sequence."""

    name: str
    truth: Boxes
    boxes: Mapping[str, Boxes]

    def overlaps(self, tracker: str) -> npt.NDArray[np.float64]:
        """IoU with the truth at each frame; the first, at which the box is given, is always 1."""
        return iou(self.boxes[tracker], self.truth)


def follow_all(
    sequences: ManyOf[Clip],
    scorers: Mapping[str, Scorer],
    geometry: Geometry,
    settings: TrackerConfig,
    progress: Progress,
) -> list[Tracks]:
    """Track every sequence with each of ``scorers``, which are ``float`` and ``integer``."""
    result = []
    total = len(scorers) * sum(len(sequence.frames) for sequence in sequences)
    with progress.task("tracking", total) as task:
        for sequence in sequences:
            start = sequence.boxes[0]
            boxes = {
                name: track(scorer, sequence.frames, start, geometry, settings, task.advance)
                for name, scorer in scorers.items()
            }
            boxes["fixed_box"] = np.tile(start, (len(sequence.frames), 1))
            result.append(Tracks(sequence.name, sequence.boxes, boxes))
    return result


def summary(tracks: ManyOf[Tracks]) -> dict[str, Any]:
    """Mean IoU of each tracker: over the frames after the first, then over the sequences. JSON values."""
    means = {name: [float(t.overlaps(name)[1:].mean()) for t in tracks] for name in TRACKERS}
    return {
        **{name: {"mean_iou": float(np.mean(values)), "sequences": values} for name, values in means.items()},
        "frames": sum(len(t.truth) for t in tracks),
        "sequences": len(tracks),
    }


def save_tracks(path: Path, tracks: ManyOf[Tracks]) -> None:
    """Write tracks as npz; the file appears whole or not at all."""
    arrays = {
        f"{index}/{kind}": boxes
        for index, t in enumerate(tracks)
        for kind, boxes in {"truth": t.truth, **t.boxes}.items()
    }
    with write_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, names=np.array([t.name for t in tracks]), **arrays)


def load_tracks(path: Path) -> list[Tracks]:
    """Read what ``save_tracks`` wrote. Raises FormatError when the file is not that."""
    try:
        file = read_npz(path)
        return [
            Tracks(str(name), file[f"{i}/truth"], {kind: file[f"{i}/{kind}"] for kind in TRACKERS})
            for i, name in enumerate(file["names"])
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{path}: holds no tracks ({error})") from None
