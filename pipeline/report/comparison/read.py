"""The report of a run, read back without trust."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netx.errors import FormatError
from netx.text_files import read_json
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
    if not path.is_file():
        raise FormatError(f"{path}: there is no such file; only finished deployments have a report to compare")
    try:
        report = read_json(path)
    except FormatError as error:
        raise FormatError(f"{error}; run monospike deploy again with --from report") from None
    try:
        validate(report)
    except ReportError as error:
        first = str(error).splitlines()[1:2]
        raise FormatError(
            f"{path}: is damaged or another release's ({''.join(first).strip()}); run monospike deploy again"
        ) from None
    return FinishedRun(folder, dict(report))
