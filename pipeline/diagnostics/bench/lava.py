"""The engine, and the fast convolution, against stock Lava, which runs in processes of its own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx import Conv2d, Input, MonospikeError, Network
from pipeline.diagnostics.bench.backbone import backbone, random_frames
from pipeline.diagnostics.bench.measure import Measure, Pairs, alternate, seconds
from pipeline.model_zoo.networks import read_network
from sim import engine, lava
from sim.lava import ConvModel
from sim.lava.timing import convolution_times
from sim.programming import programmed
from sim.recording import Recording

_DEMO_FRAMES = 27
"""24 real ones, zeros, ones and noise: what ``deploy demo`` runs through the search network."""
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


def proven_against_stock(runs: int) -> Measure:
    """Lava with the drop-in in wide layers, each held against Lava's own in the run, and stock Lava throughout.

    As many frames as ``deploy demo`` runs through the search network of the demo's model, starting Lava included.
    """
    network, frames = _demo_search_network()
    recordings: dict[ConvModel, Recording] = {}

    def run(conv: ConvModel) -> None:
        recordings[conv] = lava.run(network, frames, conv=conv, timeout=_TIMEOUT)

    times = alternate(lambda: run("proven"), lambda: run("stock"), min(runs, 3), warm_up=0)
    for name, membranes in recordings["stock"].membranes.items():
        if not np.array_equal(membranes, recordings["proven"].membranes[name]):
            raise MonospikeError(f"bench lava_proven: layer {name!r} has different membranes: nothing to compare")
    note = (
        f"search network of the demo, {_DEMO_FRAMES} frames of noise, same spikes and membranes, start included; "
        f"ours: the drop-in in {len(recordings['proven'].stand_ins)} of {len(recordings['stock'].membranes)} layers"
    )
    return Measure(times.times_faster, times.ours_s, times.theirs_s, len(times.ours), "at least 2", note)


def _demo_search_network() -> tuple[Network, Mapping[str, npt.NDArray]]:
    """Programmed for a target, and its frames; all of it noise within the inputs' ranges."""
    network, rng = read_network(Path("demo")), np.random.default_rng(1)
    targets = {source.name for source in network.template_network().inputs}

    def drawn(source: Input) -> npt.NDArray:
        shape = (1 if source.name in targets else _DEMO_FRAMES, *source.shape)
        values = rng.integers(source.range.low, source.range.high + 1, shape)
        return np.broadcast_to(values, (_DEMO_FRAMES, *source.shape))

    return programmed(network, {source.name: drawn(source) for source in network.inputs})


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
