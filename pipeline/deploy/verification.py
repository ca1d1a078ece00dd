"""The same frames through SLAYER, the exact engine, Lava and norse, and what comes of comparing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import sim.lava
import sim.norse
from netx import Network, Shape
from netx.bundle import load, parts
from netx.difference import first_difference
from netx.types import Range
from pipeline.datasets.clip import Clip
from pipeline.deploy.config import SimulateConfig
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.predictor import Geometry, search_pixels, template_pixels
from sim import engine
from sim.compare import Divergence, LayerComparison, compare
from sim.lava import NetPart
from sim.lava.plan import message_bits
from sim.recording import Recording

ENGINES = ("slayer", "engine", "lava", "norse")
"""SLAYER is the reference that the others are compared with."""

BRANCHES = ("template", "search")
"""The two networks that make a tracker: the one that turns a template into spikes, and the one they program."""

Pixels = npt.NDArray[np.int8]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Target:
    """One target's tracker as two feed-forward networks, with the frames to run them on.

    networks, frames: by branch; frames are integers (frame, 3, side, side). real_frames: how many of the search
    frames come first and show a sequence; after them come one of zeros, one of ones and a random one.
    """

    networks: Mapping[str, Network]
    frames: Mapping[str, Pixels]
    real_frames: int


def make_target(
    network: Network, sequence: Clip, frames: int, geometry: Geometry, tracker: TrackerConfig, seed: int
) -> Target:
    """The tracker of the target that a sequence's first box marks, and ``frames`` search frames of the sequence.

    Each search crop lies around the true box of the frame before.
    """
    template = template_pixels(sequence.frames[0], sequence.boxes[0], geometry, tracker)
    real = [
        search_pixels(frame, box, geometry, tracker)
        for frame, box in zip(sequence.frames[1 : frames + 1], sequence.boxes, strict=False)
    ]
    inputs = {"template": template, "search": np.concatenate(real)}
    random = np.random.default_rng(seed)
    probed = {
        name: np.concatenate([pixels, _probes(network.shape(name), network.range(name), random)])
        for name, pixels in inputs.items()
    }
    templates = network.template_network()
    spikes = engine.run(templates, {"template": template}).spikes
    programmed = network.programmed({name: spikes[name][0] for name in templates.outputs})
    return Target({"template": templates, "search": programmed}, probed, len(real))


def _probes(shape: Shape, values: Range, random: np.random.Generator) -> Pixels:
    """A frame of zeros, a frame of ones and a random frame."""
    zeros, ones = np.zeros((1, *shape), np.int8), np.ones((1, *shape), np.int8)
    return np.concatenate([zeros, ones, random.integers(values.low, values.high + 1, (1, *shape), np.int8)])


def run_engine(target: Target) -> dict[str, Recording]:
    """The exact engine on the target's frames, by branch."""
    return {name: engine.run(network, {name: target.frames[name]}) for name, network in target.networks.items()}


def run_norse(files: Mapping[str, Path], target: Target) -> dict[str, Recording]:
    """norse on the exported ``.nir`` files, by branch."""
    return {name: sim.norse.run(path, {name: target.frames[name]}) for name, path in files.items()}


def run_lava(
    files: Mapping[str, Path], target: Target, settings: SimulateConfig, progress: Progress
) -> dict[str, Recording]:
    """Lava's processes, made from the exported ``.net`` files by lava-dl's own loader, by branch."""
    result = {}
    for name, path in files.items():
        network = target.networks[name]
        chain = [
            NetPart(part.file, part.layers, part.source, message_bits(network.range(part.source)))
            for part in parts(path)
        ]
        result[name] = sim.lava.run_net_files(
            chain,
            {name: target.frames[name]},
            conv=settings.lava_convolution,
            timeout=settings.lava_seconds,
            progress=progress if name == "search" else None,
        )
    return result


def judge(
    target: Target,
    recordings: Mapping[str, Mapping[str, Recording]],
    exports: Mapping[str, Mapping[str, Path]],
) -> dict[str, Any]:
    """The verdict as JSON values: the report's ``verification``, and ``file_differences``.

    recordings: by engine, then by branch. exports: by format, then by branch. ``file_differences`` says where a file
    holds another network than the target's, which counts as not identical even when these frames do not show it.
    """
    reference, *others = ENGINES
    comparisons = [
        compare(
            network,
            {name: target.frames[name]},
            recordings[reference][name],
            [recordings[other][name] for other in others],
        )
        for name, network in target.networks.items()
    ]
    differences = [
        f"{path}: {found}"
        for files in exports.values()
        for name, path in files.items()
        if (found := first_difference(target.networks[name], load(path)))
    ]
    first = next((c.first_divergence for c in comparisons if c.first_divergence), None)
    return {
        "identical": first is None and not differences,
        "frames": sum(comparison.frames for comparison in comparisons),
        "engines": list(comparisons[0].engines),
        "layers": [layer_values(layer) for comparison in comparisons for layer in comparison.layers],
        "first_divergence": None if first is None else divergence_values(first),
        "file_differences": differences,
    }


def in_words(verdict: Mapping[str, Any]) -> str:
    """The verdict of ``judge`` for the user: one line when all is identical, else where and why it is not."""
    layers, engines = verdict["layers"], ", ".join(verdict["engines"])
    compared = f"{len(layers)} layers, {verdict['frames']} frames, {sum(layer['values'] for layer in layers):,} neurons"
    if verdict["identical"]:
        return f"identical in {engines}: {compared}, {sum(layer['spikes'] for layer in layers):,} spikes"
    lines = [f"NOT identical in {engines}: {compared}", *verdict["file_differences"]]
    if first := verdict["first_divergence"]:
        at = ", ".join(f"{axis} {first['neuron'][axis]}" for axis in ("channel", "row", "column"))
        values = ", ".join(f"{engine} {value}" for engine, value in first["values"].items())
        lines += [
            f"first in layer {first['layer']!r}, neuron ({at}), frame {first['frame']}",
            f"membrane voltages: {values}",
            f"likely cause: {first['cause']}",
        ]
    else:
        lines.append("no neuron shows it on these frames")
    return "\n".join(lines)


def layer_values(layer: LayerComparison) -> dict[str, Any]:
    """A layer of the verdict as JSON values."""
    return {
        "name": layer.name,
        "spikes": layer.spikes,
        "values": layer.compared,
        "differing": layer.differing,
        "differing_by_engine": dict(layer.differing_by_engine),
    }


def divergence_values(first: Divergence) -> dict[str, Any]:
    """The verdict's first divergence as JSON values."""
    return {
        "layer": first.layer,
        "neuron": dict(zip(("channel", "row", "column"), first.neuron, strict=True)),
        "frame": first.frame,
        "values": dict(first.membranes),
        "cause": first.cause,
    }
