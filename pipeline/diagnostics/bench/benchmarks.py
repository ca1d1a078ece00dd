"""All measurements, by letter or name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.diagnostics.bench.engine import against_float32, against_kernels, over_many_frames, peak_memory
from pipeline.diagnostics.bench.evaluation import two_jobs
from pipeline.diagnostics.bench.lava import against_lava, convolution_against_lava, proven_against_stock
from pipeline.diagnostics.bench.measure import Measure
from pipeline.diagnostics.bench.pilotnet import pilotnet_against_lava
from pipeline.diagnostics.bench.remembering import (
    against_peer,
    convolutions,
    dense,
    recording_costs,
    recurrent,
    spike_rates,
)
from pipeline.diagnostics.bench.search import two_workers
from pipeline.diagnostics.bench.tracker import alexnet_tracker, small_tracker
from pipeline.diagnostics.bench.training import slayer_against_plain


@dataclass(frozen=True)
class Benchmark:
    """title: in words. measure: what runs it, given the number of runs."""

    title: str
    measure: Callable[[int], Measure]


BENCHMARKS = {
    "a": Benchmark("engine against float32 PyTorch, times faster", against_float32),
    "b": Benchmark("engine against stock Lava, times faster", against_lava),
    "c": Benchmark("engine against its bare kernels, times slower", against_kernels),
    "d": Benchmark("PilotNet-LIF, 16 steps, against stock Lava, times faster", pilotnet_against_lava),
    "e": Benchmark("fast convolution against Lava's own, times faster", convolution_against_lava),
    "f": Benchmark("100 frames against 100 times one frame", over_many_frames),
    "g": Benchmark("peak memory in GiB", peak_memory),
    "h": Benchmark("tracker step, integer S4-AlexNet against its float teacher, times faster", alexnet_tracker),
    "i": Benchmark("the same at the width small", small_tracker),
    "j": Benchmark("search in two jobs against one, times faster", two_workers),
    "evaluate_jobs": Benchmark("evaluate in two jobs against one, times faster", two_jobs),
    "k": Benchmark("training in SLAYER's blocks against the plain ones, times slower", slayer_against_plain),
    "lava_proven": Benchmark(
        "Lava with wide convolutions proven and replaced against stock Lava, times faster", proven_against_stock
    ),
    "conv_snntorch": Benchmark(
        "spiking convolutions over 32 steps, all recorded, against snnTorch, times faster",
        against_peer(convolutions, "snntorch", "at least 10"),
    ),
    "conv_norse": Benchmark("the same against norse", against_peer(convolutions, "norse", "at least 7")),
    "conv_outputs_snntorch": Benchmark(
        "the same with outputs alone recorded, against snnTorch",
        against_peer(convolutions, "snntorch", "at least 15", recorded=False),
    ),
    "dense_snntorch": Benchmark(
        "dense spiking layers over 100 steps against snnTorch, times faster",
        against_peer(dense, "snntorch", "at least 50"),
    ),
    "recurrent_snntorch": Benchmark(
        "a recurrent spiking layer over 100 steps against snnTorch, times faster",
        against_peer(recurrent, "snntorch", "at least 25"),
    ),
    "recording": Benchmark("recording everything against recording outputs, times slower", recording_costs),
    "spike_rates": Benchmark("the share of active inputs up to which events are faster", spike_rates),
}
