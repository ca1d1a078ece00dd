"""The configuration of a study: one YAML file, every key checked."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.core.config import Section, say_deprecated

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Figure = Literal["mean_iou", "success", "precision"]


class RunEntry(Section):
    """One training, done once for each seed.

    config: a training's YAML file, relative to the study's. like: another run, whose entry this one starts from; what
    both say is this one's. set: dotted key -> value, such as ``train.steps: 9`` or ``losses.0.loss.centre_weight: 0``.
    weights: model -> the checkpoint it starts from, as RUN/MODEL, or RUN/T3/MODEL for a stage of pruning; of the same
    seed, or of the only one. without, only: kinds of losses to leave out, or to keep beside the tracking loss.
    """

    config: str | None = None
    like: str | None = None
    about: str | None = Field(None, description="what it is, for the tables")
    set: dict[str, Any] = Field(default_factory=dict)
    weights: dict[str, str] = Field(default_factory=dict)
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


class RatioGoal(_Goal, _Scored):
    """A score of ``of``, in integers, over that of ``to``, in real values; means over the seeds."""

    kind: Literal["ratio"]
    to: str
    figure: Figure = "mean_iou"
    at_least: float = Field(gt=0)


class AboveGoal(_Goal, _Scored):
    """``of`` is above ``to`` by more than the spread: largest less smallest value over the seeds, of that of the two
    where it is larger."""

    kind: Literal["above"]
    to: str
    figure: Figure = "mean_iou"


class FixedBoxGoal(_Scored):
    """On every sequence the mean IoU of each trained model of ``of``, with every seed, is above that of a box that
    never moves by at least ``margin``."""

    kind: Literal["above_fixed_box"]
    of: tuple[str, ...] = Field((), description="none: every model")
    margin: float = Field(0.05, ge=0, lt=1)


class EnergyGoal(_Goal):
    """Energy a frame of ``of`` over that of its multi-step parent ``to``, with both scopes."""

    kind: Literal["energy"]
    to: str
    at_most: float = Field(gt=0)


class ParametersGoal(_Goal):
    """How many times the parameters of ``of`` go into those of ``to``."""

    kind: Literal["parameters"]
    to: str
    at_least: float = Field(gt=0)


Goal = Annotated[RatioGoal | AboveGoal | FixedBoxGoal | EnergyGoal | ParametersGoal, Field(discriminator="kind")]


class Ablation(Section):
    """A run with all of its losses, the one without any of them, and those in between, by what the table calls them."""

    whole: str
    without: str
    rows: dict[str, str] = Field(min_length=1, description="run -> what was left out or kept")


class BenchmarkEntry(Section):
    """Where models are evaluated: see ``monospike evaluate``. without: runs whose models are not evaluated there."""

    name: str
    root: str | None = None
    starts: int = Field(1, ge=1, description="frames from which each sequence is followed")
    single_frame: int = Field(0, ge=0, description="frames to search from each start, in place of following")
    looks: int = Field(0, ge=0, exclude=True, description="what single_frame was called; goes with the next release")
    forms: Literal["all", "deployed"] = Field("all", description="deployed: integers only, of a model that has them")
    without: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _renamed(self) -> BenchmarkEntry:
        if not self.looks:
            return self
        say_deprecated("looks", "single_frame")
        return self.model_copy(update={"single_frame": self.single_frame or self.looks, "looks": 0})

    @property
    def label(self) -> str:
        """What tables call it."""
        return ", ".join((self.name, *self._how))

    @property
    def file_name(self) -> str:
        """What files of its scores are called after."""
        return "-".join((self.name, *self._how)).replace(" ", "-")

    @property
    def _how(self) -> list[str]:
        starts = [f"{self.starts} starts"] if self.starts > 1 else []
        return [*starts, f"{self.single_frame} single frames"] if self.single_frame else starts


class StudyConfig(Section):
    """One whole study."""

    name: Name
    seeds: tuple[Seed, ...] = Field((1, 2, 3), min_length=1)
    runs: dict[Name, RunEntry] = Field(min_length=1)
    benchmarks: tuple[BenchmarkEntry, ...] = Field((BenchmarkEntry(name="shared-test"),), min_length=1)
    goals: tuple[Goal, ...] = ()
    ablation: Ablation | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> StudyConfig:
        for name in (run for benchmark in self.benchmarks for run in benchmark.without):
            if name not in self.runs:
                raise ValueError(f"benchmarks: there is no run {name!r}, only {', '.join(self.runs)}")
        for name, entry in self.runs.items():
            named = [*([entry.like] if entry.like else []), *(w.split("/")[0] for w in entry.weights.values())]
            for other in named:
                if other not in self.runs:
                    raise ValueError(f"runs.{name}: there is no run {other!r}, only {', '.join(self.runs)}")
        compared = [getattr(goal, key) for goal in self.goals for key in ("of", "to") if hasattr(goal, key)]
        models = [m for one in compared for m in ([one] if isinstance(one, str) else one)]
        if self.ablation is not None:
            models += [self.ablation.whole, self.ablation.without, *self.ablation.rows]
        for model in models:
            if model.split("/")[0] not in self.runs:
                raise ValueError(f"there is no run {model.split('/')[0]!r}, only {', '.join(self.runs)}")
        judged = [benchmark.label for benchmark in self.benchmarks]
        if len(set(judged)) != len(judged):
            raise ValueError("benchmarks: one is named twice with as many starts and single frames")
        for goal in self.goals:
            if isinstance(goal, _Scored) and goal.benchmark not in (None, *judged):
                raise ValueError(
                    f"goals: there is no benchmark {goal.benchmark!r}, only {', '.join(map(repr, judged))}"
                )
        return self
