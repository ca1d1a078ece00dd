"""The benchmarks by name: how each is read, evaluated and had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pipeline.datasets.errors import DataError
from pipeline.datasets.got10k import got10k
from pipeline.datasets.lasot import lasot, lasot_training
from pipeline.datasets.locations import DATA, VARIABLE, located
from pipeline.datasets.otb import otb100, otb_folders
from pipeline.datasets.uav123 import uav123
from pipeline.datasets.video import Video
from pipeline.datasets.vot import vot2018

Protocol = Literal["one-pass", "got10k", "vot2018"]
"""one-pass: started once; success and precision. got10k: started once; AO and SR. vot2018: started again after
failures; A, R and EAO."""

AbsentFrames = Literal["drop", "failure"]
"""What a frame without the object is worth. drop: it does not count (got10k toolkit). failure: it counts as missed
(pysot's success, which divides by all frames)."""


@dataclass(frozen=True)
class Benchmark:
    """How one benchmark is read and evaluated.

    absent_frames: the convention of the toolkit whose numbers are usual for it.
    get: what to download, and how it lies under the root.
    root: where it lies when the user does not say, with the placeholder of ``pipeline.datasets.locations``.
    withheld: the ground truth is not public, so that boxes can be made but not scored.
    """

    name: str
    protocol: Protocol
    read: Callable[[Path], list[Video]]
    absent_frames: AbsentFrames
    get: str
    root: str | None = None
    withheld: bool = False


_OTB_LAYOUT = "ROOT/NAME/img/0001.jpg ... and ROOT/NAME/groundtruth_rect.txt"
_GOT10K = (
    "download it from http://got-10k.aitestunion.com/downloads and unpack it so that there are "
    "ROOT/{split}/list.txt and ROOT/{split}/GOT-10k_.../00000001.jpg"
)

_ALL = (
    Benchmark(
        "otb100",
        "one-pass",
        otb100,
        "drop",
        "download the 98 archives of TB-100 from http://cvlab.hanyang.ac.kr/tracker_benchmark/datasets.html and "
        f"unpack each so that there are {_OTB_LAYOUT}",
    ),
    Benchmark(
        "uav123",
        "one-pass",
        uav123,
        "drop",
        "download UAV123 (30 frames a second) from https://cemse.kaust.edu.sa/ivul/uav123 and unpack it so that there "
        "are ROOT/data_seq/UAV123/bike1/000001.jpg and ROOT/anno/UAV123/bike1.txt",
    ),
    Benchmark(
        "lasot",
        "one-pass",
        lasot,
        "failure",
        "download the testing split from http://vision.cs.stonybrook.edu/~lasot/ and unpack it so that there are "
        "ROOT/airplane/airplane-1/img/00000001.jpg and ROOT/airplane/airplane-1/groundtruth.txt",
    ),
    Benchmark(
        "lasot-train",
        "one-pass",
        lasot_training,
        "failure",
        "download the data set from http://vision.cs.stonybrook.edu/~lasot/ and unpack it so that there are "
        "ROOT/airplane/airplane-2/img/00000001.jpg and ROOT/airplane/airplane-2/groundtruth.txt; what is of the "
        "testing split is left out",
    ),
    Benchmark(
        "vot2018",
        "vot2018",
        vot2018,
        "failure",
        "download VOT2018 short-term from https://www.votchallenge.net/vot2018/dataset.html (or with the VOT toolkit: "
        "vot initialize vot2018/shortterm) so that there are ROOT/list.txt, ROOT/ants1/groundtruth.txt and the "
        "pictures in ROOT/ants1/ or ROOT/ants1/color/",
    ),
    *(
        Benchmark(
            f"got10k-{split}",
            "got10k",
            partial(got10k, split),
            "drop",
            _GOT10K.format(split=split),
            withheld=split == "test",
        )
        for split in ("train", "val", "test")
    ),
    Benchmark("folder", "one-pass", otb_folders, "drop", f"give --root a folder with {_OTB_LAYOUT}"),
    Benchmark(
        "shared-test",
        "one-pass",
        otb_folders,
        "drop",
        f"give --root, or set {VARIABLE} to the folder that holds tracking/test with the sequences of README.md's "
        f"results, {_OTB_LAYOUT}; else use 'folder' with sequences of your own, or 'otb100'",
        root=f"{DATA}/tracking/test",
    ),
)

BENCHMARKS = {benchmark.name: benchmark for benchmark in _ALL}


def find_benchmark(name: str) -> Benchmark:
    """Raises DataError with the names there are."""
    if name not in BENCHMARKS:
        raise DataError(f"there is no benchmark {name!r}; the benchmarks are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


def open_benchmark(benchmark: Benchmark, root: str | Path | None) -> list[Video]:
    """Its sequences; neither annotations nor pictures are read yet. root: None for where it usually lies.

    Raises DataError when the root is missing or not laid out like the benchmark, with what to download and where to
    put it.
    """
    folder = root_of(benchmark, root)
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder. To have {benchmark.name}, {benchmark.get}")
    try:
        videos = benchmark.read(folder)
    except DataError as error:
        raise DataError(f"{error}. To have {benchmark.name}, {benchmark.get}") from None
    if not any(video.folder.exists() for video in videos):
        raise DataError(
            f"{folder}: holds none of the {len(videos)} sequences of {benchmark.name}. To have them, {benchmark.get}"
        )
    return videos


def root_of(benchmark: Benchmark, root: str | Path | None) -> Path:
    """The folder that is meant. Raises DataError, with what to do, where nobody has said."""
    if root is not None:
        return located(root)
    if benchmark.root is None:
        raise DataError(f"{benchmark.name} needs --root DIR: {benchmark.get}")
    try:
        return located(benchmark.root)
    except DataError as error:
        raise DataError(f"{error}. To have {benchmark.name}, {benchmark.get}") from None
