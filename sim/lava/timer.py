"""The process that times Lava's stock convolution: ``python -m sim.lava.timer FOLDER``, started by sim.lava.timing."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from lava.proc.conv.utils import conv

from netx.npz import read_npz
from sim.exact_convolution import ExactConvolution
from sim.lava import job as lava_job
from sim.lava.timing import CASES, TIMES
from sim.lava.worker import guard, report_exception

_FAST_CALLS = 5
"""For each of the stock one, which takes seconds: a moment's disturbance would count a hundredfold."""


def main(folder: Path) -> None:
    """Time every case in ``folder``, leave the seconds there, and end at once."""
    try:
        guard(folder)
        (folder / TIMES).write_text(json.dumps(_times(folder)))
    except Exception as error:
        # The last stop before the process ends: whatever it is has to reach the user, with its text.
        report_exception(folder, error)
        os._exit(1)
    os._exit(0)


def _times(folder: Path) -> dict[str, dict[str, list[float]]]:
    arrays = read_npz(folder / CASES)
    runs = int(arrays.pop("runs"))
    names = list(dict.fromkeys(key.partition("/")[0] for key in arrays))
    times = {}
    for done, name in enumerate(names, start=1):
        weight, values, windows = (arrays[f"{name}/{kind}"] for kind in ("weight", "values", "windows"))
        times[name] = _alternating(weight, values, windows.tolist(), runs)
        lava_job.write_progress(folder, done)
    return times


def _alternating(weight: np.ndarray, values: np.ndarray, windows: list[list[int]], runs: int) -> dict[str, list[float]]:
    stride, padding, dilation = ((pair[0], pair[1]) for pair in windows[:3])
    groups = windows[3][0]
    fast = ExactConvolution(weight, stride, padding, dilation, groups)
    fast(values)
    times: dict[str, list[float]] = {"stock": [], "fast": []}
    for _ in range(runs):
        several = []
        for _ in range(_FAST_CALLS):
            start = time.perf_counter()
            ours = fast(values)
            several.append(time.perf_counter() - start)
        times["fast"].append(statistics.median(several))
        start = time.perf_counter()
        theirs = conv(values, weight, weight.shape[1:3], stride, padding, dilation, groups)
        times["stock"].append(time.perf_counter() - start)
        if not np.array_equal(ours, theirs):
            raise ValueError("the fast convolution and Lava's own give different sums")
    return times


if __name__ == "__main__":
    main(Path(sys.argv[1]))
