"""The probes as a process, heard until a deadline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeAlias

from pipeline.diagnostics.doctor.finding import Fact, one_line
from pipeline.diagnostics.doctor.probes import PROBE

Answer: TypeAlias = Mapping[str, Fact]
"""What a probe said; ``missing`` names a module that is not installed, ``error`` says what went wrong."""

_ROOT = Path(__file__).resolve().parents[3]


class Asked:
    """Probes that run. deadline: by ``time.monotonic``."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes], deadline: float) -> None:
        self._process, self._output, self._deadline = process, output, deadline
        self._late = False

    def answers(self) -> dict[str, Answer]:
        """What the probes have said by their end, or by the deadline; those that were late are not among them."""
        try:
            self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._late = True
            _end(self._process)
        self._output.seek(0)
        found: dict[str, Answer] = {}
        for line in self._output.read().decode(errors="replace").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue  # a library's own words
            if isinstance(said, dict) and PROBE in said:
                found[said.pop(PROBE)] = said
        return found

    def unanswered(self) -> Answer:
        """What stands for the answer of a probe that gave none."""
        if self._late:
            return {"error": "it did not answer in time; on a busy machine say --seconds 120"}
        self._output.seek(0)
        said = self._output.read().decode(errors="replace").strip()
        return {"error": one_line(f"the process that tries libraries ended with {self._process.wait()}: {said[-160:]}")}


@contextmanager
def ask(seconds: float) -> Iterator[Asked]:
    """Start the probes; what still runs on leaving is killed. seconds: from now, for all."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # In memory: there may be no room on the disk.
    with os.fdopen(os.memfd_create("monospike-doctor"), "w+b") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.diagnostics.doctor.probes"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
        )
        try:
            yield Asked(process, output, time.monotonic() + seconds)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and its forks."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
