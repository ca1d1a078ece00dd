"""Networks that remember, against what users would pick instead: snnTorch and norse, in a Python of their own.

The same weights and frames go to both by a file, and both run in turn. Their neurons are of floats, ours lose parts of
a weight unit as the chip does, so that spikes need not agree; the note says how far they do.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from netx import LIF, Conv2d, Dense, Input, Layer, MonospikeError, Network, Recurrent, Shape
from pipeline.diagnostics.bench.measure import Measure, alternate, seconds
from sim import engine
from sim.kernels import as_convolution, choose, exact_arithmetic

PEERS_PYTHON = "PEERS_PYTHON"
"""The environment variable that names a Python with snnTorch and norse; else it is that of ``make peers``."""
_MADE_BY_US = Path(".venv-peers", "bin", "python")
_SCRIPT = Path(__file__).with_name("peer.py")
_KEPT = 3584
"""Of 4096: an eighth of the voltage is lost at each step."""
_RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

Peer: TypeAlias = Literal["snntorch", "norse"]


@dataclass(frozen=True)
class Workload:
    """What is run. title: in words."""

    title: str
    network: Network
    frames: Mapping[str, npt.NDArray[np.uint8]]


def convolutions() -> Workload:
    """Three convolutions of LIF neurons, 32 steps."""
    random = np.random.default_rng(0)
    sizes = ((2, 32, 2, 35), (32, 64, 1, 218), (64, 64, 2, 274))
    layers, source = [], "events"
    for place, (into, out, stride, threshold) in enumerate(sizes):
        conv = Conv2d(_weights(random, out, into, 3, 3), stride=(stride, stride), padding=(1, 1))
        layers.append(Layer(f"conv{place + 1}", (source,), conv, _lif(threshold)))
        source = layers[-1].name
    title = "3 convolutions (2-32-64-64 channels, 3x3, strides 2, 1, 2) of LIF neurons on 64x64, 32 steps"
    return _work(title, Shape(2, 64, 64), layers, 32, 0.07)


def dense() -> Workload:
    """Three dense layers of LIF neurons, 100 steps."""
    random = np.random.default_rng(0)
    layers, source = [], "events"
    for place, (into, out, threshold) in enumerate(((784, 1024, 308), (1024, 1024, 357), (1024, 10, 389))):
        layers.append(Layer(f"dense{place + 1}", (source,), Dense(_weights(random, out, into)), _lif(threshold)))
        source = layers[-1].name
    return _work("784-1024-1024-10 dense, LIF neurons, 100 steps", Shape(784, 1, 1), layers, 100, 0.025)


def recurrent() -> Workload:
    """A recurrent layer of LIF neurons, 100 steps."""
    random = np.random.default_rng(0)
    synapse = Recurrent(Dense(_weights(random, 1024, 784)), Dense(_weights(random, 1024, 1024)))
    layers = [Layer("recurrent", ("events",), synapse, _lif(454))]
    return _work(
        "784-1024 recurrent dense (1024x1024 fed back), LIF neurons, 100 steps", Shape(784, 1, 1), layers, 100, 0.025
    )


def against_peer(
    make: Callable[[], Workload], peer: Peer, goal: str, recorded: bool = True
) -> Callable[[int], Measure]:
    """A measurement of ``engine.run``, or of the outputs alone, against ``peer``."""

    def measure(runs: int) -> Measure:
        work = make()
        compiled = engine.compile(work.network, batch=_together(work))
        ours = (lambda: engine.run(work.network, work.frames)) if recorded else lambda: compiled.run(work.frames)
        recording = engine.run(work.network, work.frames)
        with _running(work, peer) as ask:
            theirs = [np.array(counts) for counts in json.loads(ask("spikes"))]
            pairs = [(seconds(ours), float(ask("run"))) for _ in range(runs + 1)][1:]
        rates = ", ".join(f"{spikes.mean():.1%}" for spikes in recording.spikes.values())
        counts = zip(recording.spikes.values(), theirs, strict=True)
        agree = np.mean([(spikes.sum(axis=(1, 2, 3)) == count).mean() for spikes, count in counts])
        note = (
            f"{work.title}; {rates} of neurons spike; ours: {'everything' if recorded else 'only outputs'} recorded; "
            f"theirs: {peer} on {torch.get_num_threads()} threads, spikes recorded; in {agree:.0%} of layers and steps "
            f"both count as many spikes; {_types(work.network)}"
        )
        ratios = [theirs_s / ours_s for ours_s, theirs_s in pairs]
        ours_s, theirs_s = (float(np.median(column)) for column in zip(*pairs, strict=True))
        return Measure(float(np.median(ratios)), ours_s, theirs_s, runs, goal, note)

    return measure


def recording_costs(runs: int) -> Measure:
    """Everything recorded against nothing but outputs."""
    work = convolutions()
    outputs, everything = (
        engine.compile(work.network, record=record, batch=_together(work)) for record in (False, True)
    )
    pairs = alternate(lambda: everything.run(work.frames), lambda: outputs.run(work.frames), runs)
    note = f"{work.title}; ours: every spike and membrane voltage recorded, theirs: the spikes of the last layer"
    return Measure(pairs.times_slower, pairs.ours_s, pairs.theirs_s, runs, "at most 1.2", note)


def spike_rates(runs: int) -> Measure:
    """Events against the fastest kernel that multiplies everything, by the share of inputs that spike."""
    network = convolutions().network
    rates: dict[str, float] = {}
    layer, shape = network.layer("conv2"), network.shape("conv1")
    sums = as_convolution(layer.synapse, shape, network.range("conv1"), batch=16)
    _, events = choose("conv2", sums, forced="events")
    choice, multiplied = choose("conv2", sums, forced=choose("conv2", sums)[0].type)
    random, crossing, last = np.random.default_rng(0), 0.0, 0.0
    for rate in _RATES:
        spikes = (random.random((16, shape.height, shape.width, shape.channel)) < rate).astype(np.uint8)
        values = torch.from_numpy(spikes).permute(0, 3, 1, 2)
        with exact_arithmetic():
            pairs = alternate(lambda: events(values), lambda: multiplied(values), runs)  # noqa: B023
        rates |= {f"events at {rate:.1%}": pairs.ours_s, f"{choice.type} at {rate:.1%}": pairs.theirs_s}
        lead = pairs.theirs_s - pairs.ours_s
        if lead > 0:
            crossing = rate
        elif last > 0:
            crossing += (rate - crossing) * last / (last - lead)
        last = lead
    note = f"sums of 16 frames, 3x3, 32 to 64 channels at 32x32, events against {choice.type}; ratio: where they cross"
    return Measure(crossing, rates["events at 1.0%"], rates[f"{choice.type} at 1.0%"], runs, "a curve", note, rates)


def _weights(random: np.random.Generator, *shape: int) -> npt.NDArray[np.int32]:
    return (np.rint(random.normal(0, 12, shape)).clip(-128, 127) * 2).astype(np.int32)


def _lif(threshold: int) -> LIF:
    return LIF(threshold, voltage_decay=4096 - _KEPT)


def _work(title: str, shape: Shape, layers: list[Layer], steps: int, rate: float) -> Workload:
    network = Network((Input("events", shape),), tuple(layers), (layers[-1].name,))
    frames = (np.random.default_rng(1).random((steps, *shape), np.float32) < rate).astype(np.uint8)
    return Workload(title, network, {"events": frames})


def _together(work: Workload) -> int:
    return min(len(work.frames["events"]), engine.frames_together(work.network))


def _types(network: Network) -> str:
    return ", ".join(f"{choice.layer} {choice.type}" for choice in engine.choices(network))


@contextmanager
def _running(work: Workload, peer: Peer) -> Iterator[Callable[[str], str]]:
    """The peer's process with the same weights and frames: what is asked of it is a line, and so is its answer."""
    python = os.environ.get(PEERS_PYTHON) or str(_MADE_BY_US)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "work.npz")
        np.savez(path, **_arrays(work))
        try:
            process = subprocess.Popen(
                [python, str(_SCRIPT), str(path), peer, str(torch.get_num_threads())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except OSError:
            raise MonospikeError(
                f"skipped: {python} does not run; `make peers` makes one that it needs, or let {PEERS_PYTHON} name it"
            ) from None
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                if process.stdout.readline().strip() != "ready":
                    last = (process.stderr.read().strip() or "it said nothing").splitlines()[-1]
                    raise MonospikeError(f"skipped: {python} has no {peer}: {last}")

                def ask(what: str) -> str:
                    process.stdin.write(what + "\n")  # type: ignore[union-attr]
                    process.stdin.flush()  # type: ignore[union-attr]
                    return process.stdout.readline()  # type: ignore[union-attr]

                yield ask
            finally:
                process.kill()


def _arrays(work: Workload) -> dict[str, npt.NDArray]:
    """As ``peer.py`` wants them."""
    arrays: dict[str, npt.NDArray] = {"frames": work.frames["events"]}
    for place, layer in enumerate(work.network.layers):
        synapse, neuron = layer.synapse, layer.neuron
        assert isinstance(neuron, LIF)
        forward = synapse.forward if isinstance(synapse, Recurrent) else synapse
        assert isinstance(forward, (Conv2d, Dense))
        stride, padding = (forward.stride[0], forward.padding[0]) if isinstance(forward, Conv2d) else (1, 0)
        values = {"weight": forward.weight, "stride": stride, "padding": padding, "threshold": neuron.threshold}
        values["keep"] = (4096 - neuron.voltage_decay) / 4096
        if isinstance(synapse, Recurrent):
            values["feedback"] = synapse.feedback.weight
        arrays |= {f"{name}_{place}": np.asarray(value) for name, value in values.items()}
    return arrays
