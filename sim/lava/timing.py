"""Seconds that Lava's stock convolution and the fast one take for the same sums. This file does not import Lava."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx import Conv2d
from netx.npz import npz_bytes
from sim.lava import Work, run_worker

CASES, TIMES = "cases.npz", "times.json"
"""What the worker finds and leaves in its folder."""


@dataclass(frozen=True)
class ConvolutionTimes:
    """Seconds of each run of one convolution.

    stock: ``lava.proc.conv.utils.conv``. fast: sim.exact_convolution, the median of some calls.
    """

    stock: tuple[float, ...]
    fast: tuple[float, ...]


def convolution_times(
    cases: Mapping[str, tuple[Conv2d, npt.NDArray]], runs: int, timeout: float
) -> dict[str, ConvolutionTimes]:
    """Run both, in turn, ``runs`` times on every case: a convolution and integers (channel, height, width).

    timeout: seconds for all of it. Raises LavaError when the sums differ or Lava fails, LavaTimeout.
    """

    def write(folder: Path) -> None:
        arrays = {"runs": np.array(runs)}
        for name, (conv, values) in cases.items():
            arrays[f"{name}/weight"] = conv.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
            arrays[f"{name}/values"] = values.transpose(2, 1, 0).astype(np.int32)
            windows = [pair[::-1] for pair in (conv.stride, conv.padding, conv.dilation)]
            arrays[f"{name}/windows"] = np.array([*windows, (conv.groups, 0)])
        (folder / CASES).write_bytes(npz_bytes(arrays))

    def read(folder: Path) -> dict[str, ConvolutionTimes]:
        times = json.loads((folder / TIMES).read_text())
        return {name: ConvolutionTimes(tuple(times[name]["stock"]), tuple(times[name]["fast"])) for name in cases}

    return run_worker("sim.lava.timer", write, read, Work(len(cases), timeout, None, "convolutions"))
