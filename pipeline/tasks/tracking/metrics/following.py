"""One run of a benchmark by a tracker, in this process or in a worker's."""

from __future__ import annotations

from contextlib import nullcontext

import cv2

from netx.errors import MonospikeError
from pipeline.core.workers import one_thread
from pipeline.datasets.catalog import Benchmark
from pipeline.datasets.video import Video
from pipeline.tasks.tracking.metrics.running import Tick, no_tick, one_pass, supervised
from pipeline.tasks.tracking.predictions import Predictions
from pipeline.tasks.tracking.predictor import Siamese
from pipeline.tasks.tracking.tracker import Tracker
from pipeline.tasks.tracking.trackers import OpenTracker, TrackerChoice

_opened: list[OpenTracker] = []
"""The one that this worker has; it follows many sequences with it."""


def followed(
    benchmark: Benchmark, video: Video, tracker: Tracker, threads: bool = False, tick: Tick = no_tick
) -> Predictions | str:
    """What the tracker does on a sequence, or why the sequence cannot be followed.

    threads: take several where no number depends on how many.
    """
    protocol = supervised if benchmark.protocol == "vot2018" else one_pass
    exact = isinstance(tracker, Siamese) and tracker.exact
    with nullcontext() if threads and exact else one_thread():
        try:
            return protocol(tracker, video, tick)
        except (MonospikeError, OSError, cv2.error) as error:
            return " ".join(str(error).split())


def followed_by_worker(benchmark: Benchmark, video: Video, choice: TrackerChoice) -> Predictions | str:
    """The same for a worker, which opens the tracker once."""
    if not _opened or _opened[0].choice != choice:
        _opened[:] = [choice.open()]
    return followed(benchmark, video, _opened[0].tracker)
