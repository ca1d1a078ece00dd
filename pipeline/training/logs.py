"""What a training leaves to be looked at: lines of JSON, and TensorBoard's events where it is installed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from netx.files import append_line, write_whole

LOG = "log.jsonl"
"""In a training's folder, a line for each step that is told of."""

Curve: TypeAlias = list[tuple[int, float]]
"""Steps and values."""

_TAIL = 1 << 16
"""Bytes at the end of a log in which its last line is looked for."""

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
        self._lines = folder / LOG
        kept = [{"step": step, **values} for step, values in _lines(_text(self._lines)) if step <= first]
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


def curves(log: Path) -> dict[str, Curve]:
    """What a log tells of, by name; lines that are cut off and values that are no finite number are left out. Nothing
    where there is no such file."""
    found: dict[str, Curve] = {}
    for step, values in _lines(_text(log)):
        for name, value in values.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                found.setdefault(name, []).append((step, float(value)))
    return found


def last_step(log: Path) -> int:
    """The last step that a log tells of, from its end alone; 0 where it tells of none, or is not there."""
    if not log.is_file():
        return 0
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        text = file.read().decode("utf-8", "replace")
    return max((step for step, _ in _lines(text)), default=0)


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""


def _lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The whole lines: step, and values by name."""
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict) and type(step := values.pop("step", None)) is int:
            yield step, values


def _tensorboard(folder: Path, first: int) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first + 1)
