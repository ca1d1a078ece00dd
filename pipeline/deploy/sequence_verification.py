"""Every spike, membrane and read-out of a model at work on a sequence, compared between student, engine and Lava."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import sim.lava
from netx import Network
from netx.arrays import IntArray
from netx.errors import FormatError
from netx.files import write_whole
from netx.lowering import merged_groups
from netx.synapses import Conv2d, Correlation, Pool
from netx.text_files import read_json
from pipeline.core.task import Passage, SequenceRun
from pipeline.deploy.verdict import Verdict, comparison_of, comparison_values, joined, spiking_layers
from sim import engine
from sim.compare import Comparison, compare
from sim.lava import ConvModel
from sim.lava.plan import LARGEST
from sim.recording import Recording

_NEURONS_AT_ONCE = 1 << 25
"""Neurons times frames that one run of Lava records: about a gigabyte in its processes and ours."""
_MOST_FRAMES = 64


@dataclass(frozen=True)
class CheckSettings:
    """conv: who computes convolutions in Lava. seconds: time limit of one run of Lava. folder: where finished parts
    are kept until all are done. stamp: what else the results depend on, such as the checkpoint's digest."""

    conv: ConvModel
    seconds: float
    folder: Path
    stamp: str


@dataclass(frozen=True, eq=False)
class _Part:
    """One run of everything: a slice of a passage's frames."""

    passage: Passage
    slice: slice
    inputs: Mapping[str, IntArray]

    @property
    def frames(self) -> tuple[int, ...]:
        """Numbers in the sequence."""
        return self.passage.frames[self.slice]

    @property
    def name(self) -> str:
        return f"{self.passage.name}-from-{self.frames[0]}"


def check_sequence(run: SequenceRun, settings: CheckSettings, tick: Callable[[int], None]) -> Verdict:
    """The verdict on all passages of ``run``, with frames as the sequence numbers them.

    Parts that a stopped check has finished are read back. tick: called with the frames checked. Raises LavaError and
    LavaTimeout as ``sim.lava.run`` does.
    """
    comparisons, files, done = [], [], 0
    for part in _parts(run):
        key = _key(part, settings)
        path = settings.folder / f"{part.name}.json"
        comparison = _finished(path, key)
        if comparison is None:
            comparison = _compare(part, settings, tick, done)
            with write_whole(path) as temporary:
                values = {"key": key, "comparison": comparison_values(comparison)}
                temporary.write_text(json.dumps(values), encoding="utf-8")
        comparisons.append(comparison)
        files.append(path)
        done += len(part.frames)
        tick(done)
    for path in files:
        path.unlink()
    return Verdict(joined(comparisons), spiking=spiking_layers(passage.network for passage in run.passages))


def in_lava(network: Network, conv: ConvModel) -> str:
    """How Lava convolves, in words: whose model, and which layers have more groups than it takes."""
    merged = []
    for layer in network.layers:
        groups = _groups(network, layer.name)
        if groups > LARGEST[conv]:
            merged.append(f"{layer.name} ({groups} groups as {merged_groups(groups, LARGEST[conv])})")
    model = {
        "stock": "Lava's own convolution",
        "fast": "the drop-in convolution for Lava",
        "proven": "Lava's own convolution, and in wide layers a drop-in that this run holds against it",
    }[conv]
    return f"{model}; block-diagonal kernels in {', '.join(merged)}" if merged else model


def _groups(network: Network, name: str) -> int:
    layer = network.layer(name)
    synapse = layer.synapse
    if isinstance(synapse, Conv2d):
        return synapse.groups
    return network.shape(layer.inputs[0]).channel if isinstance(synapse, (Pool, Correlation)) else 1


def _parts(run: SequenceRun) -> Iterator[_Part]:
    """Every passage, so many frames at a time."""
    for passage in run.passages:
        size = _frames_at_once(passage.network)
        for first in range(0, len(passage.frames), size):
            now = slice(first, first + size)
            yield _Part(passage, now, passage.inputs(now))


def _frames_at_once(network: Network) -> int:
    neurons = sum(network.shape(layer.name).size for layer in network.layers)
    return min(max(1, _NEURONS_AT_ONCE // neurons), _MOST_FRAMES)


def _compare(part: _Part, settings: CheckSettings, tick: Callable[[int], None], before: int) -> Comparison:
    network = part.passage.network
    in_lava = sim.lava.run(
        network,
        part.inputs,
        conv=settings.conv,
        timeout=settings.seconds,
        progress=lambda done, _: tick(before + done),
    )
    reference, *others = part.passage.references(part.slice)
    result = compare(network, part.inputs, reference, [*others, _on_the_engine(part), in_lava])
    first = result.first_divergence
    return result if first is None else replace(result, first_divergence=replace(first, frame=part.frames[first.frame]))


def _on_the_engine(part: _Part) -> Recording:
    """All layers as the engine records them, the outputs from the runner that the task itself uses."""
    all_layers = engine.run(part.passage.network, part.inputs)
    outputs = engine.compile(part.passage.network).run(part.inputs)
    return Recording(
        all_layers.engine, {**all_layers.spikes, **outputs.spikes}, {**all_layers.membranes, **outputs.membranes}
    )


def _key(part: _Part, settings: CheckSettings) -> str:
    digest = hashlib.sha256(f"{settings.stamp} {settings.conv} {part.name} {part.frames}".encode())
    for array in (*part.inputs.values(), *_weights(part.passage.network)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _weights(network: Network) -> list[IntArray]:
    return [layer.synapse.weight for layer in network.layers if isinstance(layer.synapse, Conv2d)]


def _finished(path: Path, key: str) -> Comparison | None:
    """What a check which was stopped has left of the same part; None where that is damaged."""
    try:
        stored = read_json(path)
        return comparison_of(stored["comparison"]) if stored["key"] == key else None
    except (FormatError, KeyError, TypeError, ValueError, AttributeError):
        return None
