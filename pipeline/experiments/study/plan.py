"""What a study has to train: every run with every seed, as a training of its own, after those that it starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.config import ConfigError, read_values
from pipeline.core.judging import Form, Judge
from pipeline.experiments.study.config import RunEntry, StudyConfig
from pipeline.tasks.config import TrainingConfig, parse_training


@dataclass(frozen=True)
class Candidate:
    """A model that a training leaves. label: what tables call it. time_steps: None where it doesn't spike."""

    label: str
    run: str
    seed: int
    model: str
    time_steps: int | None
    config: TrainingConfig
    checkpoint: Path

    @property
    def forms(self) -> tuple[Form, ...]:
        """Those that it has, that for the chip last: integers are those of one time step."""
        return ("float", "integer") if self.time_steps == 1 else ("float",)


@dataclass(frozen=True)
class Training:
    """One run with one seed. folder: what it leaves lies there. needs: the trainings whose models it starts from.
    judge: of its task."""

    run: str
    seed: int
    folder: Path
    config: TrainingConfig
    needs: tuple[str, ...]
    judge: Judge

    @property
    def name(self) -> str:
        """Tells it from the study's other trainings."""
        return f"{self.run}, seed {self.seed}"

    @property
    def stages(self) -> tuple[tuple[Path, int], ...]:
        """Folder and steps of what is trained one after the other: one, or those of pruning."""
        pruning, steps = self.config.pruning, self.config.train.steps
        if pruning is None:
            return ((self.folder, steps),)
        each = pruning.steps or (steps,) * len(pruning.time_steps)
        return tuple((self.folder / f"T{t}", n) for t, n in zip(pruning.time_steps, each, strict=True))

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The models that it leaves."""
        trained = {name: entry for name, entry in self.config.models.items() if entry.trained}
        found = []
        for folder, _ in self.stages:
            for name, entry in trained.items():
                stage = () if folder == self.folder else (folder.name,)
                label = "/".join((self.run, *stage, *((name,) if len(trained) > 1 else ())))
                steps = self.judge.time_steps(entry.architecture)
                if stage and steps is not None:
                    steps = int(folder.name[1:])
                path = folder / f"{name}.safetensors"
                found.append(Candidate(label, self.run, self.seed, name, steps, self.config, path))
        return tuple(found)


def plan(
    study: StudyConfig[Any], home: Path, folder: Path, seeds: Sequence[int], only: Sequence[str]
) -> list[Training]:
    """The trainings, each after those that it needs.

    home: folder of the study's file, which names other files. folder: the study's, for what it leaves. seeds: of those
    that the runs have. only: runs, together with those that they need; none for all.

    Raises ConfigError, naming run and key, when one cannot be what it says.
    """
    entries = {name: _whole_entry(study, name) for name in study.runs}
    trainings: list[Training] = []
    for name in _in_order(entries, only):
        for seed in _seeds(study, entries[name]):
            trainings.append(_training(study, entries, name, seed, home, folder, trainings))
    wanted = {t.name for t in trainings if t.seed in seeds}
    for training in reversed(trainings):  # what is needed comes before, whatever its seed
        if training.name in wanted:
            wanted.update(training.needs)
    if not wanted:
        raise ConfigError(f"no run of the study has the seed {', '.join(map(str, seeds))}")
    return [training for training in trainings if training.name in wanted]


def _seeds(study: StudyConfig[Any], entry: RunEntry) -> tuple[int, ...]:
    return entry.seeds or study.seeds


def _whole_entry(study: StudyConfig[Any], name: str, within: tuple[str, ...] = ()) -> RunEntry:
    """A run's entry with what it takes from others."""
    entry = study.runs[name]
    if name in within:
        raise ConfigError(f"runs.{name}.like: {' -> '.join((*within, name))} ends where it began")
    if entry.like is None:
        return entry
    base = _whole_entry(study, entry.like, (*within, name))
    own = entry.model_dump(exclude_unset=True, exclude={"like"})
    merged = {
        **base.model_dump(exclude_unset=True, exclude={"about"}),
        **own,
        "set": {**base.set, **entry.set},
        "weights": {**base.weights, **entry.weights},
    }
    if entry.only or entry.without:  # one of the two, of which the run's own counts
        merged.pop("without" if entry.only else "only", None)
    return RunEntry.model_validate(merged)


def _in_order(entries: Mapping[str, RunEntry], only: Sequence[str]) -> list[str]:
    """Runs, each after those whose weights it starts from."""
    order: list[str] = []

    def add(name: str, within: tuple[str, ...]) -> None:
        if name in within:
            raise ConfigError(f"runs.{name}.weights: {' -> '.join((*within, name))} ends where it began")
        if name in order:
            return
        for source in entries[name].weights.values():
            add(source.split("/")[0], (*within, name))
        order.append(name)

    for name in only or entries:
        if name not in entries:
            raise ConfigError(f"there is no run {name!r} in the study, only {', '.join(entries)}")
        add(name, ())
    return order


