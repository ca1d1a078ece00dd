"""``monospike simulate``: a network's file and an input's file in, a recording out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import Network
from netx.foreign import shown
from pipeline.core.progress import Progress
from sim import engine
from sim.kernels import ExactType
from sim.recording import Recording

_VALUES_A_PART = 1 << 25
"""Neurons times frames that are run at a time: some hundred MiB, and a second or so between two looks at Ctrl-C."""


@dataclass(frozen=True)
class Simulated:
    """What was run. frames: how many there were to run; fewer are recorded when it was interrupted."""

    network: Network
    recording: Recording | None
    frames: int

    @property
    def done(self) -> int:
        """Frames that were run."""
        return 0 if self.recording is None else self.recording.frames


@dataclass(frozen=True)
class Mode:
    """How to run. strict: refuse what only a simulator lets pass. types, device: as ``sim.engine.compile`` says."""

    strict: bool = False
    types: ExactType | None = None
    device: str = "cpu"


def simulate(network: Network, frames: Mapping[str, npt.ArrayLike], how: Mode, progress: Progress) -> Simulated:
    """Run the engine, part by part, until the frames are done or the user interrupts it.

    Raises NetworkError when the frames do not fit or, where ``strict``, the chip's ranges are left.
    """
    total = max((len(np.asarray(array)) for array in frames.values()), default=0)
    neurons = sum(network.shape(layer.name).size for layer in network.layers)
    parts: list[Recording] = []
    with progress.task("frames", total) as task:
        try:
            size = max(_VALUES_A_PART // neurons, 1)
            for part in engine.run_in_parts(
                network, frames, size, strict=how.strict, types=how.types, device=how.device
            ):
                parts.append(part)
                task.reach(sum(part.frames for part in parts))
        except KeyboardInterrupt:
            progress.say(f"interrupted after {sum(part.frames for part in parts)} of {total} frames")
    return Simulated(network, Recording.joined(parts) if parts else None, total)


def sums(network: Network, how: Mode) -> list[str]:
    """What the sums of every layer are computed in, and why, a line each."""
    chosen = () if how.strict else engine.choices(network, types=how.types, device=how.device)
    if not chosen:
        return ["sums in float32, or float64 where what arrives may need it: the network is run step by step"]
    return [f"{one.layer:16} sums in {one.type}, at most {one.bound}: {one.reason}" for one in chosen]


def summary(simulated: Simulated) -> list[str]:
    """Spikes, messages or read-outs of every layer, a line each."""
    if simulated.recording is None:
        return []
    lines = []
    for name, membrane in simulated.recording.membranes.items():
        shape = simulated.network.shape(name)
        if name in simulated.recording.spikes:
            spikes = simulated.recording.spikes[name]
            said = f"{int(spikes.sum())} spikes, {spikes.mean():.2%} of neurons and frames"
        elif name in simulated.recording.messages:
            said = f"{np.count_nonzero(simulated.recording.messages[name])} messages"
        else:
            said = f"read-out {membrane.min()}..{membrane.max()}"
        lines.append(f"{shown(name, longest=40):16} {shape!s:>14}  {said}")
    return lines
