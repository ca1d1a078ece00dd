"""Runs a command of which nothing may stay behind: no process, no shared memory, no file.

The command gets a folder of its own (``job_folder``) and is started by a supervisor, which is this file run as a script
in a session of its own. However the command ends, by itself, by its time limit, by reporting a failure or because the
caller went away, the supervisor kills every process of the job and removes the job's shared memory. Should the
supervisor be killed, the caller does the same; should both be killed, the kernel kills the command, and the next job
sweeps up.

A job is known by its folder's name: its processes carry it in their environment, its shared memory segments begin with
it. Only the standard library is used, so that the supervisor starts in milliseconds and can hardly fail. Linux only.
"""

from __future__ import annotations

import ctypes
import enum
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

JOB_VARIABLE = "MONOSPIKE_JOB"
"""Environment variable that holds the job's name in every process of the job."""

_PREFIX = "monospike-"
_LOG, _FAILURE, _MARK = "log", "failure", ".monospike-job"
_SHARED_MEMORY = Path("/dev/shm")
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0
"""How long a kill may take: only a process stuck in the kernel needs more than an instant."""

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36
"""Linux ``prctl`` options PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER (linux/prctl.h)."""


class Ending(enum.IntEnum):
    """How a job ended; the supervisor's exit status."""

    DONE = 0
    FAILED = 10
    TIMED_OUT = 11
    STOPPED = 12


@dataclass(frozen=True)
class Job:
    """A folder that lives as long as its job. ``lock``: the descriptor that marks it as in use."""

    folder: Path
    lock: int

    @property
    def name(self) -> str:
        """What the job's processes and shared memory are known by."""
        return self.folder.name

    def failure(self) -> tuple[str, str]:
        """What went wrong, as it was reported: a headline and details. Only when the job has failed."""
        headline, _, details = (self.folder / _FAILURE).read_text(errors="replace").partition("\n")
        return headline, details


@contextmanager
def job_folder() -> Iterator[Job]:
    """A job with a folder that holds a mark alone. On leaving, all that the job made is gone.

    Sweeps up after dead jobs first.
    """
    base = Path(tempfile.gettempdir()).resolve()
    sweep(base)
    # Locked before it takes its name: a folder with that name and no lock belongs to a dead job.
    unnamed = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=base))
    lock = os.open(unnamed, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (unnamed / _MARK).touch()
        job = Job(unnamed.rename(base / unnamed.name[1:]), lock)
        try:
            yield job
        finally:
            _remove(job.folder)
    finally:
        os.close(lock)


def supervise(
    job: Job,
    command: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[], None] = lambda: None,
) -> Ending:
    """Run ``command`` in the job's folder under a supervisor, and return how it ended.

    timeout: seconds until it is killed. environment: variables added to this process's own.
    watch: called about twenty times a second meanwhile.
    Every process of the job is gone on return, and when an exception such as KeyboardInterrupt passes through.
    """
    script = [sys.executable, "-I", "-S", __file__, str(job.folder), str(timeout), str(os.getpid()), *command]
    with (job.folder / _LOG).open("ab") as log:
        supervisor = subprocess.Popen(
            script,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(job.lock,),
            env={**os.environ, **(environment or {})},
        )
    deadline = time.monotonic() + timeout + _GRACE_SECONDS
    try:
        while supervisor.poll() is None and time.monotonic() < deadline:
            watch()
            _wait(supervisor, _POLL_SECONDS)
    finally:
        if supervisor.poll() is None:
            supervisor.terminate()
            _wait(supervisor, _GRACE_SECONDS)
            supervisor.kill()
            supervisor.wait()
        end_job(job.name)
    if supervisor.returncode in set(Ending):
        return Ending(supervisor.returncode)
    report_failure(job.folder, f"the process that supervised it ended with status {supervisor.returncode}", "")
    return Ending.FAILED


def report_failure(folder: Path, headline: str, details: str) -> None:
    """Say why the job failed, in the job's folder; its supervisor then ends it. Only the first report counts."""
    descriptor, draft = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "w", errors="replace") as file:
        file.write(f"{headline}\n{details}")
    with suppress(FileExistsError):
        os.link(draft, folder / _FAILURE)
    Path(draft).unlink()


def die_with_parent() -> None:
    """Have the kernel kill this process when the process (strictly, the thread) that forked it ends."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def sweep(base: Path) -> None:
    """Remove what is left of jobs whose caller and supervisor were both killed.

    A folder without the jobs' mark is no job's, whatever it is called: it may be a user's own ``monospike-main``.
    """
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # removed meanwhile, or another user's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (folder / _MARK).exists():
                _remove(folder)
        except BlockingIOError:
            pass  # in use
        finally:
            os.close(lock)


def job_processes(name: str) -> list[int]:
    """Ids of the living processes of a job."""
    wanted = f"{JOB_VARIABLE}={name}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):  # ended meanwhile, or another user's
                if wanted in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def end_job(name: str, children_left: Callable[[], bool] = lambda: False) -> None:
    """Kill the processes of a job, wait until they are gone, and remove the job's shared memory.

    children_left: another sign of life to wait for.
    """
    deadline = time.monotonic() + _GRACE_SECONDS
    quiet = 0
    # Twice, because a process that is just starting another program has no environment for an instant.
    while quiet < 2 and time.monotonic() < deadline:
        processes = job_processes(name)
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        quiet = 0 if children_left() or processes else quiet + 1
        time.sleep(0.005)
    for pattern in (f"{name}*", f"sem.{name}*"):
        for segment in _SHARED_MEMORY.glob(pattern):
            segment.unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    end_job(folder.name)
    shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


def _main(arguments: list[str]) -> Ending:
    """The supervisor: folder, seconds, process id of the caller, command."""
    folder, seconds, caller, command = Path(arguments[0]), float(arguments[1]), int(arguments[2]), arguments[3:]
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    # Orphans of the command become children of this process, which can so wait for the last of them.
    _prctl(_SET_CHILD_SUBREAPER, 1)
    try:
        ending = _attend(folder, command, time.monotonic() + seconds, lambda: bool(stopped) or os.getppid() != caller)
    finally:
        end_job(folder.name, _children_left)
    if os.getppid() != caller:
        _remove(folder)
    return ending


def _attend(folder: Path, command: list[str], deadline: float, stopped: Callable[[], bool]) -> Ending:
    try:
        worker = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, JOB_VARIABLE: folder.name, "TMPDIR": str(folder)},
            preexec_fn=die_with_parent,
        )
    except OSError as error:
        report_failure(folder, f"{command[0]}: cannot be started ({error})", "")
        return Ending.FAILED
    while not stopped():
        status = worker.poll()
        if (folder / _FAILURE).exists():
            return Ending.FAILED
        if status == 0:
            return Ending.DONE
        if status is not None:
            output = (folder / _LOG).read_text(errors="replace").strip()
            report_failure(folder, f"the process {_ended(status)}; its last words: {output[-200:]!r}", output)
            return Ending.FAILED
        if time.monotonic() > deadline:
            return Ending.TIMED_OUT
        _wait(worker, _POLL_SECONDS)
    return Ending.STOPPED


def _ended(status: int) -> str:
    """``status`` of an ended process in words; a signal's number is negative."""
    return f"ended with status {status}" if status >= 0 else f"was killed by signal {-status}"


def _children_left() -> bool:
    """Reap the children that have ended; True while others live."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
