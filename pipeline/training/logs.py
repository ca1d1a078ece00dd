"""What a training leaves to be looked at: lines of JSON, and TensorBoard's events where it is installed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netx.files import append_line, write_whole

SPEED = "pairs_per_second"
"""Name of the speed in a log: of the steps since the last line, validation left out."""


class Stopwatch:
    """Steps a second between two looks at it."""

    def __init__(self, first: int) -> None:
        self._step, self._seconds = first, time.monotonic()

    def lap(self, step: int) -> float:
        """Steps a second since the last lap, of which ``step`` is the last one done."""
        steps, seconds = step - self._step, time.monotonic() - self._seconds
        self._step, self._seconds = step, self._seconds + seconds
        return steps / max(seconds, 1e-9)


class Log:
    """Numbers by step. Files of a training that goes on at step ``first`` lose what came after it."""

    def __init__(self, folder: Path, first: int) -> None:
        self._lines = folder / "log.jsonl"
        kept = [line for line in _read(self._lines) if line["step"] <= first]
        with write_whole(self._lines) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._events = _tensorboard(folder / "tensorboard", first)

    @property
    def has_tensorboard(self) -> bool:
        """Whether TensorBoard is installed."""
        return self._events is not None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of one step, by names such as ``student/class``."""
        append_line(self._lines, json.dumps({"step": step, **values}))
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def flush(self) -> None:
        """Have on disk all that was added: TensorBoard holds its events back for up to two minutes."""
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """Write what is still held back."""
        if self._events is not None:
            self._events.close()


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last one that was cut off is left out."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def _tensorboard(folder: Path, first: int) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first + 1)
