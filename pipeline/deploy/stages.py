"""Stages of a run: each leaves its folder, and is skipped while what it came from has not changed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netx.errors import MonospikeError
from pipeline.core.files import file_digest, write_json
from pipeline.core.provenance import code_digest

STAGES = ("data", "train", "quantize", "export", "simulate", "verify", "profile", "report")
"""The stages of a deployment, in order."""


class StageError(MonospikeError):
    """A stage that cannot start."""


@dataclass(frozen=True)
class Stage:
    """One named step of a run.

    work: does the stage, writing files into the run's folder; returns what came of it, in a line.
    settings: what of the configuration it depends on, as JSON values.
    needs: names of the stages whose files it reads.
    outputs: patterns of the files it writes, relative to the run's folder.
    """

    name: str
    work: Callable[[], str]
    settings: Any
    needs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a stage. seconds, summary: of its work, now or when it was done."""

    name: str
    skipped: bool
    seconds: float
    summary: str


def select(names: Sequence[str], first: str | None, last: str | None) -> list[str]:
    """The stages from ``first`` to ``last``, both included. Raises StageError for an unknown or empty choice."""
    for name in (first, last):
        if name is not None and name not in names:
            raise StageError(f"there is no stage {name!r}; the stages are {', '.join(names)}")
    start = names.index(first) if first else 0
    end = names.index(last) if last else len(names) - 1
    if end < start:
        raise StageError(f"stage {last!r} comes before {first!r}; the order is {', '.join(names)}")
    return list(names[start : end + 1])


def run_stage(stage: Stage, folder: Path, force: bool) -> Outcome:
    """Do the stage's work, unless its record says that this has been done with these settings and inputs.

    ``force`` does it anyway. Raises StageError when a stage it needs has not been done.
    """
    fingerprint = _fingerprint(stage, folder)
    record = read_record(folder, stage.name)
    if not force and record and _is_of(record, fingerprint, folder):
        return Outcome(stage.name, True, record["seconds"], record["summary"])
    _record_path(folder, stage.name).unlink(missing_ok=True)
    started = time.monotonic()
    summary = stage.work()
    seconds = round(time.monotonic() - started, 3)
    record = {
        "fingerprint": fingerprint,
        "outputs": stage.outputs,
        "files": _digests(folder, stage.outputs),
        "seconds": seconds,
        "summary": summary,
    }
    write_json(_record_path(folder, stage.name), record)
    return Outcome(stage.name, False, seconds, summary)


def is_outdated(stage: Stage, folder: Path) -> bool:
    """Whether the stage has been done with other settings or inputs, by another program, or its files were changed.

    Raises StageError when a stage it needs has not been done.
    """
    record = read_record(folder, stage.name)
    return record is not None and not _is_of(record, _fingerprint(stage, folder), folder)


def _is_of(record: Mapping[str, Any], fingerprint: str, folder: Path) -> bool:
    return bool(record["fingerprint"] == fingerprint and _unchanged(folder, record["files"]))


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """The record a finished stage left, or None."""
    try:
        record = json.loads(_record_path(folder, name).read_text())
    except (OSError, ValueError):
        return None
    keys = {"fingerprint", "outputs", "files", "seconds", "summary"}
    return record if isinstance(record, dict) and keys <= record.keys() else None


def _record_path(folder: Path, name: str) -> Path:
    return folder / "stages" / f"{name}.json"


def _fingerprint(stage: Stage, folder: Path) -> str:
    inputs = {}
    for name in stage.needs:
        record = read_record(folder, name)
        if record is None:
            raise StageError(
                f"stage {stage.name!r} needs stage {name!r}, which has not been finished in {folder}: "
                f"run again with --from {name}"
            )
        inputs[name] = _digests(folder, record["outputs"])
    text = json.dumps([stage.name, stage.settings, inputs, code_digest()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _unchanged(folder: Path, files: Mapping[str, str]) -> bool:
    return all((folder / name).is_file() and file_digest(folder / name) == digest for name, digest in files.items())


def _digests(folder: Path, patterns: Iterable[str]) -> dict[str, str]:
    """SHA-256 of every file that a stage wrote, by its path in the run's folder."""
    files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}
