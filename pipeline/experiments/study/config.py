"""The configuration of a study: one YAML file, every key checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from netx.errors import MonospikeError
from pipeline.core.config import ConfigError, Section, parse_config, read_values, say_deprecated
from pipeline.core.judging import BenchmarkSection, Judge
from pipeline.tasks import DEFAULT, find_task

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
BenchmarkT = TypeVar("BenchmarkT", bound=BenchmarkSection)


class RunEntry(Section):
    """One training, done once for each seed.

    config: a training's YAML file, relative to the study's. like: another run, whose entry this one starts from; what
    both say is this one's. set: dotted key -> value, such as ``train.steps: 9`` or ``losses.0.loss.centre_weight: 0``.
    weights: model -> the checkpoint it starts from, as RUN/MODEL, or RUN/T3/MODEL for a stage of pruning; of the same
    seed, or of the only one; a model that the file does not have is that one, not trained. losses: terms after the
    file's. without, only: kinds of losses to leave out, or to keep beside those that a model learns by itself.
    """

    config: str | None = None
    like: str | None = None
    about: str | None = Field(None, description="what it is, for the tables")
    set: dict[str, Any] = Field(default_factory=dict)
    weights: dict[str, str] = Field(default_factory=dict)
    losses: tuple[dict[str, Any], ...] = ()
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    seeds: tuple[Seed, ...] | None = Field(None, min_length=1, description="in place of the study's")

    @model_validator(mode="after")
    def _has_a_source(self) -> RunEntry:
        if self.config is None and self.like is None:
            raise ValueError("needs a training's file (config) or another run (like)")
        if self.without and self.only:
            raise ValueError("says both without and only")
        return self


class _Goal(Section):
    of: str = Field(description="a model, as the tables name it: RUN, RUN/MODEL, or RUN/T1 of pruning")


class _Scored(Section):
    benchmark: str | None = Field(None, description="where, as the tables name it; none: the first")

    @field_validator("benchmark")
    @classmethod
    def _renamed(cls, benchmark: str | None) -> str | None:
        current = None if benchmark is None else re.sub(r"(\d+) looks$", r"\1 single frames", benchmark)
        if current != benchmark:
            say_deprecated(f"benchmark {benchmark!r}", repr(current))
        return current


class _Figured(_Scored):
    figure: str | None = Field(None, description="such as mean_iou or map; none: the task's first")


class RatioGoal(_Goal, _Figured):
    """A score of ``of``, in integers, over that of ``to``, in real values; means over the seeds."""

    kind: Literal["ratio"]
    to: str
    at_least: float = Field(gt=0)


class AboveGoal(_Goal, _Figured):
    """``of`` is above ``to`` by more than the spread: largest less smallest value over the seeds, of that of the two
    where it is larger; and by ``at_least``, where that is said."""

    kind: Literal["above"]
    to: str
    at_least: float | None = Field(None, gt=0, lt=1)


class RoundingGoal(_Goal, _Figured):
    """With every seed a score of ``of`` in integers differs by at most ``within`` from its own in real values."""

    kind: Literal["rounding"]
    within: float = Field(gt=0, lt=1)


class StillGoal(_Scored):
    """On every sequence (or class) the first figure of each trained model of ``of``, with every seed, is above that of
    an answer that never changes, as a box that never moves, by at least ``margin``."""

    kind: Literal["above_still", "above_fixed_box"]
    of: tuple[str, ...] = Field((), description="none: every model")
    margin: float = Field(0.05, ge=0, lt=1)


class EnergyGoal(_Goal):
    """Energy a frame of ``of`` over that of ``to``, such as its multi-step parent, with both scopes."""

    kind: Literal["energy"]
    to: str
    at_most: float = Field(gt=0)


class ParametersGoal(_Goal):
    """How many times the parameters of ``of`` go into those of ``to``."""

    kind: Literal["parameters"]
    to: str
    at_least: float = Field(gt=0)


class SpikeRateGoal(_Goal):
    """With every seed at most a share of the neurons of ``of`` spikes, mean over neurons, steps and frames."""

    kind: Literal["spike_rate"]
    at_most: float = Field(gt=0, le=1)


Goal = Annotated[
    RatioGoal | AboveGoal | RoundingGoal | StillGoal | EnergyGoal | ParametersGoal | SpikeRateGoal,
    Field(discriminator="kind"),
]


class Ablation(Section):
    """A run with all of its losses, the one without any of them, and those in between, by what the table calls them."""

    whole: str
    without: str
    rows: dict[str, str] = Field(min_length=1, description="run -> what was left out or kept")


class StudyConfig(Section, Generic[BenchmarkT]):
    """One whole study. Read it by ``read_study``: entries of ``benchmarks`` are as its task has them."""

    task: str = Field(DEFAULT, description="that all its trainings are for")
    name: Name
    seeds: tuple[Seed, ...] = Field((1, 2, 3), min_length=1)
    runs: dict[Name, RunEntry] = Field(min_length=1)
    benchmarks: tuple[BenchmarkT, ...] = Field(min_length=1)
    goals: tuple[Goal, ...] = ()
    ablation: Ablation | None = None

    @property
    def judge(self) -> Judge:
        """How the task's models are judged."""
        return find_task(self.task).judge()

    @model_validator(mode="after")
    def _names_fit(self) -> StudyConfig[BenchmarkT]:
        for name in (run for benchmark in self.benchmarks for run in benchmark.without):
            self._knows(name, "benchmarks: ")
        for name, entry in self.runs.items():
            for other in [*([entry.like] if entry.like else []), *(w.split("/")[0] for w in entry.weights.values())]:
                self._knows(other, f"runs.{name}: ")
        compared = [getattr(goal, key) for goal in self.goals for key in ("of", "to") if hasattr(goal, key)]
        models = [m for one in compared for m in ([one] if isinstance(one, str) else one)]
        if self.ablation is not None:
            models += [self.ablation.whole, self.ablation.without, *self.ablation.rows]
        for model in models:
            self._knows(model.split("/")[0])
        return self

    def _knows(self, run: str, where: str = "") -> None:
        if run not in self.runs:
            raise ValueError(f"{where}there is no run {run!r}, only {', '.join(self.runs)}")

    @model_validator(mode="after")
    def _goals_fit(self) -> StudyConfig[BenchmarkT]:
        judged = [benchmark.title for benchmark in self.benchmarks]
        if twice := [title for title in judged if judged.count(title) > 1]:
            raise ValueError(f"benchmarks: two are {twice[0]!r}, which would be judged in the same way")
        judge = self.judge
        known = [figure.key for figure in judge.figures]
        for goal in self.goals:
            if isinstance(goal, _Scored) and goal.benchmark not in (None, *judged):
                raise ValueError(
                    f"goals: there is no benchmark {goal.benchmark!r}, only {', '.join(map(repr, judged))}"
                )
            if isinstance(goal, _Figured) and goal.figure not in (None, *known):
                raise ValueError(f"goals: {self.task} has no figure {goal.figure!r}, only {', '.join(known)}")
            if isinstance(goal, StillGoal) and judge.still is None:
                raise ValueError(f"goals: {goal.kind}: {self.task} has no answer that never changes")
        return self


def read_study(path: Path) -> StudyConfig[Any]:
    """The study in a YAML file. Raises ConfigError naming the file and every key that is wrong, also where there are no
    studies of its task."""
    values = read_values(path)
    try:
        judge = find_task(str(values.get("task", DEFAULT))).judge()
    except MonospikeError as error:
        raise ConfigError(f"{path}: task: {error}") from None
    if judge.usual_benchmarks:
        values.setdefault("benchmarks", list(judge.usual_benchmarks))
    return parse_config(values, StudyConfig[judge.benchmark_type], str(path))  # type: ignore[name-defined]
