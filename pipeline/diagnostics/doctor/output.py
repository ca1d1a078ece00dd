"""An examination in words."""

from __future__ import annotations

from pipeline.diagnostics.doctor.finding import Examination, Finding, Status


def as_text(found: Examination) -> str:
    """A line for each finding, below it what to do, and what follows for the demo."""
    width = max(len(finding.key) for finding in found.findings)
    lines = [f"monospike {found.version or '(not installed)'}"]
    for finding in found.findings:
        lines.append(f"{finding.key.replace('_', ' '):{width}}  {finding.status.value:7}  {finding.says}")
        if finding.do and finding.status is not Status.WORKS:
            lines.append(f"{'':{width}}  {'':7}  -> {finding.do}")
    return "\n".join([*lines, _verdict([finding for finding in found.findings if finding.fatal])])


def _verdict(fatal: list[Finding]) -> str:
    if not fatal:
        return "the demo has what it needs"
    return f"the demo cannot run here: {', '.join(finding.key.replace('_', ' ') for finding in fatal)}"
