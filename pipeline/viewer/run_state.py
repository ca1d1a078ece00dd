"""How far a run is and what it has come to, read from its folder alone; nothing is written there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from netx.errors import FormatError, MonospikeError
from netx.text_files import read_json
from pipeline.core.config import read_values
from pipeline.deploy.layout import CONFIG_FILE, EVALUATION, STAGES, VERDICT
from pipeline.deploy.stages import read_record
from pipeline.report.report import validate_part
from pipeline.training.logs import LOG, last_step
from pipeline.viewer.losses import logs

METRICS, SEARCH, STUDY = "metrics.json", "search.json", "results.json"
"""What trainings, searches and studies leave when they are done."""

_LOCK = ".lock"
"""Held by who works in a folder: ``netx.files.alone_in``."""

_PRUNING = "pruning.json"
_SHOWN_SCORES = 3


class Kind(str, Enum):
    """What made a folder."""

    DEPLOYMENT = "deployment"
    TRAINING = "training"
    SEARCH = "search"
    STUDY = "study"


class StageState(str, Enum):
    """How far a stage is. Without a lock in the folder nobody can say that one runs: it is open."""

    DONE = "done"
    RUNNING = "running"
    OPEN = "open"


@dataclass(frozen=True)
class Stage:
    """One stage of a deployment. seconds, summary: of its work, once it is done."""

    name: str
    state: StageState
    seconds: float | None = None
    summary: str = ""


@dataclass(frozen=True)
class RunState:
    """One run.

    running: whether somebody works there now. stages: of a deployment. identical: the verdict, None where there is none
    yet. scores: metrics by form of the model, a number each. headline: what it has come to, in a line. problem: why it
    cannot be read, in a line; then there is nothing else. changed: seconds since 1970.
    """

    name: str
    folder: Path
    kind: Kind
    task: str = ""
    running: bool = False
    stages: tuple[Stage, ...] = ()
    identical: bool | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    headline: str = ""
    problem: str | None = None
    changed: float = 0.0

    @property
    def progress(self) -> str:
        """``running``, ``done``, or ``stopped`` when it is neither."""
        if self.running:
            return "running"
        finished = {
            Kind.DEPLOYMENT: bool(self.stages) and all(stage.state is StageState.DONE for stage in self.stages),
            Kind.TRAINING: (self.folder / METRICS).is_file() or bool(self.scores),
        }
        return "done" if finished.get(self.kind, True) else "stopped"

    def as_json(self) -> dict[str, Any]:
        """JSON values: docs/runs.md has the keys."""
        values = asdict(self)
        values["stages"] = [{**stage, "state": stage["state"].value} for stage in values["stages"]]
        return {**values, "folder": str(self.folder), "kind": self.kind.value, "progress": self.progress}


def is_run(folder: Path) -> bool:
    """Whether ``folder`` looks like a run's."""
    return any((folder / name).exists() for name in (CONFIG_FILE, "stages", SEARCH, LOG))


def read_run(folder: Path) -> RunState:
    """The run in ``folder``. Raises MonospikeError where there is none; where it cannot be read, its ``problem`` says
    why."""
    if not folder.is_dir():
        raise MonospikeError(f"{folder}: there is no such folder; monospike runs lists the runs that there are")
    if not is_run(folder):
        raise MonospikeError(
            f"{folder}: is no run: it has neither {CONFIG_FILE} nor stages; monospike runs lists those that there are"
        )
    kind = Kind.TRAINING
    try:
        config = read_values(folder / CONFIG_FILE) if (folder / CONFIG_FILE).is_file() else {}
        kind = _kind(folder, config)
        read = {Kind.DEPLOYMENT: _deployment, Kind.TRAINING: _training, Kind.SEARCH: _search, Kind.STUDY: _study}
        return read[kind](folder, config)
    except (MonospikeError, OSError) as error:
        why = " ".join(str(error).split())
        return RunState(folder.resolve().name, folder, kind, problem=why, changed=_changed(folder))


def _values(path: Path) -> Any:
    """JSON values of a file; None where there is none. Raises FormatError that names it where it is damaged."""
    return read_json(path) if path.exists() else None


def _kind(folder: Path, config: Mapping[str, Any]) -> Kind:
    if (folder / SEARCH).is_file() and not (folder / "stages").is_dir():
        return Kind.SEARCH
    if (folder / STUDY).is_file() and not config:
        return Kind.STUDY
    if "losses" in config or (folder / LOG).is_file():
        return Kind.TRAINING
    return Kind.DEPLOYMENT


