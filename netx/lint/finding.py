"""Rules, families of rules, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from netx.errors import FormatError

Subject = TypeVar("Subject")
Trouble = tuple[str, str]
"""Where in the subject something is wrong, maybe nowhere in particular, and what."""


_TROUBLES_MAX = 100
"""Most findings of one rule about one thing: a file of nothing else should not fill the memory with them."""


class Severity(Enum):
    """How bad it is.

    ERROR: what runs the file runs another network than the one it describes, or cannot run it at all. WARNING: some
    reader or the chip does, or the network does less than it seems to. NOTE: worth knowing, and maybe meant.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong with a file.

    name: of small letters and hyphens. summary: what is wrong in general. mend: what to do. source: where it was seen
    or is written. reader: the one it is about; None for all. refused: it cannot be cured by how the reader is used.
    """

    name: str
    severity: Severity
    summary: str
    mend: str
    source: str
    reader: str | None = None
    refused: bool = False


@dataclass(frozen=True)
class Finding:
    """A rule that is broken. place: inside the file, such as ``layer/3/weight[0, 5]``; may be empty."""

    rule: Rule
    file: Path
    place: str
    message: str


class Family(Generic[Subject]):
    """The rules about one kind of thing, each with its check: a function from the thing to its troubles."""

    def __init__(self) -> None:
        self._checks: list[tuple[Rule, Callable[[Subject], Iterable[Trouble]]]] = []

    def rule(
        self,
        name: str,
        severity: Severity,
        summary: str,
        mend: str,
        source: str,
        reader: str | None = None,
        refused: bool = False,
    ) -> Callable[[Callable[[Subject], Iterable[Trouble]]], Callable[[Subject], Iterable[Trouble]]]:
        """Makes the decorated function the check of a new rule."""

        def decorate(check: Callable[[Subject], Iterable[Trouble]]) -> Callable[[Subject], Iterable[Trouble]]:
            self._checks.append((Rule(name, severity, summary, mend, source, reader, refused), check))
            return check

        return decorate

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All of them, in the order in which they were written down."""
        return tuple(rule for rule, _ in self._checks)

    def findings(self, subject: Subject, file: Path, place: str = "") -> Iterator[Finding]:
        """What is wrong with ``subject``, which is at ``place`` of ``file``."""
        for rule, check in self._checks:
            try:
                for inner, message in islice(check(subject), _TROUBLES_MAX):
                    yield Finding(rule, file, "/".join(part for part in (place, inner) if part), message)
            except FormatError:
                continue  # a value that cannot be read is a finding of its own
