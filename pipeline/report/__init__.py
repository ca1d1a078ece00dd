"""The report of a run: report.json, one self-contained report.html, and tracking.gif."""

from pipeline.report.figures import ChipFront, Figures, ReportError, TrackedSequence
from pipeline.report.report import validate, validate_part, write_report

__all__ = ["ChipFront", "Figures", "ReportError", "TrackedSequence", "validate", "validate_part", "write_report"]