def _common(folder: Path, kind: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    name, task = config.get("name"), config.get("task")
    return {
        "name": name if isinstance(name, str) else folder.resolve().name,
        "folder": folder,
        "kind": kind,
        "task": task if isinstance(task, str) else "tracking" if kind is Kind.DEPLOYMENT else "",
        "running": is_held(folder),
        "changed": _changed(folder),
    }


def _deployment(folder: Path, config: Mapping[str, Any]) -> RunState:
    if not isinstance(config.get("model"), str):
        raise FormatError(
            f"{folder / CONFIG_FILE}: is that of another release's run; run monospike deploy again with a configuration"
        )
    common = _common(folder, Kind.DEPLOYMENT, config)
    verdict, evaluation = _values(folder / VERDICT), _values(folder / EVALUATION)
    if verdict is not None:
        validate_part("verification", verdict, f"{folder / VERDICT}: damaged, or of another release")
    scores, headline = _evaluated(evaluation, folder / EVALUATION)
    return RunState(
        **common,
        stages=_stages(folder, common["running"]),
        identical=None if verdict is None else verdict["identical"],
        scores=scores,
        headline=headline,
    )


def _stages(folder: Path, running: bool) -> tuple[Stage, ...]:
    """The first one without a record is the one that runs, if any does."""
    stages = []
    for name in STAGES:
        record = read_record(folder, name)
        if record is None:
            stages.append(Stage(name, StageState.RUNNING if running else StageState.OPEN))
            running = False
        else:
            stages.append(Stage(name, StageState.DONE, float(record["seconds"]), str(record["summary"])))
    return tuple(stages)


def _evaluated(evaluation: Any, path: Path) -> tuple[dict[str, dict[str, float]], str]:
    if evaluation is None:
        return {}, ""
    try:
        return _numbers(evaluation["scores"]), str(evaluation["headline"])
    except (KeyError, TypeError, AttributeError):
        raise FormatError(f"{path}: holds no scores; run monospike deploy again with --from profile") from None


def _training(folder: Path, config: Mapping[str, Any]) -> RunState:
    common = _common(folder, Kind.TRAINING, config)
    found = _values(folder / METRICS)
    if found is None and isinstance(pruned := _values(folder / _PRUNING), list):
        found = {f"T{row.get('time_steps')}": row for row in pruned if isinstance(row, dict)}
    if found is not None and not isinstance(found, dict):
        raise FormatError(f"{folder / METRICS}: holds no scores; run monospike train again")
    scores = _numbers(found or {})
    step = max((last_step(log) for log in logs(folder).values()), default=0)
    train = config.get("train")
    steps = train.get("steps") if isinstance(train, dict) else None
    at = f"step {step}" + (f" of {steps}" if isinstance(steps, int) else "")
    said = [f"{name}: {_in_words(values)}" for name, values in scores.items()]
    return RunState(**common, scores=scores, headline="; ".join(said) or at)


def _search(folder: Path, config: Mapping[str, Any]) -> RunState:
    found = _values(folder / SEARCH)
    validate_part("search", found, f"{folder / SEARCH}: damaged, or of another release")
    built = [row for row in found["candidates"] if row["reason"] is None]
    said = f"{len(found['candidates'])} candidates on {len(found['chips'])} chips, {len(built)} can be built"
    return RunState(**_common(folder, Kind.SEARCH, found["config"] | config), headline=said)


def _study(folder: Path, config: Mapping[str, Any]) -> RunState:
    found = _values(folder / STUDY)
    if not isinstance(found, dict) or not isinstance(found.get("models"), dict):
        raise FormatError(f"{folder / STUDY}: holds no study's results; run monospike study again")
    said = f"{len(found['models'])} models, {len(found.get('failed') or ())} failed"
    settings = found.get("config")
    return RunState(**_common(folder, Kind.STUDY, settings if isinstance(settings, dict) else config), headline=said)


def _numbers(scores: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Scores that are one number each, by form of the model; counts of samples are no scores."""
    return {
        form: {
            name: float(value)
            for name, value in values.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        }
        for form, values in scores.items()
        if isinstance(values, dict)
    }


def _in_words(values: Mapping[str, float]) -> str:
    fractions = {name: value for name, value in values.items() if value != int(value)} or values
    return ", ".join(f"{name} {value:.3f}" for name, value in list(fractions.items())[:_SHOWN_SCORES])


def is_held(folder: Path) -> bool:
    """Whether a process of this machine holds the folder's lock, as Linux tells in /proc/locks; nothing is locked to
    find out, as that would keep others out."""
    try:
        lock = (folder / _LOCK).stat().st_ino
        rows = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return False
    # "1: FLOCK ADVISORY WRITE 5847 fe:00:6030705 0 EOF" (proc_locks(5)); who waits has an arrow more
    return any(row[1] == "FLOCK" and row[3] == "WRITE" and row[5].endswith(f":{lock}") for row in rows if len(row) > 5)


def _changed(folder: Path) -> float:
    """When a file last changed, of those by which a run is followed."""
    files = [folder, folder / VERDICT, folder / EVALUATION, *(folder / "stages").glob("*.json"), *logs(folder).values()]
    return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
