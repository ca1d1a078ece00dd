"""The benchmarks by name: how each is read, judged and had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pipeline.datasets.errors import DataError
from pipeline.datasets.got10k import got10k
from pipeline.datasets.lasot import lasot, lasot_training
from pipeline.datasets.otb import otb100, otb_folders
from pipeline.datasets.uav123 import uav123
from pipeline.datasets.video import Entry
from pipeline.datasets.vot import vot2018
from pipeline.tasks.tracking.metrics.multi_start import from_several_starts
from pipeline.tasks.tracking.metrics.single_frame import in_looks

Protocol = Literal["one-pass", "got10k", "vot2018"]
"""one-pass: started once; success and precision. got10k: started once; AO and SR. vot2018: started again after
failures; A, R and EAO."""

AbsentFrames = Literal["drop", "failure"]
"""What a frame without the object is worth. drop: it does not count (got10k toolkit). failure: it counts as missed
(pysot's success, which divides by all frames)."""

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Research data that may lie beside a checkout; it is no part of the project."""


@dataclass(frozen=True)
class Benchmark:
    """How one benchmark is read and judged.

    absent_frames: the convention of the toolkit whose numbers are usual for it.
    get: what to download, and how it lies under the root.
    root: where it lies when the user does not say.
    withheld: the ground truth is not public, so that boxes can be made but not judged.
    """

    name: str
    protocol: Protocol
    read: Callable[[Path], list[Entry]]
    absent_frames: AbsentFrames
    get: str
    root: Path | None = None
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
        "work on one of the project's own machines, where this research data lies beside the checkout; elsewhere use "
        "'folder' with sequences of your own, or 'otb100'",
        root=SHARED / "tracking" / "test",
    ),
)

BENCHMARKS = {benchmark.name: benchmark for benchmark in _ALL}


def find_benchmark(name: str) -> Benchmark:
    """Raises DataError with the names there are."""
    if name not in BENCHMARKS:
        raise DataError(f"there is no benchmark {name!r}; the benchmarks are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


def open_benchmark(benchmark: Benchmark, root: Path | None, starts: int = 1, looks: int = 0) -> list[Entry]:
    """Its sequences by name, or with several starts the runs that ``from_several_starts`` makes of them, or with looks
    those of ``in_looks``; no picture is read yet. root: None for where it usually lies.

    Raises DataError when the root is missing or not laid out like the benchmark, with what to download and where to
    put it; and when there can be one start only, as boxes are withheld or trackers are started again by VOT's rule.
    """
    if (starts > 1 or looks) and (benchmark.withheld or benchmark.protocol == "vot2018"):
        why = "tells only the first frame's box" if benchmark.withheld else "has its own rule for starting again"
        raise DataError(f"{benchmark.name} {why}: it allows one start and no looks, not {starts} and {looks}")
    root = root or benchmark.root
    if root is None:
        raise DataError(f"{benchmark.name} needs --root DIR: {benchmark.get}")
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder. To have {benchmark.name}, {benchmark.get}")
    try:
        entries = benchmark.read(root)
    except DataError as error:
        raise DataError(f"{error}. To have {benchmark.name}, {benchmark.get}") from None
    if not any(entry.place.exists() for entry in entries):
        raise DataError(
            f"{root}: holds none of the {len(entries)} sequences of {benchmark.name}. To have them, {benchmark.get}"
        )
    if looks:
        return in_looks(entries, starts, looks)
    return entries if starts == 1 else from_several_starts(entries, starts)
