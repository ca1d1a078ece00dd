"""The plans on chips and the search in a report: what ``planning`` and ``search`` of report.json hold."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

Value = TypeVar("Value")

Omissible: TypeAlias = Value | SkipJsonSchema[None]
"""A key that may be left out, but is never null."""

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
Range3 = Annotated[list[float], Field(min_length=3, max_length=3)]


class Part(BaseModel):
    """A part of a report: other keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Estimates(Part):
    """Low, typical and high estimate, of a frame: joules, or seconds."""

    low: Amount = Field(description="Lower estimate.")
    typical: Amount = Field(description="Typical estimate.")
    high: Amount = Field(description="Upper estimate.")


class Violation(Part):
    """One rule."""

    rule: str = Field(description="Its name.")
    where: str = Field(description="Layer, neuron or chip.")
    mend: str = Field(description="What would make it fit.")


class PlannedLayer(Part):
    """One layer."""

    name: str = Field(description="Name of the layer in the network.")
    cores: Count = Field(description="Cores that hold it; 0 where it does not fit.")
    neurons: Count = Field(description="Its neurons.")
    synapse_words: Count = Field(description="Words of synaptic memory in all its cores.")
    binding: str = Field(description="The resource of a core of which it uses the largest part.")
    used: Amount = Field(description="That part; 1 is all of it.")
    operations: dict[str, Amount] = Field(description="Operations of its cores.")
    joules: Estimates | None = Field(description="Dynamic energy of a frame; null where no energies are published.")
    units: dict[str, Estimates] | None = Field(description="The same in each unit of a core.")


class ChipEnergy(Part):
    """Energy of a frame."""

    dynamic: Estimates | None = Field(description="Of the operations; null where none are published.")
    static: Estimates | None = Field(description="Drawn whatever the chip does; null where unknown.")
    units: dict[str, Estimates] | None = Field(description="Dynamic energy in each unit.")


class SlowestCore(Part):
    """The core that the longest step waits for."""

    core: Count = Field(description="Its number.")
    layer: str = Field(description="Its layer.")
    doing: Literal["receiving", "sending"] = Field(description="What it is busy with.")


class FrameTimes(Part):
    """Times; null where no latencies are published and none was given."""

    step: Estimates = Field(description="A time step, mean over the frames.")
    interval: Estimates = Field(description="Between two frames that follow each other.")
    latency: Estimates = Field(description="From a frame's entrance to its answer.")
    reckoned: bool = Field(description="False where the time of a step was given.")
    longest_step: Omissible[Estimates] = Field(None, description="The step that takes longest.")
    barrier: Omissible[Estimates] = Field(None, description="The part of a step in which cores wait for each other.")
    slowest: Omissible[SlowestCore] = Field(None, description="The core that the longest step waits for.")


class ChipConstant(Part):
    """A constant that the figures rest on, as the chip's file has it."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(description="Its name.")
    kind: Literal["energy", "latency", "limit", "power", "accuracy"] = Field(description="What it is.")
    source: str = Field(description="Where it was published.")
    read: str = Field(description="Whether it was read there.")


class Measurement(Part):
    """One figure."""

    model_config = ConfigDict(extra="allow")

    what: str = Field(description="What was measured.")
    value: float = Field(description="The figure.")
    unit: str = Field(description="Its unit.")
    source: str = Field(description="Where it was published.")


class ChipPlan(Part):
    """The network that runs at every frame, on one chip."""

    chip: str = Field(description="Name of the chip.")
    title: str = Field(description="What it is.")
    source: str = Field(description="Where its figures come from.")
    note: str = Field(description="What the figures leave out.")
    fits: bool = Field(description="True when no design rule is violated.")
    chips: Count = Field(description="Chips used.")
    cores: Count = Field(description="Cores used.")
    violations: list[Violation] = Field(description="Design rules that the network breaks.")
    placement: Literal["by traffic", "row by row"] = Field(description="How cores were placed.")
    frames: Count = Field(description="Frames counted.")
    steps: Count = Field(description="Time steps of a frame.")
    depth: Count = Field(description="Steps from a frame's entrance to its answer.")
    layers: list[PlannedLayer] = Field(description="One entry a layer with neurons, in the network's order.")
    operations: dict[str, Amount] = Field(description="Operations of all cores.")
    joules: ChipEnergy = Field(description="Energy of a frame.")
    seconds: FrameTimes | None = Field(description="Times; null where no latencies are published and none was given.")
    unpriced: dict[str, Amount] = Field(description="Operations for which the file has no energy.")
    constants: list[ChipConstant] = Field(description="Every constant used.")
    measured: list[Measurement] = Field(description="Measured figures of whole systems.")
    warnings: list[str] = Field(description="What a reader should know of the figures.")


class SearchSettings(Part):
    """Its configuration."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(description="Name of the search.")
    models: dict[str, str] = Field(description="Checkpoints, by name.")
    objectives: list[str] = Field(description="In what candidates are weighed.")


class ChipTitle(Part):
    """One chip."""

    title: str = Field(description="What it is.")
    source: str = Field(description="Where its figures come from.")


class SearchCandidate(Part):
    """One candidate."""

    number: Positive = Field(description="Number of a candidate.")
    model: str = Field(description="Its model, by the configuration's name.")
    time_steps: int | None = Field(description="Time steps of a frame; null where the model could not be opened.")
    weight_bits: Positive = Field(description="Bits of a weight, with sign.")
    thresholds: float = Field(description="Factor of every threshold.")
    encoder: Literal["chip", "host"] = Field(description="Where the first convolution runs.")
    head: Literal["chip", "host"] = Field(description="Where neck, correlation and head run.")
    chip: str = Field(description="The chip, by name.")
    reason: str | None = Field(description="Why it cannot be built; null where it can.")
    mean_iou: float | None = Field(description="Mean IoU of tracking whole sequences.")
    agreement: float | None = Field(description="Mean IoU with the box of the real-valued weights.")
    energy: float | None = Field(description="Joules of a frame, chip and host.")
    latency: float | None = Field(description="Seconds to the answer.")
    cores: int | None = Field(description="Cores taken.")
    chips: Omissible[Count] = Field(None, description="Chips taken.")
    energy_range: Range3 | None = Field(None, description="Joules of a frame, chip and host. Low, typical and high.")
    host_energy_range: Range3 | None = Field(None, description="Joules on the host. Low, typical and high.")
    static_energy_range: Range3 | None = Field(
        None, description="Joules drawn whatever is computed. Low, typical and high."
    )
    latency_range: Range3 | None = Field(None, description="Seconds to the answer. Low, typical and high.")


class Front(Part):
    """One front."""

    objectives: list[str] = Field(description="In which objectives; those for which the chip has figures.")
    candidates: list[Positive] = Field(description="Candidates on it.")


class SearchResult(Part):
    """What a search weighed, and which candidates no other one beats: search.json of monospike search."""

    config: SearchSettings = Field(description="Its configuration.")
    command: str = Field(description="What made it.")
    versions: dict[str, str] = Field(description="Versions of packages that made it, by name.")
    chips: dict[str, ChipTitle] = Field(description="Chips, by name.")
    candidates: list[SearchCandidate] = Field(description="Every combination of what is varied.")
    front: list[Positive] = Field(
        description="Numbers of the candidates that no other one beats in all objectives, of all chips."
    )
    fronts: dict[str, Front] = Field(description="The front on each chip, by its name.")
    failed: dict[str, str] = Field(description="Variants that were lost, with the reason, by name.")
