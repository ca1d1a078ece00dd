"""The configuration of a deployment: one YAML file, every key checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_serializer

from pipeline.core.config import ConfigError, Section, parse_config, read_values
from pipeline.datasets.config import DataConfig
from pipeline.tasks.tracking.config import TrackerConfig


class SimulateConfig(Section):
    """What every engine is run on."""

    frames: int = Field(24, ge=1, le=10_000, description="real frames, of the first sequence; at most its length - 1")
    lava_convolution: Literal["stock", "fast"] = Field(
        "stock", description="Lava's own model, or a drop-in of matrix products that is tested to give the same bits"
    )
    lava_seconds: float = Field(300, gt=0, description="time limit of one Lava run")


class ProfileConfig(Section):
    """Energy tables to price the network with, and chips to plan it on, by name."""

    energy: tuple[str, ...] = Field(("horowitz_45nm_fp32", "horowitz_45nm_int8", "loihi1_davies2018"), min_length=1)
    chips: tuple[str, ...] = Field(
        ("loihi2", "loihi1_sanafe"), description="to map the search branch on: names, or files NAME.yaml"
    )


class RunConfig(Section):
    """One whole run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="the run's folder is runs/NAME")
    seed: int = Field(1, ge=0, lt=2**31)
    data: DataConfig = DataConfig()
    model: str = Field(description="packaged model, or checkpoint of monospike train")
    training: str | None = Field(
        None, description="configuration of monospike train by which --retrain trains the model: a file, or a name"
    )
    tracker: TrackerConfig = TrackerConfig()
    simulate: SimulateConfig = SimulateConfig()
    profile: ProfileConfig = ProfileConfig()
    search: Path | None = Field(
        None, description="folder of a finished monospike search, whose Pareto fronts the report shows"
    )

    @field_serializer("tracker")
    def _what_is_changed(self, tracker: TrackerConfig) -> dict[str, Any]:
        """What a file gives alone: written out, a default would count as a change of what is published."""
        return tracker.model_dump(mode="json", exclude_unset=True)


def load_config(path: Path) -> RunConfig:
    """Read and check the YAML configuration of a run.

    Raises ConfigError as ``read_config`` does, and where the file is of the form that older releases had.
    """
    values = read_values(path)
    if old := [key for key in ("student", "train") if key in values]:
        raise ConfigError(
            f"{path}: {' and '.join(old)}: no longer belong here. Name a trained model with 'model'; what trains it is "
            "a configuration of monospike train, which 'training' names for --retrain"
        )
    return parse_config(values, RunConfig, str(path))
