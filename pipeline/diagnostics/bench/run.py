"""Measurements into a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from netx import FormatError, MonospikeError
from netx.files import write_whole
from pipeline.core.progress import Progress
from pipeline.diagnostics.bench.benchmarks import BENCHMARKS


def bench_to_file(letters: Sequence[str] | None, runs: int, path: Path, progress: Progress) -> None:
    """Measure what the letters and names stand for, or everything, and put it into the JSON file ``path``, one by one.

    Entries of other letters stay; without letters, a measurement that fails is left out with a word. Raises
    MonospikeError for an unknown letter or when a measurement that was asked for fails, FormatError when the file is
    there and is something else, or cannot be written.
    """
    chosen = list(BENCHMARKS) if letters is None else [letter.strip() for letter in letters]
    for letter in chosen:
        if letter not in BENCHMARKS:
            known = "; ".join(f"{key}: {benchmark.title}" for key, benchmark in BENCHMARKS.items())
            raise MonospikeError(f"there is no measurement {letter!r}; there are {known}")
    entries = _read(path)
    for letter in chosen:
        benchmark = BENCHMARKS[letter]
        progress.say(f"{letter}  {benchmark.title} ...")
        try:
            measure = benchmark.measure(runs)
        except MonospikeError as error:
            if letters is not None:
                raise
            progress.say(f"{letter}  left out: {error}")
            continue
        theirs = "" if measure.theirs_s is None else f", theirs {measure.theirs_s:.4g} s"
        progress.say(f"{letter}  {measure.ratio:.3g} (goal: {measure.goal}); ours {measure.ours_s:.4g} s{theirs}")
        entries[letter] = {key: value for key, value in asdict(measure).items() if value != {}}
        _write(path, entries)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: is not a file of measurements ({error}); name another with --out") from None
    if not isinstance(entries, dict):
        raise FormatError(f"{path}: is not a file of measurements; name another with --out")
    return entries


def _write(path: Path, entries: dict[str, Any]) -> None:
    try:
        with write_whole(path) as temporary:
            text = json.dumps(dict(sorted(entries.items())), indent=1)
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror or error})") from None
