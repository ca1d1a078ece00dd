"""Real frames of a tracker: what its search branch is given, and does, as it follows a target."""

from __future__ import annotations

from pathlib import Path

from pipeline.crop import Box
from pipeline.following import first_box
from pipeline.footage import open_footage
from pipeline.progress import Progress
from pipeline.search.subject import open_subject
from pipeline.sequence_check import Which, crops_of_sequence
from pipeline.study.work import Recorded
from pipeline.track import Siamese
from pipeline.weights import checkpoint_path


def recorded_on(model: str, sequence: Path, box: Box | None, most: int, progress: Progress) -> Recorded:
    """The search branch, programmed for the target, on the crops that the tracker looks at on its way.

    model: a packaged one, or a checkpoint's path. sequence: as for ``open_footage``. box: in its first frame, where
    there is no ground truth. most: frames to follow. Raises MonospikeError where any of them is no such thing, or the
    model has no network of integers.
    """
    subject = open_subject(checkpoint_path(model))
    network = subject.network()
    footage = open_footage(sequence)
    start = first_box(footage, box)
    with progress.task(f"track {footage.name}", min(most, max(footage.length - 1, 1))) as task:
        [target] = crops_of_sequence(
            lambda scorer: Siamese(scorer, subject.geometry, subject.settings),
            subject.scorer(network),
            footage,
            start,
            Which(most),
            task.reach,
        )
    return subject.looked(network, target.template, target.searches)
