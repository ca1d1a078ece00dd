"""Commands of monospike, several at a time, each after those that it needs. Their processes end with this one."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.progress import Progress

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 10.0
"""How long a command that is told to end may take; then it is killed."""

_SET_PARENT_DEATH_SIGNAL = 1
"""Linux ``prctl`` option PR_SET_PDEATHSIG (linux/prctl.h)."""

_NAMED_FAILURE = "monospike: "
"""What the command line begins its messages with."""


@dataclass(frozen=True)
class Job:
    """One command. arguments: what follows ``monospike``. output: file for what it prints. needs: names of jobs.

    size: how much there is to do, in units of its own. done: how much of it is done by now.
    """

    name: str
    arguments: tuple[str, ...]
    output: Path
    needs: tuple[str, ...] = ()
    size: int = 1
    done: Callable[[], int] = lambda: 0

    @property
    def command(self) -> str:
        """What a user would type."""
        return " ".join(("monospike", *self.arguments))


def run_jobs(
    jobs: Sequence[Job],
    at_once: int,
    what: str,
    progress: Progress,
    after: Callable[[Job], None] = lambda _: None,
) -> dict[str, str]:
    """Run all jobs; returns why some failed, by name. A job that needs a failed one is not started, and fails too.

    after: called with each job that ended well. A need that is no job of these counts as met. When this function is
    left early (Ctrl-C), all processes are ended.
    """
    waiting, running, failed = list(jobs), dict[Job, subprocess.Popen[bytes]](), dict[str, str]()
    finished = 0
    with progress.task(what, sum(job.size for job in jobs)) as task:
        try:
            while waiting or running:
                for job in _ready(waiting, running, failed)[: at_once - len(running)]:
                    waiting.remove(job)
                    if lost := [need for need in job.needs if need in failed]:
                        failed[job.name] = f"needs {lost[0]!r}, which failed"
                        continue
                    progress.say(f"  {job.name} ...")
                    running[job] = _start(job)
                for job in [job for job, process in running.items() if process.poll() is not None]:
                    finished += job.size
                    if status := running.pop(job).returncode:
                        failed[job.name] = _reason(job, status)
                        progress.say(f"  {job.name}: failed: {failed[job.name]}")
                    else:
                        after(job)
                task.reach(finished + sum(job.done() for job in running), _names(running))
                if running:
                    time.sleep(_POLL_SECONDS)
        finally:
            _end(running)
    return failed


def _ready(waiting: Sequence[Job], running: Mapping[Job, object], failed: Mapping[str, str]) -> list[Job]:
    """Those that wait for nobody. A job that can only fail is ready as well."""
    open_ = {job.name for job in (*waiting, *running)}
    return [job for job in waiting if not open_.intersection(job.needs) or set(job.needs) & failed.keys()]


def _start(job: Job) -> subprocess.Popen[bytes]:
    job.output.parent.mkdir(parents=True, exist_ok=True)
    # Sums in another number of threads are other sums, and several commands share the machine.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    with job.output.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C is this process's to answer
            preexec_fn=_die_with_parent,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _end(running: Mapping[Job, subprocess.Popen[bytes]]) -> None:
    """End what still runs; a training loses what came after its last saved state."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        for process in running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, kind)
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0))


def _names(running: Mapping[Job, object]) -> str:
    return ", ".join(job.name for job in running)


def _reason(job: Job, status: int) -> str:
    """The message that the command ended with, or its last line."""
    lines = [line for line in job.output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    for index, line in enumerate(lines):
        if line.startswith(_NAMED_FAILURE):
            return " ".join([line.removeprefix(_NAMED_FAILURE), *lines[index + 1 :]])
    last = lines[-1].strip() if lines else "it said nothing"
    return f"ended with {status}: {last}; see {job.output}"
