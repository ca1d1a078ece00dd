"""Commands of monospike in processes of their own, and a finished run of which every fault gets a copy."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from netx.files import UNFINISHED
from pipeline.cli.app import main
from pipeline.core.files import file_digest
from pipeline.deploy.stages import read_record
from pipeline.deploy.steps import STAGES

RUN = """\
name: tiny
seed: 3
model: demo
data: {sequences: 1, composition: {frames: 8, height: 96, width: 128, object_size: [20, 30]}}
simulate: {frames: 2, lava_seconds: 280, lava_convolution: fast}
"""


@dataclass
class Outcome:
    """What came of one kind. cases, of: done, and how many there are. wrong: what was not as it must be."""

    cases: int = 0
    of: int = 0
    wrong: list[str] = field(default_factory=list)
    note: str = ""

    def check(self, what: str, *problems: str | None) -> None:
        self.cases += 1
        self.wrong += [f"{what}: {problem}" for problem in problems if problem]


@dataclass(frozen=True)
class Ended:
    """code: exit code, negative for a signal. said: standard output and error together."""

    code: int
    said: str

    def refused(self) -> str | None:
        """Why this is not the one message of a refusal, if it is not."""
        if "Traceback" in self.said:
            return f"a traceback: {self.said.strip().splitlines()[-1]}"
        return None if self.code == 2 else f"ended with {self.code}: {self.said[-200:]!r}"

    def fine(self) -> str | None:
        """Why this is neither all well nor a refusal, if it is not."""
        return None if self.code == 0 and "Traceback" not in self.said else self.refused()


def monospike(*words: object, cwd: Path, before: Callable[[], None] = lambda: None) -> Ended:
    """A command in a process of its own, forked from this one, which has loaded everything."""
    with tempfile.TemporaryFile() as output:
        child = forked([str(word) for word in words], cwd, output.fileno(), before)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        return Ended(status, output.read().decode("utf-8", "replace"))


def forked(
    words: list[str],
    cwd: Path,
    output: int,
    before: Callable[[], None] = lambda: None,
    command: Callable[[], None] = main,
) -> int:
    """The id of a child that runs ``command``, in the folder ``cwd``, after ``before``. output: descriptor for what it
    prints."""
    sys.stdout.flush()
    if child := os.fork():
        return child
    code = 99
    try:
        os.chdir(cwd)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["monospike", *words]
        before()
        command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(code)


class Kitchen:
    """A finished run, of which every case gets a copy."""

    def __init__(self, place: Path) -> None:
        self.place, self._numbers = place, itertools.count()
        self.config = place / "tiny.yaml"
        self.config.write_text(RUN)
        ended = self.deploy(place)
        assert ended.code == 0, ended.said
        self.finished = place / "runs" / "tiny"

    def deploy(self, place: Path, *words: str, before: Callable[[], None] = lambda: None) -> Ended:
        return monospike("deploy", self.config, "--runs", place / "runs", *words, cwd=place, before=before)

    @contextmanager
    def copy(self) -> Iterator[Path]:
        place = self.place / f"case-{next(self._numbers)}"
        shutil.copytree(self.finished, place / "runs" / "tiny")
        try:
            yield place
        finally:
            shutil.rmtree(place)

    def altered(self, place: Path) -> str | None:
        """What of the stages' files is not as in the finished run, or was left unfinished."""
        run = place / "runs" / "tiny"
        if left := list(run.rglob(f"*{UNFINISHED}")):
            return f"{left[0].name} was left"
        for stage in STAGES[:-1]:  # the report tells times
            mine, theirs = (read_record(folder, stage) for folder in (run, self.finished))
            if mine is None or theirs is None or mine["files"] != theirs["files"]:
                return f"stage {stage} has other files"
            if any(file_digest(run / name) != digest for name, digest in mine["files"].items()):
                return f"stage {stage} has other files than it says"
        return None
