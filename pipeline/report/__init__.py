"""The report of a run: report.json, one self-contained report.html, and tracking.gif."""

from pipeline.report.figures import Figures, ReportError, TrackedSequence
from pipeline.report.report import validate, write_report
from pipeline.report.sections import (
    activity_section,
    energy_section,
    file_entry,
    headroom_section,
    network_section,
    package_versions,
)

__all__ = [
    "Figures",
    "ReportError",
    "TrackedSequence",
    "activity_section",
    "energy_section",
    "file_entry",
    "headroom_section",
    "network_section",
    "package_versions",
    "validate",
    "write_report",
]
