"""An evaluation in two jobs against the same in one process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pipeline.core.boxes import Boxes
from pipeline.core.progress import Progress
from pipeline.core.workers import Workers
from pipeline.datasets.catalog import find_benchmark
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.datasets.video import Annotations, PictureFiles, Video
from pipeline.diagnostics.bench.measure import Measure, alternate
from pipeline.model_zoo.names import checkpoint_path
from pipeline.tasks.tracking.checkpoint import load_processing
from pipeline.tasks.tracking.metrics.evaluate import run_all
from pipeline.tasks.tracking.metrics.results import ResultFolder
from pipeline.tasks.tracking.trackers import TrackerChoice

_MOST_RUNS = 3
"""A pair takes minutes."""

_MODEL = "small-s4-kd"
_SEQUENCES, _FRAMES = 40, 500
_CLIP = CompositionSpec(frames=50, height=480, width=640, object_size=(60, 120))
"""Its frames are shown forwards and backwards, as often as a sequence is long."""


def two_jobs(runs: int) -> Measure:
    """Sequences on disk followed and written, Ray's start and end included; a third of OTB-100's frames."""
    path = checkpoint_path(_MODEL)
    choice = TrackerChoice(str(path), "integer", load_processing(path))
    with tempfile.TemporaryDirectory() as folder:
        videos = _videos(Path(folder))
        two, one = (_whole(videos, choice, Path(folder), jobs) for jobs in (2, 0))
        pairs = alternate(two, one, min(runs, _MOST_RUNS), warm_up=0)
    note = (
        f"{_MODEL} in integers on {_SEQUENCES} sequences of {_FRAMES} frames of {_CLIP.width}x{_CLIP.height} pixels, "
        "each job on one thread; Ray's start and end included; theirs: this process alone"
    )
    return Measure(pairs.times_faster, pairs.ours_s, pairs.theirs_s, len(pairs.ours), "at least 1.85 on 2 cores", note)


def _whole(videos: list[Video], choice: TrackerChoice, folder: Path, jobs: int) -> Callable[[], None]:
    benchmark = find_benchmark("folder")

    def run() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as results:
            progress = Progress(quiet=True)
            run_all(benchmark, videos, choice.open(), ResultFolder(Path(results)), progress, Workers(jobs))

    return run


def _videos(folder: Path) -> list[Video]:
    clip = compose(open_pictures(), _CLIP, seed=1)
    files = [folder / f"{number:04}.jpg" for number in range(len(clip.frames))]
    for file, frame in zip(files, clip.frames, strict=True):
        cv2.imwrite(str(file), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    there_and_back = [*range(len(files)), *range(len(files) - 2, 0, -1)]
    order = np.resize(there_and_back, _FRAMES)
    read = partial(_annotations, tuple(files[number] for number in order), clip.boxes[order])
    return [Video(f"sequence{number:02}", folder, read) for number in range(_SEQUENCES)]


def _annotations(files: tuple[Path, ...], boxes: Boxes) -> Annotations:
    return Annotations(PictureFiles(files), boxes, np.zeros(len(files), np.bool_))
