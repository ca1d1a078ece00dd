"""All runs of a folder, as lines for people and values for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netx.errors import MonospikeError
from netx.foreign import shown
from pipeline.viewer.run_state import Kind, RunState, is_run, read_run

_HEAD = ("run", "kind", "state", "verdict", "what it has come to")


def runs_in(folder: Path) -> list[RunState]:
    """The runs in ``folder``, by name. Raises MonospikeError where there is no such folder."""
    if not folder.is_dir():
        raise MonospikeError(f"{folder}: there is no such folder; --runs names the one that holds the runs' folders")
    return [read_run(path) for path in sorted(folder.iterdir()) if path.is_dir() and is_run(path)]


def as_json(runs: Sequence[RunState]) -> dict[str, Any]:
    """JSON values: docs/runs.md has the keys."""
    return {"runs": [run.as_json() for run in runs]}


def as_text(runs: Sequence[RunState], folder: Path) -> str:
    """A table, a line a run; or that there is none."""
    if not runs:
        return f"{folder}: holds no runs; monospike deploy and monospike train make some"
    rows = [_HEAD, *(tuple(map(shown, _row(run))) for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]]).rstrip()
        for row in rows
    )


def _row(run: RunState) -> tuple[str, ...]:
    if run.problem is not None:
        return run.folder.name, "–", "unreadable", "–", run.problem
    verdict = {None: "–", True: "identical", False: "NOT identical"}[run.identical]
    return run.folder.name, run.kind.value, _state(run), verdict, run.headline


def _state(run: RunState) -> str:
    if run.kind is not Kind.DEPLOYMENT or run.progress == "done":
        return run.progress
    done = sum(stage.seconds is not None for stage in run.stages)
    return f"{run.progress}, {done} of {len(run.stages)}"
