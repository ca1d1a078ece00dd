"""``monospike selfcheck``: drawn networks in the engine and in Lava, as many as a night holds, to be gone on with."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from netx import FormatError
from netx.files import write_whole
from netx.net_file import write_net
from pipeline.core.progress import Progress
from pipeline.diagnostics.resumable import Counted, read_state, write_state
from sim.random_networks import seeded
from sim.selfcheck import Difference, check

_NETWORKS_A_JOB = 100
_STATE = "state.json"
COUNTEREXAMPLE = "counterexample"
"""In the command's folder: a network that differs, its input, and where."""


@dataclass(frozen=True)
class State(Counted):
    """How far a check is, in networks drawn. values: compared. simulated: of the first, in Lava's runtime too."""

    compared: int = 0
    refused: int = 0
    values: int = 0
    simulated: int = 0


def selfcheck(networks: int, first: int, simulated: int, folder: Path, progress: Progress) -> State | Difference:
    """Compare networks ``first`` to ``first + networks - 1``, from where the state in ``folder`` says it stopped.

    The first ``simulated`` of them also run in Lava's own runtime, before the rest. Returns the first difference, with
    its network left in ``folder``, or the final state. Raises LavaError when Lava fails.
    """
    state = read_state(folder / _STATE, State(first))
    with progress.task("networks", networks) as task:
        if state.simulated < simulated:
            progress.say(f"{simulated} networks in Lava's runtime")
            outcome = check([seeded(first + i) for i in range(simulated)], simulated=True, timeout=60 + 20 * simulated)
            if outcome.first is not None:
                return _found(first + outcome.first[0], outcome.first[1], folder)
            state = replace(state, simulated=simulated)
            write_state(folder / _STATE, state)
        while state.done < networks:
            seeds = range(first + state.done, first + min(state.done + _NETWORKS_A_JOB, networks))
            outcome = check([seeded(seed) for seed in seeds], timeout=600)
            if outcome.first is not None:
                return _found(seeds[outcome.first[0]], outcome.first[1], folder)
            state = replace(
                state,
                done=state.done + len(seeds),
                compared=state.compared + outcome.compared,
                refused=state.refused + outcome.refused,
                values=state.values + outcome.values,
            )
            write_state(folder / _STATE, state)
            task.reach(state.done, f"{state.values} values identical")
    return state


def _found(seed: int, difference: Difference, folder: Path) -> Difference:
    """Leave the counterexample: input, difference, and the network as a file where one can hold it, else in words."""
    drawn = seeded(seed)
    with write_whole(folder / COUNTEREXAMPLE) as temporary:
        temporary.mkdir()
        np.savez_compressed(temporary / "input.npz", **drawn.frames)
        (temporary / "difference.txt").write_text(f"network {seed}: {difference}\n", encoding="utf-8")
        try:
            write_net(drawn.network, temporary / "network.net")
        except FormatError as error:
            with np.printoptions(threshold=sys.maxsize):
                (temporary / "network.txt").write_text(f"{error}\n{drawn.network}\n", encoding="utf-8")
    return difference
