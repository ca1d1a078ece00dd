"""A search on two workers against the same on one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.core.config import parse_config
from pipeline.core.progress import Progress
from pipeline.core.workers import Workers
from pipeline.diagnostics.bench.measure import Measure, alternate
from pipeline.experiments.dse.config import SearchConfig
from pipeline.experiments.dse.run import run_search

_MOST_RUNS = 3
"""A pair takes minutes."""

_SEARCH = {
    "name": "bench",
    "models": {"demo": "demo"},
    "weight_bits": [8, 7, 6, 5, 4, 3],
    "thresholds": [0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1],
    "encoder": ["chip", "host"],
    "chips": ["loihi2", "loihi1_sanafe"],
    "most_chips": 3,
    "objectives": ["mean_iou", "energy", "latency", "cores"],
    "data": {"sequences": 3, "composition": {"frames": 30, "height": 180, "width": 240}},
    "frames": 4,
}


def two_workers(runs: int) -> Measure:
    """(j) A whole search, from its configuration to its report, Ray's start included."""
    config = parse_config(_SEARCH, SearchConfig, "the benchmark's search")
    pairs = alternate(_whole(config, 2), _whole(config, 1), min(runs, _MOST_RUNS), warm_up=0)
    note = (
        f"{len(config.weight_bits) * len(config.thresholds)} variants of the packaged demo model, "
        f"{config.data.sequences} sequences; from configuration to report, composing and Ray's start included; "
        "theirs: this process alone"
    )
    return Measure(pairs.times_faster, pairs.ours_s, pairs.theirs_s, len(pairs.ours), "at least 1.85 on 2 cores", note)


def _whole(config: SearchConfig, workers: int) -> Callable[[], None]:
    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            run_search(config, Path(folder), Workers(workers), "monospike bench", Progress(quiet=True))

    return run
