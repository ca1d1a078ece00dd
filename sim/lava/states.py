"""Every variable of Lava's stock processes at every step: what sim.engine's ``trace`` is measured against.

Lava itself runs in another process (sim.lava.stepper) under a supervisor; this file does not import it. Steps are
Lava's own: a layer answers as many steps late as synapses lie on its way (``trace`` with ``pipelined``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy.typing as npt

from netx import Network
from sim.frames import checked_frames
from sim.lava import Progress, Work, run_worker
from sim.lava.blocks import LayerStates, block_job, read_states, write_jobs

Case = tuple[Network, Mapping[str, npt.ArrayLike]]
"""A network and the frames of its inputs, shape (frame, channel, height, width)."""


def states(
    cases: Sequence[Case], *, simulated: bool = False, timeout: float = 300, progress: Progress | None = None
) -> list[dict[str, LayerStates]]:
    """What every layer of every network does in Lava, for as many steps as there are frames.

    simulated: in Lava's runtime, which takes seconds for each network; else the stock process models are called one
    after the other in one process, thousands of steps a second. timeout: seconds for all of it. progress: called with
    the networks done and their number. Raises NetworkError when frames do not fit or Lava has no such process,
    LavaError when Lava fails, and LavaTimeout.
    """
    jobs = [block_job(network, checked_frames(network, frames)) for network, frames in cases]
    return run_worker(
        "sim.lava.stepper",
        lambda folder: write_jobs(folder, jobs, simulated),
        lambda folder: read_states(folder, len(jobs)),
        Work(len(jobs), timeout, progress, unit="networks"),
    )
