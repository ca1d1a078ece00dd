"""Real frames of a tracker: what its search branch is given, and does, as it follows a target."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.progress import Progress
from pipeline.datasets.video_source import open_video
from pipeline.model_zoo.names import checkpoint_path
from pipeline.tasks.tracking.crop import Box
from pipeline.tasks.tracking.operations import Recorded
from pipeline.tasks.tracking.predictor import Siamese
from pipeline.tasks.tracking.recorded_crops import Selection, crops_of_sequence
from pipeline.tasks.tracking.subject import open_subject
from pipeline.tasks.tracking.track_video import first_box


def recorded_on(model: str, sequence: Path, box: Box | None, most: int, progress: Progress) -> Recorded:
    """The search branch, programmed for the target, on the crops that the tracker makes on its way.

    model: a packaged one, or a checkpoint's path. sequence: as for ``open_video``. box: in its first frame, where
    there is no ground truth. most: frames to follow. Raises MonospikeError where any of them is no such thing, or the
    model has no network of integers.
    """
    subject = open_subject(checkpoint_path(model))
    network = subject.network()
    video = open_video(sequence)
    start = first_box(video, box)
    with progress.task(f"track {video.name}", min(most, max(len(video) - 1, 1))) as task:
        [target] = crops_of_sequence(
            lambda scorer: Siamese(scorer, subject.geometry, subject.settings),
            subject.scorer(network),
            video,
            start,
            Selection(most),
            task.reach,
        )
    return subject.looked(network, target.template, target.searches)
