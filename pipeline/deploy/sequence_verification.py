"""Every spike, membrane and read-out of a whole tracker on a sequence, compared between student, engine and Lava."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import sim.lava
from netx import Network
from netx.arrays import IntArray
from netx.files import write_whole
from netx.lowering import merged_groups
from netx.synapses import Conv2d, Correlation, Pool
from pipeline.deploy.verification import divergence_values, layer_values
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.recorded_crops import TargetCrops
from pipeline.tasks.tracking.slayer_recording import Answers, answer_searches, answer_template, recording, slayer_twin
from sim import engine, fused
from sim.compare import compare
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
    """One run of everything. name: of its file. frames: numbers in the sequence. student: the tensors of SLAYER's and
    of the plain student, by name, as recorded."""

    name: str
    network: Network
    inputs: dict[str, IntArray]
    frames: tuple[int, ...]
    students: tuple[Recording, ...]


def check_sequence(
    student: SpikingSiamFCpp, targets: Sequence[TargetCrops], settings: CheckSettings, tick: Callable[[int], None]
) -> dict[str, Any]:
    """The verdict on all targets, as JSON values in the form of ``pipeline.deploy.verification.judge``.

    For each target the template branch is run, and the search network programmed with the spikes that came of it. Parts
    that a stopped check has finished are read back. tick: called with the frames checked. Raises LavaError and
    LavaTimeout as ``sim.lava.run`` does.
    """
    verdicts, files, done = [], [], 0
    for part in _parts(student.eval(), targets):
        key = _key(part, settings)
        path = settings.folder / f"{part.name}.json"
        verdict = _finished(path, key)
        if verdict is None:
            verdict = _verdict(part, settings, partial(_from, tick, done))
            with write_whole(path) as temporary:
                temporary.write_text(json.dumps({"key": key, "verdict": verdict}), encoding="utf-8")
        verdicts.append(verdict)
        files.append(path)
        done += len(part.frames)
        tick(done)
    for path in files:
        path.unlink()
    return _together(verdicts)


def _from(tick: Callable[[int], None], before: int, done: int) -> None:
    tick(before + done)


def in_lava(network: Network, conv: ConvModel) -> str:
    """How Lava convolves, in words: whose model, and which layers have more groups than it takes."""
    merged = []
    for layer in network.layers:
        groups = _groups(network, layer.name)
        if groups > LARGEST[conv]:
            merged.append(f"{layer.name} ({groups} groups as {merged_groups(groups, LARGEST[conv])})")
    model = "Lava's own convolution" if conv == "stock" else "the drop-in convolution for Lava"
    return f"{model}; block-diagonal kernels in {', '.join(merged)}" if merged else model


def _groups(network: Network, name: str) -> int:
    layer = network.layer(name)
    synapse = layer.synapse
    if isinstance(synapse, Conv2d):
        return synapse.groups
    return network.shape(layer.inputs[0]).channel if isinstance(synapse, (Pool, Correlation)) else 1


def _parts(student: SpikingSiamFCpp, targets: Sequence[TargetCrops]) -> Iterator[_Part]:
    """The template branch of each target, and its search network on so many frames at a time."""
    network, twin = to_network(student), slayer_twin(student)
    chip = student.config.head == "chip"
    templates = network.template_network() if chip else network.subnetwork(["template_conv5"])
    for number, target in enumerate(targets):
        answers = [answer_template(form, target.template) for form in (twin, student)]
        yield _part(f"target-{number}-template", templates, answers, (target.taken,))
        searches = network.subnetwork(["search_conv5"])
        if chip:
            # What the engine's template network sends is what the tracker programs; the part before compares it.
            spikes = engine.run(templates, {"template": answers[0].chip_input}).spikes
            searches = network.programmed({name: spikes[name][0] for name in templates.outputs})
        size = _frames_at_once(searches)
        for first in range(0, len(target.frames), size):
            now = slice(first, first + size)
            seen = [
                answer_searches(form, given.tensors, target.searches[now])
                for form, given in zip((twin, student), answers, strict=True)
            ]
            yield _part(f"target-{number}-from-{target.frames[first]}", searches, seen, target.frames[now])


def _part(name: str, network: Network, answers: Sequence[Answers], frames: tuple[int, ...]) -> _Part:
    inputs = {network.inputs[0].name: answers[0].chip_input}
    students = tuple(
        recording(label, network, answer) for label, answer in zip(("slayer", "plain"), answers, strict=True)
    )
    return _Part(name, network, inputs, frames, students)


def _frames_at_once(network: Network) -> int:
    neurons = sum(network.shape(layer.name).size for layer in network.layers)
    return min(max(1, _NEURONS_AT_ONCE // neurons), _MOST_FRAMES)


def _verdict(part: _Part, settings: CheckSettings, tick: Callable[[int], None]) -> dict[str, Any]:
    in_lava = sim.lava.run(
        part.network,
        part.inputs,
        conv=settings.conv,
        timeout=settings.seconds,
        progress=lambda done, _: tick(done),
    )
    slayer, plain = part.students
    result = compare(part.network, part.inputs, slayer, [plain, _on_the_engine(part), in_lava])
    first = result.first_divergence
    if first is not None:
        first = replace(first, frame=part.frames[first.frame])
    return {
        "frames": result.frames,
        "engines": list(result.engines),
        "layers": [layer_values(layer) for layer in result.layers],
        "first_divergence": None if first is None else divergence_values(first),
    }


def _on_the_engine(part: _Part) -> Recording:
    """All layers as the engine records them, the outputs from the runner that the tracker itself uses."""
    all_layers = engine.run(part.network, part.inputs)
    outputs = fused.compile(part.network).run(part.inputs)
    return Recording(
        all_layers.engine, {**all_layers.spikes, **outputs.spikes}, {**all_layers.membranes, **outputs.membranes}
    )


def _key(part: _Part, settings: CheckSettings) -> str:
    digest = hashlib.sha256(f"{settings.stamp} {settings.conv} {part.name} {part.frames}".encode())
    for array in (*part.inputs.values(), *(_weights(part.network))):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _weights(network: Network) -> list[IntArray]:
    return [layer.synapse.weight for layer in network.layers if isinstance(layer.synapse, Conv2d)]


def _finished(path: Path, key: str) -> dict[str, Any] | None:
    """The verdict that a check which was stopped has left, if it is of the same part."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stored["verdict"] if isinstance(stored, dict) and stored.get("key") == key else None


def _together(verdicts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The verdicts of all parts as one."""
    layers: dict[str, dict[str, Any]] = {}
    for layer in (layer for verdict in verdicts for layer in verdict["layers"]):
        if (known := layers.get(layer["name"])) is None:
            layers[layer["name"]] = copy.deepcopy(layer)
            continue
        for count in ("spikes", "values", "differing"):
            known[count] += layer[count]
        for name, differing in layer["differing_by_engine"].items():
            known["differing_by_engine"][name] += differing
    first = next((verdict["first_divergence"] for verdict in verdicts if verdict["first_divergence"]), None)
    return {
        "identical": first is None,
        "frames": sum(verdict["frames"] for verdict in verdicts),
        "engines": verdicts[0]["engines"],
        "layers": list(layers.values()),
        "first_divergence": first,
        "file_differences": [],
    }
