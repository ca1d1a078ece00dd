"""Commands of monospike, each in a process of its own that does not load torch again.

A process that has loaded what all of them need, and computed nothing yet, makes a copy of itself for each (``fork``).
It is started as a program, hears what to start on its standard input and says on its standard output what has ended, a
line of JSON each. It ends, with all that it has started, when whoever started it does.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from netx.errors import MonospikeError

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0
"""How long a command that is told to end may take; then it is killed."""

_SET_PARENT_DEATH_SIGNAL = 1
"""Linux ``prctl`` option PR_SET_PDEATHSIG (linux/prctl.h)."""

_COMMAND_LINE = "pipeline"
"""The package that is the command ``monospike``, as a program."""

_WANTED = (f"{_COMMAND_LINE}.cli", "pipeline.tasks.train", "pipeline.report.plots", "torchvision.ops")
"""What is loaded before commands are, beside what the task's evaluations come from; torchvision alone takes 2 s."""


@cache
def launcher_for(task: str) -> Launcher:
    """The launcher of this process for commands of one task."""
    return Launcher(task)


class Launcher:
    """Starts commands, and says which have ended and how. task: whose code they need."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._process: subprocess.Popen[bytes] | None = None
        self._read = b""

    @property
    def pid(self) -> int | None:
        """Of the process whose children commands are; None before the first."""
        return None if self._process is None else self._process.pid

    def start(self, name: str, arguments: Sequence[str], output: Path) -> None:
        """Start ``monospike ARGUMENTS`` in the folder that this process is in, which prints to the file ``output``."""
        output.parent.mkdir(parents=True, exist_ok=True)
        self._say({"name": name, "arguments": arguments, "output": str(output.resolve()), "folder": str(Path.cwd())})

    def ended(self) -> dict[str, int]:
        """The commands that have ended since this was last asked, by name, each with its exit code; below 0 it is the
        signal that ended it. Raises MonospikeError where they are no more looked after."""
        return {event["name"]: event["status"] for event in self._events()}

    def end_all(self) -> None:
        """End what still runs; returns when it has ended."""
        if self._process is None or self._process.poll() is not None:
            return
        self._say({"end": True})
        deadline = time.monotonic() + 2 * _GRACE_SECONDS
        while time.monotonic() < deadline:
            if any("all" in event for event in self._events()):
                return
            time.sleep(_POLL_SECONDS)

    def _say(self, request: Mapping[str, Any]) -> None:
        if self._process is None or self._process.poll() is not None:
            self._process, self._read = self._begun(), b""
        assert self._process.stdin is not None, "it is a pipe"
        with suppress(BrokenPipeError):  # what has become of it is told when it is asked what has ended
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def _events(self) -> list[dict[str, Any]]:
        assert self._process is not None, "a command has been started"
        assert self._process.stdout is not None, "it is a pipe"
        with suppress(BlockingIOError):
            while chunk := os.read(self._process.stdout.fileno(), 1 << 16):
                self._read += chunk
            raise MonospikeError(
                "the process that starts commands was ended, and these with it; the same command goes on from here"
            )
        *lines, self._read = self._read.split(b"\n")
        return [json.loads(line) for line in lines]

    def _begun(self) -> subprocess.Popen[bytes]:
        # Sums in another number of threads are other sums, and several commands share the machine.
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, self._task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"OMP_NUM_THREADS": "1", **os.environ},
            start_new_session=True,  # Ctrl-C is the caller's to answer
            preexec_fn=_die_with_parent,
        )
        assert process.stdout is not None, "it is a pipe"
        os.set_blocking(process.stdout.fileno(), False)
        return process


@dataclass
class _Server:
    """The other side. answers: the file descriptor of what it says. running: names by process."""

    answers: int
    running: dict[int, str] = field(default_factory=dict)

    def serve(self) -> Mapping[str, Any] | None:
        """Do as is asked until the input ends. In the process of a command: what it is to do."""
        for request in _requests():
            self._tell_ended()
            if request is None:
                continue
            if "end" in request:
                self.end_all()
                self._answer({"all": "ended"})
                continue
            pid = os.fork()
            if not pid:
                os.close(self.answers)
                return request
            self.running[pid] = request["name"]
        self.end_all()
        return None

    def end_all(self) -> None:
        """End what still runs; a training loses what came after its last saved state."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.running:
                with suppress(ProcessLookupError):
                    os.kill(pid, kind)  # before it has a group of its own
                with suppress(ProcessLookupError):
                    os.killpg(pid, kind)
            deadline = time.monotonic() + _GRACE_SECONDS
            while self.running and time.monotonic() < deadline:
                self._tell_ended()
                time.sleep(_POLL_SECONDS)

    def _tell_ended(self) -> None:
        while self.running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            if pid in self.running:
                self._answer({"name": self.running.pop(pid), "status": os.waitstatus_to_exitcode(status)})

    def _answer(self, event: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):  # nobody is there to hear it; the input ends as well
            os.write(self.answers, json.dumps(event).encode() + b"\n")


def _requests() -> Iterator[dict[str, Any] | None]:
    """What is asked, and None now and then, until the input ends."""
    read = b""
    while True:
        if not select.select([0], [], [], _POLL_SECONDS)[0]:
            yield None
            continue
        chunk = os.read(0, 1 << 16)
        if not chunk:
            return
        *lines, read = (read + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines)


def _run(request: Mapping[str, Any]) -> None:
    """Be the command that is asked for; raises SystemExit as it does."""
    os.setsid()
    _die_with_parent()
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for here, there in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(here, there)
    os.chdir(request["folder"])
    sys.argv = ["monospike", *request["arguments"]]
    runpy.run_module(_COMMAND_LINE, run_name="__main__", alter_sys=True)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def main() -> None:
    """The program: ``python -m pipeline.experiments.study.launcher TASK``."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library may print while it is loaded is no answer
    from pipeline.tasks import find_task

    task = find_task(sys.argv[1])
    for module in (*_WANTED, *task.judge().code):
        importlib.import_module(module)
    request = _Server(answers).serve()
    if request is not None:
        _run(request)


if __name__ == "__main__":
    main()
