"""``monospike verify NETWORK --input FRAMES``: any network in Lava's stock processes, every variable compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx import Network
from netx.types import Shape
from pipeline.core.progress import Progress
from pipeline.model_zoo.networks import read_network
from sim import engine
from sim.frame_files import read_input
from sim.lava import LavaError
from sim.programming import programmed
from sim.random_networks import Drawn
from sim.selfcheck import check

SECONDS = 1800.0
"""Time limit of Lava's run where the user names none."""


def identical_in_lava(
    path: Path, source: Path, progress: Progress, *, seconds: float = SECONDS, input_shape: Shape | None = None
) -> bool:
    """Whether the network ``path`` does in Lava's runtime what the exact engine says, on the frames in ``source``.

    Compared are every activation, current, voltage, spike and message at every step. input_shape: of a ``.net`` file
    that does not say it. Raises FormatError and NetworkError for what does not fit, or for what Lava's stock processes
    cannot run, and LavaError.
    """
    network = read_network(path, input_shape=input_shape)
    network, frames = programmed(network, read_input(source, network, None, lava_order=False))
    recording = engine.run(network, frames)  # which also says why, where a sum leaves 32 bits
    count = recording.frames
    progress.say(f"{path}: {count} frames in the exact engine and in Lava's stock processes")
    outcome = check([Drawn(network, _until_all_have_answered(network, frames))], simulated=True, timeout=seconds)
    if outcome.refused:
        raise LavaError(f"{path}: a sum leaves 32 bits before the first frame has come or after the last one has gone")
    if outcome.first is not None:
        progress.say(f"NOT identical: {outcome.first[1]}")
        return False
    for name, spikes in recording.spikes.items():
        progress.say(f"{name:16} {np.count_nonzero(spikes):,} spikes of {spikes.size:,} neurons and frames")
    for name, why in recording.unvaried().items():
        progress.say(f"{name}: {why}: that its spikes agree means nothing")
    progress.say(
        f"identical in engine, lava: {len(recording.membranes)} layers, {count} frames, {outcome.values:,} values"
    )
    return True


def _until_all_have_answered(network: Network, frames: Mapping[str, npt.NDArray]) -> dict[str, npt.NDArray[np.int32]]:
    """The frames, and as many empty ones as the network is deep: Lava answers a step later for every synapse."""
    last = max(network.depth(name) for name in network.outputs)
    longer = {}
    for source in network.inputs:
        empty = np.clip(0, source.range.low, source.range.high)
        longer[source.name] = np.pad(frames[source.name], ((0, last), *((0, 0),) * 3), constant_values=empty)
    return {name: values.astype(np.int32) for name, values in longer.items()}
