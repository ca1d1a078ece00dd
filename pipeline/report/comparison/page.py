"""The page itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.report.comparison.read import FinishedRun
from pipeline.report.comparison.rows import tables
from pipeline.report.template import filled


def render(runs: Sequence[FinishedRun]) -> str:
    """One page with a column for each run, as HTML that loads nothing."""
    titles = _titles(runs)
    values = {
        "titles": titles,
        "runs": [(title, run.folder, run.report) for title, run in zip(titles, runs, strict=True)],
        "tables": tables(runs),
    }
    return filled(Path(__file__).parent, {}, values)


def _titles(runs: Sequence[FinishedRun]) -> list[str]:
    """The first that tells them apart: their names, their folders', or these with all that they lie in."""
    for titles in ([run.name for run in runs], [run.folder.resolve().name for run in runs]):
        if len(set(titles)) == len(titles):
            return titles
    return [str(run.folder) for run in runs]
