"""``monospike selfcheck --files``: damaged files by number, as many as wanted, to be gone on with."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from netx.files import write_whole
from pipeline.core.progress import Progress
from pipeline.diagnostics.fuzz.damage import Choose, damaged, numbered
from pipeline.diagnostics.fuzz.reader import Outcome, Reader
from pipeline.diagnostics.fuzz.seeds import write_seeds
from pipeline.diagnostics.resumable import Counted, read_state, write_state

_STATE = "files.json"
_FILES_A_STATE = 100
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


def check(files: int, first: int, folder: Path, progress: Progress) -> State | Trouble:
    """Read the damaged files ``first`` to ``first + files - 1``, from where the state in ``folder`` says it stopped.

    Returns the first that raises, crashes, hangs, takes too much memory or writes anything, left in ``folder``; or the
    final state.
    """
    state = read_state(folder / _STATE, State(first))
    with Workplace() as place, progress.task("files", files) as task:
        while state.done < files:
            number = first + state.done
            path = place.make(number)
            outcome = place.outcome(path)
            if not outcome.clear:
                with write_whole(folder / COUNTEREXAMPLE) as temporary:
                    temporary.mkdir()
                    shutil.copy(path, temporary / path.name)
                    (temporary / "what.txt").write_text(outcome.said, encoding="utf-8")
                return Trouble(number, outcome)
            read = outcome.ending == "read"
            state = State(first, state.done + 1, state.read + read, state.refused + (not read))
            if state.done % _FILES_A_STATE == 0 or state.done == files:
                write_state(folder / _STATE, state)
                task.reach(state.done, f"{state.refused} refused")
    return state


class Workplace:
    """A temporary folder with sound files, a damaged one, and a place where the reading process may leave nothing.

    A pipe that nobody writes to is the bait for links that leave a file: who opens it waits for ever, and is found out.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="damaged-files-"))
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
