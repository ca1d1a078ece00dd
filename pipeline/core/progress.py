"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from netx.foreign import LONGEST_NAME, shown

_SECONDS_BETWEEN_LINES = 15.0


def echo(text: object) -> None:
    """A line of standard output; what foreign text in it would hide is shown."""
    print(shown(str(text), lines=True), flush=True)


def cell(text: str) -> str:
    """Foreign text in a table of rich's, as markup."""
    return escape(shown(text, longest=LONGEST_NAME))


class Task:
    """One piece of work of a known length."""

    def __init__(self, progress: Progress, what: str, total: int, bars: Bars | None) -> None:
        self._progress, self._what, self._total, self._bars = progress, what, total, bars
        self._id = bars.add_task(shown(what), total=total) if bars else None
        self._done, self._said = 0, time.monotonic()

    def advance(self) -> None:
        """One step is done."""
        self.reach(self._done + 1)

    def reach(self, done: int, note: str = "") -> None:
        """``done`` steps are done; ``note`` says how it goes."""
        self._done = done
        if self._bars is not None and self._id is not None:
            self._bars.update(self._id, completed=done, description=shown(f"{self._what} {note}".strip()))
        elif time.monotonic() - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            self._progress.say(f"  {self._what}: {done} of {self._total} {note}".rstrip())


class Progress:
    """Where a command tells its user how far it is. ``quiet`` tells nothing."""

    def __init__(self, console: Console | None = None, quiet: bool = False) -> None:
        self._console, self._quiet = console or Console(), quiet

    def say(self, text: str) -> None:
        """Print a line."""
        if not self._quiet:
            self._console.print(shown(text, lines=True), highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def task(self, what: str, total: int) -> Iterator[Task]:
        """Work of ``total`` steps."""
        if self._quiet or not self._console.is_terminal:
            yield Task(self, what, total, None)
            return
        what_it_is = TextColumn("  {task.description}", markup=False)  # a file's name may hold [brackets]
        columns = (what_it_is, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bars(*columns, console=self._console, transient=True) as bars:
            yield Task(self, what, total, bars)
