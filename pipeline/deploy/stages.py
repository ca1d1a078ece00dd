"""Stages of a run: each leaves its files in the run's folder, and is skipped while what it came from is the same."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from netx.errors import FormatError, MonospikeError
from netx.foreign import listed
from netx.text_files import read_json
from pipeline.core.files import file_digest, write_json

_OF_DAMAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError)
"""What reading a file raises that is not what it should be, where nobody has thought of that."""


class StageError(MonospikeError):
    """A stage that cannot start."""


class Context(Protocol):
    """What the steps of a run share."""

    @property
    def folder(self) -> Path:
        """The run's folder."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What results depend on beside files of other stages and code, as JSON values by name."""

    def code(self, function: Callable[..., Any]) -> str:
        """Digest of the code that a step's function reaches."""


ContextT = TypeVar("ContextT", bound=Context)


@dataclass(frozen=True)
class Step(Generic[ContextT]):
    """One stage of a run.

    function: does the work, writing files into the run's folder; returns what came of it, in a line.
    needs: names of the stages whose files it reads.
    settings: names of what it depends on among the context's.
    outputs: patterns of the files it writes, relative to the run's folder; all in its own folder where none is given.
    """

    name: str
    function: Callable[[ContextT], str]
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """Of all files that it writes."""
        return self.outputs or (f"{self.name}/**/*",)


class _Record(BaseModel):
    """What a finished stage leaves of itself. files: digests by their paths in the run's folder."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    fingerprint: str
    outputs: list[str]
    files: dict[str, str]
    seconds: float
    summary: str


@dataclass(frozen=True)
class StepResult:
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


def run_step(step: Step[ContextT], context: ContextT, force: bool = False) -> StepResult:
    """Do the step's work, unless its record says that this has been done with these settings and inputs by this code.

    ``force`` does it anyway. Raises StageError when a stage it needs has not been done.
    """
    folder, fingerprint = context.folder, _fingerprint(step, context)
    record = read_record(folder, step.name)
    if not force and record and _is_of(record, fingerprint, folder):
        return StepResult(step.name, True, record["seconds"], record["summary"])
    _record_path(folder, step.name).unlink(missing_ok=True)
    started = time.monotonic()
    try:
        summary = step.function(context)
    except _OF_DAMAGE as error:
        altered = _altered(step, context)
        if not altered:
            raise
        files = listed(str(context.folder / name) for names in altered.values() for name in names)
        raise StageError(
            f"stage {step.name!r} cannot read what others have left ({type(error).__name__}: {error}); altered since "
            f"then: {files}; make it again with --from {next(iter(altered))}"
        ) from error
    seconds = round(time.monotonic() - started, 3)
    record = {
        "fingerprint": fingerprint,
        "outputs": step.patterns,
        "files": _digests(folder, step.patterns),
        "seconds": seconds,
        "summary": summary,
    }
    write_json(_record_path(folder, step.name), record)
    return StepResult(step.name, False, seconds, summary)


def _altered(step: Step[ContextT], context: ContextT) -> dict[str, list[str]]:
    """Files of the stages that ``step`` needs which are not what these have left, by stage."""
    found = {}
    for stage in step.needs:
        files: dict[str, str] = (read_record(context.folder, stage) or {"files": {}})["files"]
        altered = [name for name, digest in files.items() if not _unchanged(context.folder, {name: digest})]
        if altered:
            found[stage] = altered
    return found


def is_outdated(step: Step[ContextT], context: ContextT) -> bool:
    """Whether the step has been done with other settings or inputs, by other code, or its files were changed.

    Raises StageError when a stage it needs has not been done.
    """
    record = read_record(context.folder, step.name)
    return record is not None and not _is_of(record, _fingerprint(step, context), context.folder)


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """The record a finished stage left; None where there is none, or it is damaged: the stage is then done again."""
    try:
        return _Record.model_validate(read_json(_record_path(folder, name))).model_dump()
    except (FormatError, ValidationError):
        return None


def _is_of(record: Mapping[str, Any], fingerprint: str, folder: Path) -> bool:
    return bool(record["fingerprint"] == fingerprint and _unchanged(folder, record["files"]))


def _record_path(folder: Path, name: str) -> Path:
    return folder / "stages" / f"{name}.json"


def _fingerprint(step: Step[ContextT], context: ContextT) -> str:
    inputs = {}
    for name in step.needs:
        record = read_record(context.folder, name)
        if record is None:
            raise StageError(
                f"stage {step.name!r} needs stage {name!r}, which has not been finished in {context.folder}: "
                f"run again with --from {name}"
            )
        inputs[name] = _digests(context.folder, record["outputs"])
    settings = {name: context.settings[name] for name in step.settings}
    text = json.dumps([step.name, settings, inputs, context.code(step.function)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _unchanged(folder: Path, files: Mapping[str, str]) -> bool:
    return all((folder / name).is_file() and file_digest(folder / name) == digest for name, digest in files.items())


def _digests(folder: Path, patterns: Iterable[str]) -> dict[str, str]:
    """SHA-256 of every file that a stage wrote, by its path in the run's folder.

    Hidden ones are none: what is being written, or was when its writer was killed.
    """
    found = {path.relative_to(folder) for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    files = sorted(path for path in found if not any(part.startswith(".") for part in path.parts))
    return {path.as_posix(): file_digest(folder / path) for path in files}
