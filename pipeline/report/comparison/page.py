"""The page itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.report.comparison.read import FinishedRun
from pipeline.report.comparison.rows import tables
from pipeline.report.template import filled


def render(runs: Sequence[FinishedRun]) -> str:
    """One page with a column for each run, as HTML that loads nothing; runs of one name are told apart by folder."""
    names = [run.name for run in runs]
    titles = [run.name if names.count(run.name) == 1 else str(run.folder) for run in runs]
    values = {
        "titles": titles,
        "runs": [(title, run.folder, run.report) for title, run in zip(titles, runs, strict=True)],
        "tables": tables(runs),
    }
    return filled(Path(__file__).parent, {}, values)
