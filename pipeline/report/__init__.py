"""The report of a run: report.json, one self-contained report.html, and tracking.gif."""

from pipeline.report.figures import Figures, ReportError, TrackedSequence
from pipeline.report.report import validate, write_report

__all__ = ["Figures", "ReportError", "TrackedSequence", "validate", "write_report"]
