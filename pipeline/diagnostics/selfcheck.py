"""``monospike selfcheck``: drawn networks in the engine and in Lava, as many as a night holds, to be gone on with."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from netx import FormatError, MonospikeError
from netx.files import write_whole
from netx.net_file import write_net
from netx.npz import npz_bytes
from pipeline.core.progress import Progress
from pipeline.core.workers import HERE, Workers, call_all, one_thread
from pipeline.diagnostics.resumable import Counted, read_state, write_state
from sim.random_networks import seeded
from sim.selfcheck import Difference, Outcome, check

_NETWORKS_A_JOB, _SIMULATED_A_JOB = 100, 10
_NETWORK_SECONDS, _SIMULATED_SECONDS = 0.03, 1.0
"""What a network takes, about: stock process models called one after the other, and Lava's runtime."""

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


def selfcheck(
    networks: int, first: int, simulated: int, folder: Path, progress: Progress, workers: Workers = HERE
) -> State | Difference:
    """Compare networks ``first`` to ``first + networks - 1``, from where the state in ``folder`` says it stopped.

    The first ``simulated`` of them also run in Lava's own runtime, before the rest. Returns the first difference, with
    its network left in ``folder``, or the final state; both are the same for any workers. Raises MonospikeError when
    Lava fails.
    """
    state, differences = read_state(folder / _STATE, State(first)), list[Difference]()
    runtime = _jobs(first, first + simulated, _SIMULATED_A_JOB) if state.simulated < simulated else []
    models = _jobs(first + state.done, first + networks, _NETWORKS_A_JOB)
    jobs = [*((numbers, True) for numbers in runtime), *((numbers, False) for numbers in models)]
    seconds = sum(len(numbers) * (_SIMULATED_SECONDS if lava else _NETWORK_SECONDS) for numbers, lava in jobs)
    workers = workers.for_calls(len(jobs), seconds, progress)
    calls = {f"networks {n.start} to {n[-1]}{' in the runtime' if lava else ''}": (n, lava) for n, lava in jobs}
    if runtime:
        progress.say(f"{simulated} networks in Lava's runtime")
    with progress.task("networks", networks) as task:

        def finished(name: str, outcome: Outcome) -> bool:
            nonlocal state
            numbers, lava = calls[name]
            if outcome.first is not None:
                differences.append(_found(numbers[outcome.first[0]], outcome.first[1], folder))
                return True
            if not lava:
                state = replace(
                    state,
                    done=state.done + len(numbers),
                    compared=state.compared + outcome.compared,
                    refused=state.refused + outcome.refused,
                    values=state.values + outcome.values,
                )
                task.reach(state.done, f"{state.values} values identical")
            elif numbers.stop == first + simulated:
                state = replace(state, simulated=simulated)
            write_state(folder / _STATE, state)
            return False

        compare = _compared if workers.here else _compared_by_worker
        for name, why in call_all(compare, calls, workers, finished, ordered=True).items():
            raise MonospikeError(f"{name}: {why}")
    return differences[0] if differences else state


def _jobs(begin: int, end: int, each: int) -> list[range]:
    return [range(start, min(start + each, end)) for start in range(begin, end, each)]


def _compared(numbers: range, simulated: bool) -> Outcome:
    if simulated:
        return check([seeded(number) for number in numbers], simulated=True, timeout=60 + 20 * len(numbers))
    return check([seeded(number) for number in numbers], timeout=600)


def _compared_by_worker(numbers: range, simulated: bool) -> Outcome:
    with one_thread():
        return _compared(numbers, simulated)


def _found(seed: int, difference: Difference, folder: Path) -> Difference:
    """Leave the counterexample: input, difference, and the network as a file where one can hold it, else in words."""
    drawn = seeded(seed)
    with write_whole(folder / COUNTEREXAMPLE) as temporary:
        temporary.mkdir()
        (temporary / "input.npz").write_bytes(npz_bytes(drawn.frames, compressed=True))
        (temporary / "difference.txt").write_text(f"network {seed}: {difference}\n", encoding="utf-8")
        try:
            write_net(drawn.network, temporary / "network.net")
        except FormatError as error:
            with np.printoptions(threshold=sys.maxsize):
                (temporary / "network.txt").write_text(f"{error}\n{drawn.network}\n", encoding="utf-8")
    return difference
