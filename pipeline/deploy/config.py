"""The configuration of a deployment: one YAML file, every key checked."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model

from netx.errors import MonospikeError
from pipeline.core.config import ConfigError, Section, parse_config, read_values
from pipeline.tasks import DEFAULT, find_task


class SimulateConfig(Section):
    """What every engine is run on."""

    frames: int = Field(24, ge=1, le=10_000, description="real frames of each target at most")
    lava_convolution: Literal["stock", "fast", "proven"] = Field(
        "proven",
        description="stock: Lava's own model; fast: a drop-in of matrix products; proven: the drop-in where Lava's own "
        "takes long, after each has given the bits of Lava's own in this run",
    )
    lava_seconds: float = Field(300, gt=0, description="time limit of one Lava run")


class ProfileConfig(Section):
    """Energy tables to price the network with, and chips to plan it on, by name."""

    energy: tuple[str, ...] = Field(("horowitz_45nm_fp32", "horowitz_45nm_int8", "loihi1_davies2018"), min_length=1)
    chips: tuple[str, ...] = Field(
        ("loihi2", "loihi1_sanafe"),
        description="to map the network on that runs at every frame: names, or files NAME.yaml",
    )


_OLD = ("student", "train")
"""Sections that a run had when it trained a student of its own."""


class RunConfig(Section):
    """One whole run. ``load_config`` reads it with the sections of its task: ``data`` and what it calls processing."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="the run's folder is runs/NAME")
    seed: int = Field(1, ge=0, lt=2**31)
    task: str = DEFAULT
    data: Section = Section()
    model: str = Field(description="packaged model, or checkpoint of monospike train")
    training: str | None = Field(
        None,
        description="configuration of monospike train, by which --retrain trains the model again: a file or a name",
    )
    simulate: SimulateConfig = SimulateConfig()
    profile: ProfileConfig = ProfileConfig()
    search: Path | None = Field(
        None, description="folder of a finished monospike search, whose Pareto fronts the report shows"
    )


@cache
def run_config(task_name: str) -> type[RunConfig]:
    """``RunConfig`` with the sections of a task. Raises MonospikeError with the tasks there are."""
    task = find_task(task_name)
    sections: dict[str, Any] = {
        "data": (task.data_config, Field(default_factory=task.data_config)),
        task.processing_key: (
            dict[str, Any],
            Field({}, description="what the model's pre- and post-processing has to be"),
        ),
    }
    return create_model("RunConfig", __base__=RunConfig, **sections)


def parse_run(values: dict[str, Any], where: str) -> RunConfig:
    """Check the values of a run's configuration. Raises ConfigError that says ``where`` and names every wrong key."""
    if old := [key for key in _OLD if key in values]:
        raise ConfigError(
            f"{where}: {' and '.join(old)}: no longer belong here. Name a trained model with 'model'; what trains it "
            "is a configuration of monospike train, which 'training' names for --retrain"
        )
    name = values.get("task", DEFAULT)
    try:
        kind = run_config(name) if isinstance(name, str) else RunConfig
    except MonospikeError as error:
        raise ConfigError(f"{where}: task: {error}") from None
    return parse_config(values, kind, where)


def load_config(path: Path) -> RunConfig:
    """Read and check the YAML configuration of a run. Raises ConfigError that names the file and every wrong key.

    A training that is no file here is looked for beside the configuration, by its path or its name.
    """
    config = parse_run(read_values(path), str(path))
    if config.training is None or Path(config.training).is_file():
        return config
    beside = [path.parent / config.training, path.parent / f"{config.training}.yaml"]
    found = next((str(file) for file in beside if file.is_file()), config.training)
    return config.model_copy(update={"training": found})
