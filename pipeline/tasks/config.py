"""What the training configurations of all tasks have in common: one YAML file, every key checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from pipeline.core.config import ConfigError, Section, parse_config, read_values
from pipeline.core.task import Task
from pipeline.tasks import find_task, task_names
from pipeline.training.config import MAIN, LearnerConfig, OnlineConfig, TermSection, TrainSettings

NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
"""Of models and learners."""


class ModelEntry(Section):
    """A model that takes part. A task narrows ``architecture`` to its own."""

    architecture: Section
    weights: str | None = Field(None, description="checkpoint to start from; a model that is not trained needs one")
    trained: bool = True
    stored: Literal["float32", "float16"] = Field(
        "float32", description="numbers in the trained model's file; float16 halves it, and is what is scored"
    )

    def started_from(self, weights: str) -> Self:
        """The same model, from a checkpoint instead of afresh."""
        return self.model_copy(update={"weights": weights})


class BackboneEntry(ModelEntry):
    """A teacher that may stand on a MobileNetV2, or a student that starts with thresholds from its first batches."""

    backbone_weights: str | None = Field(
        None, description="file of monospike backbone, which a mobilenet_v2 starts from"
    )
    calibrate: bool = Field(True, description="spiking models started afresh get their thresholds from first batches")
    rate: float = Field(0.15, gt=0, lt=1, description="share of neurons that spike then")


class ValidationSettings(Section):
    """Samples that models are scored on, of which none is trained on; a task says which."""

    every: int = Field(1000, ge=1, description="steps; after the last one it is always done")


class PruningConfig(Section):
    """Temporal pruning: the same training at fewer and fewer time steps, each from the state of the one before."""

    model: str
    time_steps: tuple[int, ...] = Field((5, 3, 1), min_length=1)
    steps: tuple[int, ...] | None = Field(None, description="training steps of each stage; None for train.steps each")

    @model_validator(mode="after")
    def _descends(self) -> PruningConfig:
        if any(later >= earlier for earlier, later in zip(self.time_steps, self.time_steps[1:], strict=False)):
            raise ValueError(f"time_steps: {list(self.time_steps)} does not descend")
        if min(self.time_steps) < 1:
            raise ValueError("time_steps: at least one step is needed")
        if self.steps is not None and (len(self.steps) != len(self.time_steps) or min(self.steps) < 1):
            raise ValueError(f"steps: give a number of at least 1 for each of the {len(self.time_steps)} stages")
        return self


class TrainingConfig(Section):
    """One whole training. A task narrows ``models``, ``losses``, ``data``, ``train`` and ``validation`` to its own."""

    task: str = Field(description="such as tracking: see pipeline.tasks")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="the run's folder is runs/NAME")
    seed: int = Field(1, ge=0, lt=2**31)
    models: Mapping[str, ModelEntry] = Field(min_length=1)
    losses: Sequence[TermSection] = Field(min_length=1)
    data: Any
    train: TrainSettings
    learners: Mapping[str, LearnerConfig] = Field(
        default_factory=dict, description="those that learn apart from the rest, which train.optimiser teaches"
    )
    online: OnlineConfig | None = Field(
        None, description="a gate on a teacher that learns beside its student; None: nothing holds it back"
    )
    validation: ValidationSettings = ValidationSettings()
    pruning: PruningConfig | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> TrainingConfig:
        trained = [name for name, entry in self.models.items() if entry.trained]
        if not trained:
            raise ValueError("models: none of them is trained")
        for name, entry in self.models.items():
            if not re.fullmatch(NAME, name):
                raise ValueError(f"models: {name!r} is no name; use letters, digits and underscores")
            if not entry.trained and entry.weights is None:
                raise ValueError(f"models.{name}: is not trained, and has no weights")
        self._losses_fit(trained)
        self._learners_fit(trained)
        if self.online is not None:
            self._gate_fits(self.online, trained)
        if self.pruning is not None:
            pruned = self.models.get(self.pruning.model)
            if pruned is None or not pruned.trained or not hasattr(pruned.architecture, "time_steps"):
                raise ValueError(f"pruning: {self.pruning.model!r} is no spiking model that is trained")
        return self

    def _losses_fit(self, trained: Sequence[str]) -> None:
        acting = [term for term in self.losses if term.acts]
        for term in self.losses:
            for name in term.models:
                if name not in self.models:
                    raise ValueError(f"losses: there is no model {name!r}, only {', '.join(self.models)}")
            if term.acts and (fixed := [name for name in term.trains if name not in trained]):
                raise ValueError(f"losses: {term.kind} teaches {fixed[0]!r}, which is not trained")
        taught = {name for term in acting for name in term.trains}
        if idle := [name for name in trained if name not in taught]:
            raise ValueError(f"losses: none of them teaches {idle[0]!r}, which is trained")

    def _learners_fit(self, trained: Sequence[str]) -> None:
        """That members which are terms are there, and learn, is seen when these have been built."""
        for name, learner in self.learners.items():
            if name == MAIN or not re.fullmatch(NAME, name):
                raise ValueError(
                    f"learners: {name!r} is no name for one; use letters, digits and underscores, and leave {MAIN!r} "
                    "to that of train.optimiser"
                )
            for member in learner.members:
                if not member.startswith("losses.") and member not in trained:
                    raise ValueError(
                        f"learners.{name}.members: {member!r} is no model that is trained, and no losses.NAME"
                    )

    def _gate_fits(self, online: OnlineConfig, trained: Sequence[str]) -> None:
        for key, name in (("student", online.student), ("teacher", online.teacher)):
            if name not in self.models:
                raise ValueError(f"online.{key}: there is no model {name!r}, only {', '.join(self.models)}")
            if name not in trained:
                raise ValueError(f"online.{key}: {name!r} is not trained: a gate is between two models that learn")
        if self.learner_of(online.teacher) is None:
            raise ValueError(
                f"online.teacher: {online.teacher!r} needs a learner of its own, whose rate the gate sets, such as "
                f"'learners: {{{online.teacher}: {{members: [{online.teacher}]}}}}'"
            )

    def learner_of(self, model: str) -> str | None:
        """Name of the learner that has this model for its one member; None where there is none."""
        return next((name for name, learner in self.learners.items() if learner.members == (model,)), None)


def read_training(path: Path) -> tuple[Task, TrainingConfig]:
    """The task that a training's YAML file names, and what the file says.

    Raises ConfigError naming the file and every key that is wrong, also where the task is missing or unknown.
    """
    return parse_training(read_values(path), str(path))


def parse_training(values: Mapping[str, Any], where: str) -> tuple[Task, TrainingConfig]:
    """``read_training`` of values that are read already. where: what errors begin with."""
    name, known = values.get("task"), task_names()
    if name is None:
        raise ConfigError(f"{where}: names no task; add the line 'task: tracking' (the tasks are {', '.join(known)})")
    if name not in known:
        raise ConfigError(f"{where}: task: there is no task {name!r}; the tasks are {', '.join(known)}")
    task = find_task(name)
    config = parse_config(values, task.training_config, where)
    assert isinstance(config, TrainingConfig), "of a task that is registered"
    return task, config
