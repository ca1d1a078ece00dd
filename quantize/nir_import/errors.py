"""What keeps a NIR graph from becoming a network of integers, all of it at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netx.errors import MonospikeError


@dataclass(frozen=True)
class Problem:
    """Why one node cannot be done."""

    node: str
    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {self.node!r}: {self.reason}"


class NirImportError(MonospikeError):
    """A graph that cannot become a network of integers. problems: every node that is in the way. hints: what the file
    shows that may be the cause of it."""

    def __init__(self, path: Path, problems: Iterable[Problem], hints: Iterable[str] = ()) -> None:
        self.problems = tuple(problems)
        lines = "\n".join([f"  {problem}" for problem in self.problems] + [f"  {hint}" for hint in hints])
        super().__init__(f"{path}: cannot become a network of integers:\n{lines}")


class CannotError(Exception):
    """Raised deep inside with a reason; whoever knows the node makes a Problem of it."""


class Problems:
    """Gathers problems, so that the user sees all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: list[Problem] = []

    def add(self, node: str, kind: str, reason: str) -> None:
        """One more."""
        self.found.append(Problem(node, kind, reason))

    @contextmanager
    def of(self, node: str, kind: str) -> Iterator[None]:
        """A CannotError from the block is a problem of this node."""
        try:
            yield
        except CannotError as error:
            self.add(node, kind, str(error))

    def stop_if_any(self) -> None:
        """Raises NirImportError when there are any."""
        if self.found:
            raise NirImportError(self._path, self.found)
