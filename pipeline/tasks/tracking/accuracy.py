"""How well the float reference and the integer network follow, beside a box that never moves."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as ManyOf
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from pipeline.core.boxes import iou
from pipeline.core.progress import Progress
from pipeline.core.task import Evaluation
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


def evaluation(tracks: ManyOf[Tracks]) -> Evaluation:
    """Mean IoU of each tracker: over the frames after the first, then over the sequences."""
    means = {name: float(np.mean([t.overlaps(name)[1:].mean() for t in tracks])) for name in TRACKERS}
    predictions = {"names": np.array([t.name for t in tracks])} | {
        f"{index}/{kind}": boxes
        for index, t in enumerate(tracks)
        for kind, boxes in {"truth": t.truth, **t.boxes}.items()
    }
    values = ", ".join(f"{name.replace('_', ' ')} {mean:.3f}" for name, mean in means.items())
    return Evaluation(
        scores={
            **{name: {"mean_iou": mean} for name, mean in means.items()},
            "frames": sum(len(t.truth) for t in tracks),
            "sequences": len(tracks),
        },
        predictions=predictions,
        headline=f"mean IoU: {values}",
        figures={f"mean IoU, {name}": f"{means[name]:.3f}" for name in ("integer", "float")},
    )


def tracks_of(predictions: Mapping[str, npt.NDArray]) -> list[Tracks]:
    """The tracks in what ``evaluation`` predicted. Raises FormatError where they are something else."""
    try:
        return [
            Tracks(str(name), predictions[f"{i}/truth"], {kind: predictions[f"{i}/{kind}"] for kind in TRACKERS})
            for i, name in enumerate(predictions["names"])
        ]
    except KeyError as error:
        raise FormatError(f"the predictions hold no tracks ({error}); run again with --from profile") from None
