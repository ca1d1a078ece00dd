"""The frames of every target through SLAYER, the exact engine, Lava and norse, and what comes of comparing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sim.lava
import sim.norse
from netx.bundle import load, parts
from netx.chain import glue
from netx.difference import first_difference
from pipeline.core.task import Target
from pipeline.deploy.config import SimulateConfig
from pipeline.deploy.verdict import Verdict, joined, spiking_layers
from sim import engine
from sim.compare import compare
from sim.lava import NetPart
from sim.lava.plan import message_bits
from sim.recording import Recording

ENGINES = ("slayer", "engine", "lava", "norse")
"""SLAYER is the reference that the others are compared with."""

Tick = Callable[[int], None]


def run_engine(targets: Mapping[str, Target]) -> dict[str, Recording]:
    """The exact engine on the frames of every target, by the target's name."""
    return {name: engine.run(target.network, target.frames) for name, target in targets.items()}


def run_norse(files: Mapping[str, Path], targets: Mapping[str, Target]) -> dict[str, Recording]:
    """norse on the exported ``.nir`` files, by target."""
    return {name: sim.norse.run(files[name], target.frames) for name, target in targets.items()}


def run_lava(
    files: Mapping[str, Path], targets: Mapping[str, Target], settings: SimulateConfig, tick: Tick
) -> dict[str, Recording]:
    """Lava's processes, made from the exported ``.net`` files by lava-dl's own loader, by target.

    That loader has no layers side by side and none up-sampled: a target with such wires between its chains is read back
    from the same files, and its processes are made from that.

    tick: called with the frames done, of all targets together. Raises LavaError and LavaTimeout as ``sim.lava.run``.
    """
    result, before = {}, 0
    for name, target in targets.items():

        def done(frames: int, _: int, before: int = before) -> None:
            tick(before + frames)

        how: Any = {"conv": settings.lava_convolution, "timeout": settings.lava_seconds, "progress": done}
        if glue(target.network):
            result[name] = sim.lava.run(load(files[name]), target.frames, **how)
        else:
            chain = [
                NetPart(part.file, part.layers, part.source, message_bits(target.network.range(part.source)))
                for part in parts(files[name])
            ]
            result[name] = sim.lava.run_net_files(chain, target.frames, **how)
        before += result[name].frames
    return result


def compare_engines(
    targets: Mapping[str, Target],
    recordings: Mapping[str, Mapping[str, Recording]],
    exports: Mapping[str, Mapping[str, Path]],
) -> Verdict:
    """Every spike and membrane voltage of every target, and every exported file.

    recordings: by engine, then by target. exports: by format, then by target. A file that holds another network than
    the target's counts as not identical even when these frames do not show it.
    """
    reference, *others = ENGINES
    comparisons = [
        compare(
            target.network, target.frames, recordings[reference][name], [recordings[other][name] for other in others]
        )
        for name, target in targets.items()
    ]
    differences = [
        f"{path}: {found}"
        for files in exports.values()
        for name, path in files.items()
        if (found := first_difference(targets[name].network, load(path)))
    ]
    stand_ins: dict[str, dict[str, None]] = {}
    for recording in (one for targets_of in recordings.values() for one in targets_of.values()):
        if recording.stand_ins:
            stand_ins.setdefault(recording.engine, {}).update(dict.fromkeys(recording.stand_ins))
    return Verdict(
        joined(comparisons),
        tuple(differences),
        {engine: tuple(layers) for engine, layers in stand_ins.items()},
        spiking_layers(target.network for target in targets.values()),
    )
