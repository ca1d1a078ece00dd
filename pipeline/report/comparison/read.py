"""The report of a run, read back without trust."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netx.errors import FormatError
from pipeline.report.figures import ReportError
from pipeline.report.report import validate

FILE = "report.json"


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder and what its report.json holds."""

    folder: Path
    report: dict[str, Any]

    @property
    def name(self) -> str:
        """The run's, as its configuration has it."""
        return str(self.report["config"].get("name", self.folder.resolve().name))


def read_report(folder: Path) -> FinishedRun:
    """What ``monospike deploy`` has reported in ``folder``. Raises FormatError, in a line, where it has not, or the
    file is damaged or another release's."""
    path = folder / FILE
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(
            f"{path}: cannot be read ({error.strerror}); only finished deployments have a report to compare"
        ) from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: is no JSON ({error}); run monospike deploy again with --from report") from None
    try:
        validate(report)
    except ReportError as error:
        first = str(error).splitlines()[1:2]
        raise FormatError(
            f"{path}: is damaged or another release's ({''.join(first).strip()}); run monospike deploy again"
        ) from None
    return FinishedRun(folder, dict(report))
