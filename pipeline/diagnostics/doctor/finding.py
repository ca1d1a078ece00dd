"""What was found of one thing, and all of it as a report."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Fact: TypeAlias = "str | int | float | bool | None"


class Status(str, enum.Enum):
    """How it stands with one thing.

    LIMITED: it works, less well than it could. ABSENT: it is not there. BROKEN: it is there and fails. SKIPPED: it was
    not tried.
    """

    WORKS = "works"
    LIMITED = "limited"
    ABSENT = "absent"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """key: its name in JSON. needed: the demo of the README does not run without it. says: what was found, in a line.
    do: what the user can do about it; empty where there is nothing to do. facts: the same for programs.
    """

    key: str
    status: Status
    says: str
    do: str = ""
    needed: bool = False
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def fatal(self) -> bool:
        """Whether the demo does not run because of it."""
        return self.needed and self.status in (Status.ABSENT, Status.BROKEN)

    def as_json(self) -> dict[str, Any]:
        """The keys that docs/doctor.md lists."""
        return {
            "key": self.key,
            "status": self.status.value,
            "needed": self.needed,
            "says": self.says,
            "do": self.do,
            "facts": dict(self.facts),
        }


@dataclass(frozen=True)
class Examination:
    """version: of monospike, None where it runs from a folder without being installed."""

    version: str | None
    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Whether the demo has what it needs."""
        return not any(finding.fatal for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The keys that docs/doctor.md lists."""
        return {
            "version": self.version,
            "ready": self.ready,
            "findings": [finding.as_json() for finding in self.findings],
        }


def one_line(text: str, most: int = 240) -> str:
    """What a library said, fit for a line on a terminal: no control characters, and cut."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return plain if len(plain) <= most else f"{plain[: most - 3]}..."
