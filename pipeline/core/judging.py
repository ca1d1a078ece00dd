"""What a study asks of a task: where its models are judged and by which figures, and what a frame costs them.

A study trains, waits, compares and writes down; it knows this protocol, and no task. ``pipeline.core.task.Task.judge``
gives it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.core.config import Section
from pipeline.core.operations import Work

Form = Literal["float", "integer"]
"""In which a model is judged: on real-valued weights, or as the integers of the chip."""


@dataclass(frozen=True)
class Figure:
    """A score between 0 and 1, of which more is better. key: in files of scores. label: in tables."""

    key: str
    label: str


@dataclass(frozen=True)
class Still:
    """What an answer that never changes scores, which every model has to beat. model: what ``monospike evaluate`` calls
    it. words: such as "a box that never moves"."""

    model: str
    words: str


class BenchmarkSection(Section):
    """Where models are evaluated: see ``monospike evaluate``. A task says in its own what tells one from another.

    without: runs whose models are not evaluated there.
    """

    name: str = Field(description="as monospike evaluate has it")
    forms: Literal["all", "deployed"] = Field("all", description="deployed: integers only, of a model that has them")
    without: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What tables and goals call it."""
        return self.name

    @property
    def data_name(self) -> str:
        """What is called after its data in files."""
        return self.name

    @property
    def file_name(self) -> str:
        """What files of its scores are called after."""
        return self.title.replace(", ", "-").replace(" ", "-")

    def shown(self) -> dict[str, Any]:
        """What it shows a model, as JSON values in an order that stays: scores of another are others. Which models it
        is shown to does not matter."""
        return self.model_dump(mode="json", exclude={"without"})


class Judge(ABC):
    """How one task's models are judged.

    benchmark_type: an entry of a study's ``benchmarks``. usual_benchmarks: those of a study that has none, as in its
    file; a task without any wants the study to say. figures: the first is what is meant where none is named. part,
    parts: what a score is also had one by one of, such as sequence and sequences. own_losses: kinds of losses that a
    model learns by itself, without a teacher. still: None where a task has no such answer. code: modules that scores
    and counts come from; changes elsewhere leave them as they are. frame, scopes: for people, what is counted of a
    frame, and what of it the backbone is.
    """

    benchmark_type: ClassVar[type[BenchmarkSection]]
    usual_benchmarks: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    figures: ClassVar[tuple[Figure, ...]]
    part: ClassVar[str]
    parts: ClassVar[str]
    own_losses: ClassVar[tuple[str, ...]]
    still: ClassVar[Still | None] = None
    code: ClassVar[tuple[str, ...]]
    frame: ClassVar[str]
    scopes: ClassVar[str]

    @property
    def main(self) -> Figure:
        """The figure that is meant where none is named."""
        return self.figures[0]

    def figure(self, key: str | None) -> Figure:
        """By its key; None for ``main``. Raises KeyError where there is none."""
        return self.main if key is None else {figure.key: figure for figure in self.figures}[key]

    @abstractmethod
    def time_steps(self, architecture: Any) -> int | None:
        """Of a model's architecture; None where it doesn't spike. At one step a model has integers, too."""

    @abstractmethod
    def size(self, benchmark: Any) -> int:
        """How many answers an evaluation there keeps. Raises MonospikeError where its data are not there."""

    @abstractmethod
    def test_folders(self, benchmark: Any) -> Iterable[Path]:
        """Where what models are judged on lies."""

    @abstractmethod
    def training_folders(self, config: Any) -> Iterable[Path]:
        """Where a training, and its validation, read from."""

    @abstractmethod
    def arguments(self, model: str, form: Form, benchmark: Any, out: Path) -> tuple[str, ...]:
        """What follows ``monospike`` in the command that writes the scores of a model to ``out``."""

    def alone(self, address: str | None) -> tuple[str, ...]:
        """Arguments by which such a command takes one process alone, or runs on the Ray cluster at ``address``: several
        commands run at a time as it is. Raises MonospikeError where it cannot run there."""
        del address
        return ()

    @abstractmethod
    def finished(self, out: Path) -> int:
        """How many answers of an evaluation that writes to ``out`` are kept by now, also by commands before."""

    @abstractmethod
    def scores(self, content: Mapping[str, Any], benchmark: Any) -> dict[str, Any]:
        """The figures by key in a file of scores, and under ``parts`` the main one of each part; None for one that
        could not be had."""

    @abstractmethod
    def words(self, benchmark: Any) -> str:
        """How models are judged there, for people."""

    @abstractmethod
    def counting(self, benchmark: Any) -> Callable[[Path], Work]:
        """What counts a frame's work of the model in a checkpoint, on frames of that benchmark: the same for all."""
