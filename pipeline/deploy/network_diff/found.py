"""What is asked of a comparison of two networks, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Frames:
    """What both run on. file: as ``monospike simulate`` reads it; None draws ``count`` frames from ``seed``, some where
    count is None."""

    file: Path | None = None
    count: int | None = None
    seed: int = 0

    @property
    def asked(self) -> bool:
        """Whether both are to run even where nothing differs that could show."""
        return self.file is not None or self.count is not None


@dataclass
class Diff:
    """same: no difference in integers, connections or what comes of them. lines: what was found, in words."""

    same: bool = True
    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Something worth knowing that is no difference."""
        self.lines.append(line)

    def differs(self, line: str) -> None:
        """A difference."""
        self.same = False
        self.lines.append(line)
