"""What a job may leave behind, for the tests of everything that starts one."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

import sim
from netx import Range
from sim.supervise import JOB_VARIABLE

_ROOT = Path(sim.__file__).resolve().parents[1]


@dataclass(frozen=True)
class Traces:
    """A temporary folder of its own for the jobs of one test, and all that can be seen of them.

    ``earlier``: what lay in shared memory before the test.
    """

    base: Path
    earlier: frozenset[str]

    def processes(self) -> list[psutil.Process]:
        """The living processes of jobs in this folder, their supervisors and callers."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                    continue
                ours = process.environ().get("TMPDIR", "").startswith(str(self.base))
                if ours or any(str(self.base) in word for word in process.cmdline()):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def supervisor(self) -> psutil.Process:
        """The one supervisor that is running."""
        [process] = [process for process in self.processes() if "supervise.py" in " ".join(process.cmdline()[:4])]
        return process

    def members(self) -> list[psutil.Process]:
        """The processes of jobs, supervisors and callers aside."""
        found = []
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
                if JOB_VARIABLE in process.environ():
                    found.append(process)
        return found

    def left(self) -> list[str]:
        """Everything that is still there: processes, shared memory, files."""
        files = [str(path) for path in self.base.iterdir()]
        # Of a job that ends while processes are listed the processes are gone before its memory is: looked for twice.
        foreign = _jobs_elsewhere(self.base)
        segments = _segments() - self.earlier
        foreign = tuple(foreign | _jobs_elsewhere(self.base))
        segments = {name for name in segments & _segments() if not name.removeprefix("sem.").startswith(foreign)}
        return [*map(str, self.processes()), *files, *segments]

    def wait_until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for ``condition``, which another process brings about. Fails when it does not."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited {seconds} s in vain; left: {self.left()}")
            time.sleep(0.02)

    def start(self, script: str) -> subprocess.Popen[str]:
        """A Python script as a process that starts jobs here; it has to print a line when its job is under way."""
        environment = {**os.environ, "TMPDIR": str(self.base), "PYTHONPATH": str(_ROOT)}
        caller = subprocess.Popen(
            [sys.executable, "-u", "-c", script],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert caller.stdout is not None
        assert caller.stdout.readline() != "", caller.communicate()[1]
        return caller


def _segments() -> frozenset[str]:
    """The shared memory of jobs."""
    names = (path.name for path in Path("/dev/shm").iterdir())
    return frozenset(name for name in names if name.startswith(("monospike-", "sem.monospike-")))


def _jobs_elsewhere(base: Path) -> set[str]:
    """Names of living jobs that are none of this test's: others may use this machine as well."""
    found = set()
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if JOB_VARIABLE in environment and not environment.get("TMPDIR", "").startswith(str(base)):
            found.add(environment[JOB_VARIABLE])
    return found


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory):
    """A short-named temporary folder in which this test's jobs live; at the end nothing may be left of them."""
    tmp_path_factory.getbasetemp()  # made now, so that it lies elsewhere
    base = Path(tempfile.mkdtemp(prefix="jobs-", dir="/tmp")).resolve()
    monkeypatch.setattr(tempfile, "tempdir", str(base))
    monkeypatch.setenv("TMPDIR", str(base))
    found = Traces(base, _segments())
    try:
        yield found
        found.wait_until(lambda: not found.left(), seconds=20)
    finally:
        for process in found.processes():
            process.send_signal(signal.SIGKILL)
        shutil.rmtree(base)


@pytest.fixture(scope="session")
def direct_sums() -> Callable[..., np.ndarray]:
    """A convolution written tap by tap in int64: the sums that every kernel has to give."""

    def sums(values, weight, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
        padded = np.pad(values.astype(np.int64), [(0, 0), (0, 0), *((p, p) for p in padding)])
        sizes = zip(padded.shape[2:], weight.shape[2:], stride, dilation, strict=True)
        height, width = ((size - d * (k - 1) - 1) // s + 1 for size, k, s, d in sizes)
        result = np.zeros((len(values), len(weight), height, width), np.int64)
        per_group, out = weight.shape[1], len(weight) // groups
        for group, row, column in np.ndindex(groups, *weight.shape[2:]):
            top, left = row * dilation[0], column * dilation[1]
            seen = padded[
                :,
                group * per_group : (group + 1) * per_group,
                top : top + (height - 1) * stride[0] + 1 : stride[0],
                left : left + (width - 1) * stride[1] + 1 : stride[1],
            ]
            channels = slice(group * out, (group + 1) * out)
            taps = weight[channels, :, row, column].astype(np.int64)
            result[:, channels] += np.einsum("oi,nihw->nohw", taps, seen)
        return result

    return sums


@pytest.fixture(scope="session")
def exact_in_8_bits() -> Callable[[Range], bool]:
    """Whether int8 must be exact here for such inputs: spikes on every machine, graded ones where it multiplies bytes.

    Processors without such products add two of them in 16 bits, which graded inputs can overflow; there int8 may be
    refused, and a test of its own says that nothing else may happen.
    """
    flags = Path("/proc/cpuinfo")
    multiplies_bytes = flags.exists() and "_vnni" in flags.read_text()
    return lambda values: multiplies_bytes or values == Range(0, 1)
