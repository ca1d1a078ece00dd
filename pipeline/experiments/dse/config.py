"""The configuration of a search: one YAML file, every key checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.core.config import Section
from pipeline.datasets.config import DataConfig
from pipeline.planning.host_split import Part
from quantize.coarser import MOST_BITS

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Objective = Literal["mean_iou", "agreement", "energy", "latency", "cores"]
BETTER: dict[Objective, Literal["more", "less"]] = {
    "mean_iou": "more",
    "agreement": "more",
    "energy": "less",
    "latency": "less",
    "cores": "less",
}
"""Which way each objective is better."""


class SearchConfig(Section):
    """One whole search: every combination of what is listed is a candidate.

    Models of other widths or time steps are checkpoints of their own: they have to be trained. The others are variants
    of these without training.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="the search's folder is runs/NAME")
    seed: int = Field(1, ge=0, lt=2**31, description="of the composed sequences")
    models: dict[Name, str] = Field(min_length=1, description="by name: a packaged model, or a path of a checkpoint")
    weight_bits: tuple[Annotated[int, Field(ge=1, le=MOST_BITS)], ...] = Field(
        (MOST_BITS,), min_length=1, description="bits of a weight, sign included; 8 are those it was trained with"
    )
    thresholds: tuple[Annotated[float, Field(ge=0.01, le=100)], ...] = Field(
        (1.0,), min_length=1, description="factors of every threshold"
    )
    encoder: tuple[Part, ...] = Field(("chip",), min_length=1, description="where the first convolution runs")
    head: tuple[Part, ...] = Field(("chip",), min_length=1, description="where neck, correlation and head run")
    chips: tuple[str, ...] = Field(min_length=1, description="chips of the package, or files NAME.yaml")
    most_chips: int = Field(1, ge=1, le=1000, description="chips of one kind that a candidate may take")
    host: str = Field(
        "horowitz_45nm_fp32", description="by which energies what runs on the host is priced, as a conventional network"
    )
    objectives: tuple[Objective, ...] = Field(("mean_iou", "energy", "latency", "cores"), min_length=2)
    data: DataConfig = DataConfig(sequences=4)
    frames: int = Field(8, ge=1, le=10_000, description="of each sequence, on which operations are counted")

    @field_validator("weight_bits", "thresholds", "encoder", "head", "chips", "objectives")
    @classmethod
    def _once_each(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(values)) != len(values):
            raise ValueError("one is named twice")
        return values

    @model_validator(mode="after")
    def _has_both_sides(self) -> SearchConfig:
        if {BETTER[one] for one in self.objectives} != {"more", "less"}:
            raise ValueError(
                "objectives: need one of mean_iou and agreement, and one of energy, latency and cores: "
                "without both there is nothing to weigh"
            )
        return self
