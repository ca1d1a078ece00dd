"""Runs a network in Lava's CPU simulator, from which nothing can hang, leak or stay behind.

Lava itself runs in another process (sim.lava.worker) under a supervisor (sim.supervise); this file does not import it.
One new frame enters at every time step, and each layer is read as many steps later as it is deep; where ways of
different lengths meet, each frame stays until it has come on all of them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from netx import FormatError, MonospikeError, Network, NetworkError
from sim.frames import checked_frames
from sim.lava.job import ConvModel, LavaJob, NetPart, in_lava_order, read_outcome, read_progress, write_job
from sim.lava.plan import hold, plan, recording
from sim.recording import Recording
from sim.supervise import Ending, job_folder, supervise

Progress = Callable[[int, int], None]
"""Called with the number of frames done and of all frames."""

Outcome = TypeVar("Outcome")

_ROOT = Path(__file__).resolve().parents[2]
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Lava forks a process a layer and more; threads in them would only compete, and some libraries' hang after a fork."""


_LONGEST_FOLDER = 107 - len("/pymp-01234567/listener-01234567")
"""A Unix socket's path has at most 107 characters; multiprocessing puts one below the job's folder."""


class LavaError(MonospikeError):
    """Lava failed. ``details``: its traceback, where there is one."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class LavaTimeout(LavaError):  # noqa: N818
    """Lava did not finish within its time."""


def run(
    network: Network,
    frames: Mapping[str, npt.ArrayLike],
    *,
    conv: ConvModel = "stock",
    timeout: float = 300,
    progress: Progress | None = None,
) -> Recording:
    """Run ``network`` on its frames one after the other in Lava's stock fixed-point processes.

    frames: for each input integers within its range, shape (frame, channel, height, width); equal frame counts.
    conv: ``fast`` has sim.lava.conv compute the convolutions, hundreds of times as fast and with the same bits; the
    recording then says so in its ``engine``. It holds any kernel and number of groups, where Lava's own has limits.
    timeout: seconds for all of it. progress: called with the frames done and their number.
    Spikes, and the membranes of accumulators, are read from Lava; for those of spiking layers see
    sim.lava.plan.recording. Raises NetworkError when frames do not fit or Lava cannot run a layer with the same bits,
    LavaError when Lava fails, and LavaTimeout.
    """
    layers, steps = plan(network, conv), hold(network)
    values = {name: in_lava_order(array) for name, array in checked_frames(network, frames).items()}
    return _run_job(LavaJob(values, layers=layers, conv=conv, hold=steps), timeout, progress)


def run_net_files(
    parts: Sequence[NetPart],
    frames: Mapping[str, npt.NDArray],
    *,
    conv: ConvModel = "stock",
    timeout: float = 300,
    progress: Progress | None = None,
) -> Recording:
    """As ``run``, but every layer is made from ``.net`` files by lava-dl's own loader.

    parts: each after the part it reads. frames: integers for each input that a part reads, shape (frame, channel,
    height, width), equal frame counts. Raises FormatError when a file is missing or reads what is not there,
    NetworkError when frames are no such arrays, LavaError and LavaTimeout as above.
    """
    known = set(frames)
    for part in parts:
        if not part.path.is_file():
            raise FormatError(f"{part.path}: there is no such file")
        if part.source not in known:
            raise FormatError(f"{part.path}: reads {part.source!r}, but there are only {', '.join(sorted(known))}")
        known.update(part.layers)
    shapes = {name: array.shape for name, array in frames.items()}
    if len({shape[0] for shape in shapes.values()}) != 1 or any(len(shape) != 4 for shape in shapes.values()):
        raise NetworkError(f"frames have shapes {shapes}, expected (frame, channel, height, width), as many for each")
    values = {name: in_lava_order(array.astype(np.int32)) for name, array in frames.items()}
    return _run_job(LavaJob(values, parts=tuple(parts), conv=conv), timeout, progress)


def _run_job(job: LavaJob, timeout: float, progress: Progress | None) -> Recording:
    return run_worker(
        "sim.lava.worker",
        lambda folder: write_job(folder, job),
        lambda folder: recording(read_outcome(folder), job.conv),
        Work(job.frame_count, timeout, progress),
    )


@dataclass(frozen=True)
class Work:
    """How much a worker has to do, in which time (seconds), and who is told how far it is."""

    total: int
    timeout: float
    progress: Progress | None
    unit: str = "frames"


def run_worker(module: str, write: Callable[[Path], None], read: Callable[[Path], Outcome], work: Work) -> Outcome:
    """What ``read`` finds in the job's folder once ``python -m module FOLDER`` has done what ``write`` left there.

    Raises LavaError when the worker fails, LavaTimeout when it takes too long.
    """
    if importlib.util.find_spec("lava") is None:
        raise LavaError("Lava is not installed: use Python 3.10 and `pip install 'monospike[lava]'`")
    with job_folder() as place:
        _write(place.folder, write)
        shown = -1

        def watch() -> None:
            nonlocal shown
            done = read_progress(place.folder)
            if work.progress is not None and done is not None and done != shown:
                shown = done
                work.progress(done, work.total)

        command = [sys.executable, "-m", module, str(place.folder)]
        ending = supervise(place, command, timeout=work.timeout, environment=_environment(), watch=watch)
        if ending is Ending.DONE:
            watch()
            return read(place.folder)
        if ending is Ending.TIMED_OUT:
            raise LavaTimeout(_too_late(read_progress(place.folder), work))
        if ending is Ending.STOPPED:
            raise LavaError("Lava was stopped: the process that supervised it was told to end")
        headline, details = place.failure()
        raise LavaError(f"Lava failed: {headline}", details)


def _write(folder: Path, write: Callable[[Path], None]) -> None:
    if len(str(folder)) > _LONGEST_FOLDER:
        raise LavaError(f"{folder}: the temporary folder's path is too long for a socket; set TMPDIR to a shorter one")
    try:
        write(folder)
    except OSError as error:
        raise LavaError(f"{folder}: the job for Lava cannot be written ({error.strerror or error})") from None


def _environment() -> dict[str, str]:
    """What lets the worker find these packages, be they installed or a checkout."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**_ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def _too_late(done: int | None, work: Work) -> str:
    progress = "it had not started" if done is None else f"{done} of {work.total} {work.unit} were done"
    return f"Lava did not finish within {work.timeout:g} s; {progress}. Give it more time, or fewer {work.unit}."
