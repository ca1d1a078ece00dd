"""The engine against plain PyTorch, against its own kernels, over many frames, and in its memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from netx import MonospikeError, Network
from netx.arrays import IntArray
from pipeline.diagnostics.bench.backbone import Float32Reference, backbone, random_frames
from pipeline.diagnostics.bench.measure import Measure, alternate, seconds
from sim import engine
from sim.kernels import as_convolution, choose, exact_arithmetic

_SETTING = "AlexNet backbone at 303x303, random spikes at 15 %, batch of 1"


def against_float32(runs: int) -> Measure:
    """(a) The engine against the float32 PyTorch reference of the same layers."""
    network, frames = backbone(), random_frames(1)
    runner, reference = engine.compile(network), Float32Reference(network)
    last = network.outputs[0]
    if not np.array_equal(runner.run(frames).spikes[last], reference.run(frames)):
        raise MonospikeError("bench a: the engine and the float32 reference have different spikes: nothing to compare")
    pairs = alternate(lambda: runner.run(frames), lambda: reference.run(frames), runs)
    types = ", ".join(f"{choice.layer} {choice.type}" for choice in runner.choices)
    note = f"{_SETTING}, {torch.get_num_threads()} threads, same output spikes; {types}; {_processor()}"
    goal = "at least 3, and 1 where the processor has no VNNI"
    return Measure(pairs.times_faster, pairs.ours_s, pairs.theirs_s, runs, goal, note, _profile(runner, frames, runs))


def against_kernels(runs: int) -> Measure:
    """(c) The engine against nothing but its convolutions' kernels, on inputs laid out for them."""
    network, frames = backbone(), random_frames(1)
    runner, kernels = engine.compile(network), _bare_kernels(network, frames)

    def bare() -> None:
        with exact_arithmetic():
            for kernel in kernels:
                kernel()

    pairs = alternate(lambda: runner.run(frames), bare, runs)
    note = f"{_SETTING}; theirs: the convolutions alone, sums in float32, without thresholds, pooling and checks"
    return Measure(pairs.times_slower, pairs.ours_s, pairs.theirs_s, runs, "at most 1.35", note)


def over_many_frames(runs: int) -> Measure:
    """(f) The time of 100 frames against 100 times that of one; 10 frames are in the note."""
    runner = engine.compile(backbone())
    one, ten, hundred = (random_frames(count) for count in (1, 10, 100))
    runner.run(one)
    times = [
        tuple(
            _best_of(work, repeats)
            for work, repeats in (
                (lambda: runner.run(one), 10),
                (lambda: runner.run(ten), 1),
                (lambda: runner.run(hundred), 1),
            )
        )
        for _ in range(max(1, runs // 3))
    ]
    linear = statistics.median(hundred_s / (100 * one_s) for one_s, _, hundred_s in times)
    tenth = statistics.median(ten_s / (10 * one_s) for one_s, ten_s, _ in times)
    one_s, _, hundred_s = (statistics.median(column) for column in zip(*times, strict=True))
    note = f"{_SETTING}; ours: 100 frames, theirs: 100 times one frame; 10 frames: {tenth:.3f} of 10 times one"
    return Measure(linear, hundred_s, 100 * one_s, len(times), "0.95 to 1.05", note)


def peak_memory(runs: int) -> Measure:  # noqa: ARG001 (one run tells)
    """(g) Peak memory of a process that compiles the network and runs 100 frames, in GiB."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.diagnostics.bench.memory"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MonospikeError(f"bench g: the process that measures its memory failed: {done.stderr.strip()[-300:]}")
    result = json.loads(done.stdout)
    note = f"ratio: GiB, of which {result['before_gib']:.2f} with PyTorch loaded and the frames made; ours: 100 frames"
    return Measure(result["peak_gib"], result["seconds"], None, 1, "under 2 GiB", note)


def _bare_kernels(network: Network, frames: Mapping[str, IntArray]) -> list[Callable[[], object]]:
    recording = engine.compile(network, record=True).run(frames)
    values = {**frames, **recording.spikes}
    calls: list[Callable[[], object]] = []
    for layer in network.layers:
        source = layer.inputs[0]
        if not layer.name.startswith("conv"):
            continue
        sums = as_convolution(layer.synapse, network.shape(source), network.range(source))
        _, kernel = choose(layer.name, sums)
        laid_out = torch.from_numpy(values[source]).to(torch.uint8, memory_format=torch.channels_last)
        calls.append(lambda kernel=kernel, laid_out=laid_out: kernel(laid_out))  # type: ignore[misc]
    return calls


def _profile(runner: engine.Compiled, frames: Mapping[str, IntArray], runs: int) -> dict[str, float]:
    """Median seconds of each layer, and of the checks and copies before the first one within its own."""
    times: dict[str, list[float]] = {layer.name: [] for layer in runner.network.layers}
    for _ in range(runs):
        last = time.perf_counter()

        def watch(name: str) -> None:
            nonlocal last
            now = time.perf_counter()
            times[name].append(now - last)
            last = now

        runner.run(frames, watch)
    return {name: statistics.median(values) for name, values in times.items()}


def _best_of(work: Callable[[], object], repeats: int) -> float:
    return statistics.median(seconds(work) for _ in range(repeats))


def _processor() -> str:
    return f"processor with {torch.backends.cpu.get_cpu_capability()}"
