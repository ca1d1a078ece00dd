"""Reads files in another process, which may crash, hang or take too much without harm to this one."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sim.supervise import die_with_parent

_SECONDS_TO_START = 120.0
_SECONDS_TO_END = 10.0  # after its output has ended

OFFENCES = ("raised", "crashed", "hung")
"""The outcomes that no file may have."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file: ``read``, ``refused``, or one of ``OFFENCES``; and what was said."""

    ending: str
    said: str

    @property
    def clear(self) -> bool:
        """Whether it was read, or refused with a message."""
        return self.ending not in OFFENCES and (self.ending == "read" or bool(self.said.strip()))


class Reader:
    """A reading process, started when it is first needed and again after it has crashed or hung.

    folder: where it runs. seconds: how long it may be silent over one file, as when it waits for something; for its
    work it has a limit of its own, in the processor's time.
    """

    def __init__(self, folder: Path, seconds: float = 120.0) -> None:
        self._folder, self._seconds = folder, seconds
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._end()

    def read(self, path: Path) -> Outcome:
        """What becomes of ``path``, which is read, linted and, where it is a NIR graph, imported."""
        first = self._process is None
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        ready, line = True, ""
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(str(path)) + "\n")
            process.stdin.flush()
            ready = bool(select.select([process.stdout], [], [], self._seconds + first * _SECONDS_TO_START)[0])
            line = process.stdout.readline() if ready else ""
        if line:
            return Outcome(*json.loads(line))
        if not ready:
            self._end()
            return Outcome("hung", f"no answer within {self._seconds:g} s")
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
        status = process.returncode
        self._end()
        if status == -signal.SIGXCPU:
            return Outcome("hung", "took more of the processor's time than a file may")
        return Outcome("crashed", f"the reading process ended with status {status}")

    def _start(self) -> subprocess.Popen[str]:
        root = Path(__file__).resolve().parents[3]
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.diagnostics.fuzz.worker"],
            cwd=self._folder,
            env={**os.environ, **limits, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            preexec_fn=die_with_parent,  # which may be a worker that is killed while a file keeps this one waiting
        )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
