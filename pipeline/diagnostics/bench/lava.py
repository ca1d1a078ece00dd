"""The engine, and the fast convolution, against stock Lava, which runs in processes of its own."""

from __future__ import annotations

import statistics
import time

import numpy as np
import numpy.typing as npt

from netx import Conv2d, MonospikeError
from pipeline.diagnostics.bench.backbone import backbone, random_frames
from pipeline.diagnostics.bench.measure import Measure, Pairs, seconds
from sim import engine, lava
from sim.lava.timing import convolution_times

_TIMEOUT = 1800.0
"""Seconds for stock Lava, which takes minutes."""


def against_lava(runs: int) -> Measure:
    """(b) The engine against Lava's stock processes, both on the same frames."""
    network, frames = backbone(), random_frames(3)
    runner = engine.compile(network)
    runner.run(frames)
    arrivals: list[float] = []
    recording = lava.run(
        network,
        frames,
        timeout=_TIMEOUT,
        progress=lambda done, _: arrivals.append(time.perf_counter()) if done else None,
    )
    ours = statistics.median(seconds(lambda: runner.run(frames)) / 3 for _ in range(runs))
    last = network.outputs[0]
    if not np.array_equal(runner.run(frames).spikes[last], recording.spikes[last]):
        raise MonospikeError("bench b: the engine and Lava have different spikes: nothing to compare")
    theirs = (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1)
    note = (
        "AlexNet backbone at 303x303, random spikes at 15 %, same spikes; theirs: seconds between frames once Lava's "
        "pipeline is full, every layer a process; ours: one frame"
    )
    return Measure(theirs / ours, ours, theirs, len(arrivals) - 1, "at least 1000", note)


def convolution_against_lava(runs: int) -> Measure:
    """(e) The fast convolution against that of Lava's stock model, on all convolutions of the backbone."""
    network, frames = backbone(), random_frames(1)
    spikes = engine.compile(network, record=True).run(frames).spikes
    values: dict[str, npt.NDArray] = {**frames, **spikes}
    cases = {
        layer.name: (layer.synapse, values[layer.inputs[0]][0])
        for layer in network.layers
        if isinstance(layer.synapse, Conv2d)
    }
    runs = min(runs, 3)
    times = convolution_times(cases, runs, _TIMEOUT)
    pairs = Pairs(
        tuple(sum(layer.fast[run] for layer in times.values()) for run in range(runs)),
        tuple(sum(layer.stock[run] for layer in times.values()) for run in range(runs)),
    )
    profile = {name: statistics.median(layer.fast) for name, layer in times.items()}
    note = "all convolutions of one frame of the AlexNet backbone at 303x303, one thread, same sums"
    return Measure(pairs.times_faster, pairs.ours_s, pairs.theirs_s, runs, "at least 100", note, profile)