def _training(
    study: StudyConfig[Any],
    entries: Mapping[str, RunEntry],
    run: str,
    seed: int,
    home: Path,
    folder: Path,
    before: Sequence[Training],
) -> Training:
    """before: those of all runs that it may start from."""
    entry = entries[run]
    assert entry.config is not None, "an entry that is like no other has one"
    path, where = home / entry.config, f"runs.{run}"
    values = read_values(path)
    for key, value in entry.set.items():
        _assign(values, key, deepcopy(value), where)
    if entry.losses:
        values["losses"] = [*(values.get("losses") or []), *entry.losses]
    _choose_losses(values, entry, study.judge.own_losses, where)
    needs = []
    for model, source in entry.weights.items():
        other, *rest = source.split("/")
        if not rest:
            raise ConfigError(f"{where}.weights.{model}: {source!r} names no model; write it as RUN/MODEL")
        from_seed = _seed_of(study, entries, other, seed, where)
        needs.append(f"{other}, seed {from_seed}")
        if isinstance(models := values.get("models"), dict) and model not in models:
            [source_of] = [training for training in before if training.name == needs[-1]]
            models[model] = _as_it_was(source_of, rest, f"{where}.weights.{model}: {source!r}")
        checkpoint = folder / other / f"seed{from_seed}" / Path(*rest)
        _assign(values, f"models.{model}.weights", f"{checkpoint}.safetensors", f"{where}.weights")
    values |= {"seed": seed, "name": f"seed{seed}"}
    _, config = parse_training(values, f"{where} ({path.name})")
    if config.task != study.task:
        raise ConfigError(f"{where} ({path.name}): trains for the task {config.task!r}; the study is of {study.task!r}")
    return Training(run, seed, folder / run / f"seed{seed}", config, tuple(dict.fromkeys(needs)), study.judge)


def _as_it_was(training: Training, way: Sequence[str], where: str) -> dict[str, Any]:
    """An entry of ``models`` for what a training has left, which is not trained on. way: stage and name."""
    *stage, name = way
    if name not in training.config.models:
        raise ConfigError(f"{where}: {training.run} has no model {name!r}, only {', '.join(training.config.models)}")
    architecture = training.config.models[name].architecture.model_dump(mode="json")
    if stage and stage[0][1:].isdecimal():
        architecture["time_steps"] = int(stage[0][1:])
    return {"architecture": architecture, "trained": False}


def _seed_of(study: StudyConfig[Any], entries: Mapping[str, RunEntry], run: str, seed: int, where: str) -> int:
    """The seed of ``run`` that a training with ``seed`` starts from."""
    there = _seeds(study, entries[run])
    if seed in there:
        return seed
    if len(there) == 1:
        return there[0]
    raise ConfigError(f"{where}.weights: {run!r} has the seeds {', '.join(map(str, there))}, but not {seed}")


def _assign(values: Any, key: str, value: Any, where: str) -> None:
    """Set what ``key`` leads to, such as ``losses.0.weight``; sections that are not there are made."""
    *way, last = key.split(".")
    at = values
    for part in way:
        at = at[_index(at, part, key, where)] if isinstance(at, list) else at.setdefault(part, {})
        if not isinstance(at, (dict, list)):
            raise ConfigError(f"{where}: {key!r} leads through {part!r}, which holds {at!r}")
    if isinstance(at, list):
        at[_index(at, last, key, where)] = value
    else:
        at[last] = value


def _index(items: list[Any], part: str, key: str, where: str) -> int:
    if not part.isdecimal() or int(part) >= len(items):
        raise ConfigError(f"{where}: {key!r}: {part!r} is none of the {len(items)} entries, counted from 0")
    return int(part)


def _choose_losses(values: dict[str, Any], entry: RunEntry, own: Sequence[str], where: str) -> None:
    """Leave out the terms of some kinds, or all but some and those that models learn by themselves, ``own``."""
    terms = values.get("losses") or []
    kinds = [term.get("kind") for term in terms if isinstance(term, dict)]
    for name in (*entry.without, *entry.only):
        if name not in kinds:
            raise ConfigError(f"{where}: there is no loss of the kind {name!r}, only {', '.join(map(str, kinds))}")
    if entry.without:
        values["losses"] = [term for term in terms if term["kind"] not in entry.without]
    if entry.only:
        values["losses"] = [term for term in terms if term["kind"] in (*entry.only, *own)]
