"""What trainings have logged by step, as curves short enough to draw."""

from __future__ import annotations

from pathlib import Path

from pipeline.training import logs as training_logs
from pipeline.training.logs import LOG, Curve

MOST_POINTS = 300
"""Of a curve; of longer ones every second, third, ... point is kept, and the last."""


def logs(folder: Path) -> dict[str, Path]:
    """The logs of a run's trainings by their folder within it: its own, a deployment's, or those of pruned stages."""
    files = [folder / LOG, *sorted(folder.glob(f"*/{LOG}"))]
    return {path.parent.relative_to(folder).as_posix(): path for path in files if path.is_file()}


def curves(log: Path) -> dict[str, Curve]:
    """By name, the points of a log."""
    return {name: _thinned(curve) for name, curve in training_logs.curves(log).items()}


def _thinned(curve: Curve) -> Curve:
    step = -(-len(curve) // MOST_POINTS)
    return curve if step <= 1 else [*curve[:-1:step], curve[-1]]
