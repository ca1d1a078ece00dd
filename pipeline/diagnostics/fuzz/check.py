"""``monospike selfcheck --files``: damaged files by number, as many as wanted, to be gone on with."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.core.progress import Progress
from pipeline.core.workers import HERE, Workers, call_all
from pipeline.diagnostics.fuzz.damage import Choose, damaged, numbered
from pipeline.diagnostics.fuzz.reader import Outcome, Reader
from pipeline.diagnostics.fuzz.seeds import write_seeds
from pipeline.diagnostics.resumable import Counted, read_state, write_state

_STATE = "files.json"
_FILES_A_STATE = 100
_FILE_SECONDS = 0.04
"""What a file takes, about, to be damaged and read."""

COUNTEREXAMPLE = "counterexample"
"""In the command's folder: a file that was not refused clearly, and what happened."""


@dataclass(frozen=True)
class State(Counted):
    """How far a check is, in files. refused: with a clear message."""

    read: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Trouble:
    """The first file that was not read or clearly refused."""

    number: int
    outcome: Outcome

    def __str__(self) -> str:
        return f"file {self.number} {self.outcome.ending}: {self.outcome.said}"


@dataclass(frozen=True)
class _Part:
    """What came of some files, up to the first trouble. name, content: of the file that made it."""

    done: int
    read: int
    trouble: Trouble | None = None
    name: str = ""
    content: bytes = b""


def check(files: int, first: int, folder: Path, progress: Progress, workers: Workers = HERE) -> State | Trouble:
    """Read the damaged files ``first`` to ``first + files - 1``, from where the state in ``folder`` says it stopped.

    Returns the first that raises, crashes, hangs, takes too much memory or writes anything, left in ``folder``; or the
    final state. Both are the same for any workers.
    """
    state, troubles = read_state(folder / _STATE, State(first)), list[Trouble]()
    end, begin = first + files, first + state.done
    parts = [range(start, min(start + _FILES_A_STATE, end)) for start in range(begin, end, _FILES_A_STATE)]
    workers = workers.for_calls(len(parts), (end - begin) * _FILE_SECONDS, progress)
    with ExitStack() as stack:
        inside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="damaged-files-")))
        task = stack.enter_context(progress.task("files", files))
        read = stack.enter_context(Workplace(inside)).read if workers.here else _read_by_worker
        more = () if workers.here else (inside,)

        def finished(_: str, part: _Part) -> bool:
            nonlocal state
            if part.trouble is not None:
                _leave(part, folder / COUNTEREXAMPLE)
                troubles.append(part.trouble)
                return True
            refused = state.refused + part.done - part.read
            state = State(first, state.done + part.done, state.read + part.read, refused)
            write_state(folder / _STATE, state)
            task.reach(state.done, f"{state.refused} refused")
            return False

        calls = {f"files {part.start} to {part[-1]}": (part, *more) for part in parts}
        for name, why in call_all(read, calls, workers, finished, ordered=True).items():
            raise MonospikeError(f"{name}: {why}")
    return troubles[0] if troubles else state


def _leave(part: _Part, folder: Path) -> None:
    assert part.trouble is not None
    with write_whole(folder) as temporary:
        temporary.mkdir()
        (temporary / part.name).write_bytes(part.content)
        (temporary / "what.txt").write_text(part.trouble.outcome.said, encoding="utf-8")


_places: list[Workplace] = []
"""The one that this worker has: a reading process takes seconds to start."""


def _read_by_worker(numbers: range, inside: Path) -> _Part:
    """inside: a folder that is removed in the end; another machine need not have it."""
    if not _places:
        _places.append(Workplace(inside if inside.is_dir() else None))
    return _places[0].read(numbers)


class Workplace:
    """A temporary folder with sound files, a damaged one, and a place where the reading process may leave nothing.

    A pipe that nobody writes to is the bait for links that leave a file: who opens it waits for ever, and is found out.
    """

    def __init__(self, inside: Path | None = None) -> None:
        """inside: where its folder lies; with others that are temporary."""
        self._folder = Path(tempfile.mkdtemp(prefix="damaged-files-", dir=inside))
        seeds = self._folder / "seeds"
        seeds.mkdir()
        self._seeds: dict[str, list[bytes]] = {}
        for path in write_seeds(seeds):
            self._seeds.setdefault(path.suffix, []).append(path.read_bytes())
        self._files, self._elsewhere = self._folder / "files", self._folder / "elsewhere"
        self._files.mkdir()
        self._elsewhere.mkdir()
        self.bait = self._folder / "bait"
        os.mkfifo(self.bait)
        self._reader = Reader(self._elsewhere)

    def __enter__(self) -> Workplace:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.__exit__()
        shutil.rmtree(self._folder, ignore_errors=True)

    def read(self, numbers: range) -> _Part:
        """What becomes of the files of these numbers, up to the first trouble."""
        read = 0
        for number in numbers:
            path = self.make(number)
            outcome = self.outcome(path)
            if not outcome.clear:
                trouble = Trouble(number, outcome)
                return _Part(number - numbers.start, read, trouble, path.name, path.read_bytes())
            read += outcome.ending == "read"
        return _Part(len(numbers), read)

    def make(self, number: int) -> Path:
        """The damaged file of this number; even ones are ``.net``."""
        return self.damage(number, (".net", ".nir")[number % 2])

    def damage(self, number: int, suffix: str, choose: Choose | None = None) -> Path:
        """A damaged file, by its number or by other choices."""
        path = self._files / f"{number}{suffix}"
        for old in self._files.iterdir():
            old.unlink()
        damaged(self._seeds[suffix], choose or numbered(number), path, self.bait)
        return path

    def outcome(self, path: Path) -> Outcome:
        """What becomes of the file when it is read; to change it, or to write any other, counts as raising."""
        before = path.read_bytes()
        outcome = self._reader.read(path)
        left = [str(file) for folder in (self._elsewhere, self._files) for file in folder.rglob("*") if file != path]
        if left or path.read_bytes() != before:
            return Outcome("raised", f"files were written: {', '.join(left) or path}")
        return outcome
