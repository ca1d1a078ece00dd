"""What report.json holds, key by key; ``schema.json`` is made from it: python -m pipeline.report.schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

from netx.files import write_whole
from pipeline.report.schema_planning import (
    Amount,
    ChipPlan,
    Count,
    Estimates,
    Omissible,
    Part,
    Positive,
    SearchResult,
)

FILE = Path(__file__).with_name("schema.json")

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Scores(Part):
    """How well one form of the model, or a baseline, does: the task's metrics by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)

    mean_iou: Omissible[Share] = Field(None, description="Mean intersection over union with the truth, of tracking.")


class Accuracy(Part):
    """How well the model does: its float reference, its integers, baselines, and how many samples that was seen on."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Scores | Count] = Field(init=False)

    float: Scores = Field(description="The reference, on its real-valued weights.")
    integer: Scores = Field(description="The network of integers.")


class NetworkSize(Part):
    """Size of the network."""

    layers: Count = Field(description="Layers with neurons.")
    neurons: Count = Field(description="Neurons in all layers.")
    synapses: Count = Field(description="Connections, edge-exact, those of weight zero included.")
    parameters: Count = Field(description="Stored weights and biases; what two networks share counts once.")


class ComparedLayer(Part):
    """One layer."""

    name: str = Field(description="Name of the layer in the network.")
    spikes: Count = Field(description="Spikes of the first engine in all frames; 0 for a read-out.")
    differing: Count = Field(description="Values (spikes, or integers of a read-out) that differ in any engine.")
    values: Omissible[Count] = Field(None, description="Values compared: neurons times frames.")
    differing_by_engine: Omissible[dict[str, Count]] = Field(
        None, description="Values that differ from the first engine, by engine."
    )


class Neuron(Part):
    """The neuron: all counted from 0."""

    channel: Count = Field(description="Channel.")
    row: Count = Field(description="Row.")
    column: Count = Field(description="Column.")


class FirstDivergence(Part):
    """Where the engines part."""

    layer: str = Field(description="Name of the layer in the network.")
    neuron: Neuron = Field(description="The neuron: all counted from 0.")
    frame: Count = Field(description="Frame, counted from 0.")
    values: dict[str, int] = Field(description="Membrane voltage of the neuron in weight units, by engine.")
    cause: str = Field(description="The likely cause, in words.")


class Verification(Part):
    """Whether every engine gave the same spikes and read-out integers, without tolerance."""

    identical: bool = Field(description="True when nothing differs anywhere.")
    frames: Positive = Field(description="Frames compared.")
    engines: list[str] = Field(
        min_length=2,
        json_schema_extra={"uniqueItems": True},
        description="Engines compared; the first is what the others are compared with.",
    )
    layers: list[ComparedLayer] = Field(description="One entry a layer with neurons, in the network's order.")
    first_divergence: FirstDivergence | None = Field(
        description="The first layer, neuron and frame that differ; null when none does."
    )
    file_differences: Omissible[list[str]] = Field(
        None,
        description=(
            "How networks read back from files differ from the one that was written, in words; empty when they do not."
        ),
    )
    stand_ins: Omissible[dict[str, list[str]]] = Field(
        None,
        description="By engine, the layers in which a faster model of monospike's stood in for the engine's own.",
    )


class Headroom(Part):
    """One layer."""

    layer: str = Field(description="Name of the layer in the network.")
    accumulator_bits: Count = Field(
        description="Signed bits that the worst case needs in the chip's 1/64 weight units; 24 are there."
    )
    worst_case: Count = Field(description="Largest magnitude that any input could cause, weight units.")
    limit: Positive = Field(description="Largest magnitude at which every engine agrees, weight units.")
    observed: Count = Field(description="Largest magnitude in the frames of this run, weight units.")


class LayerOperations(Part):
    """One layer."""

    name: str = Field(description="Name of the layer in the network.")
    neurons: Positive = Field(description="Neurons.")
    spikes: Amount = Field(description="Spikes that the layer's neurons send, per frame.")
    messages: Amount = Field(description="Spikes that arrive at the layer and reach a neuron of it, per frame.")
    synops: Amount = Field(description="Synaptic operations, one for every connection a spike travels, per frame.")
    effective_synops: Amount = Field(description="Synaptic operations whose weight is not zero, per frame.")
    neuron_updates: Amount = Field(description="Neurons updated, per frame.")
    active_updates: Amount = Field(description="Neurons updated to which a spike or a non-zero value came, per frame.")
    inactive_updates: Amount = Field(description="Neurons updated to which nothing came, per frame.")
    macs: Amount = Field(description="Multiply-accumulates of a layer whose input is graded, per frame.")
    dense_macs: Amount = Field(
        description="Multiply-accumulates of the same layer in a conventional network, per frame."
    )


class NetworkActivity(Part):
    """What the network did, means over the frames."""

    spikes_per_frame: Amount = Field(description="Spikes of all layers.")
    synops_per_frame: Amount = Field(description="Synaptic operations, edge-exact.")
    macs_per_frame: Amount = Field(description="Multiply-accumulates of layers with graded input, edge-exact.")
    neuron_updates_per_frame: Amount = Field(description="Neurons updated.")
    effective_synops_per_frame: Omissible[Amount] = Field(
        None, description="Synaptic operations whose weight is not zero."
    )
    dense_macs_per_frame: Omissible[Amount] = Field(
        None, description="Multiply-accumulates of a conventional network of the same shape."
    )
    layers: list[LayerOperations] = Field(description="One entry a layer with neurons.")


class Scope(Part):
    """What each estimate covers, in words."""

    low: str = Field(description="Of `low`.")
    typical: str = Field(description="Of `typical`.")
    high: str = Field(description="Of `high`.")


class EnergyConstant(Part):
    """One constant."""

    name: str = Field(description="Its name in the profile.")
    picojoules: Amount = Field(description="pJ per operation.")
    low: Amount | None = Field(
        None, description="pJ per operation by the source that says least; null where sources agree."
    )
    high: Amount | None = Field(
        None, description="pJ per operation by the source that says most; null where sources agree."
    )
    operation: str = Field(description="The operation.")
    source: str = Field(description="Where it was published.")
    read: Literal["first-hand", "second-hand"] = Field(description="Whether that was read.")
    via: str | None = Field(description="The text that quotes it, where it was read second-hand.")


class EnergyEstimate(Part):
    """One profile: a table of energies per operation."""

    joules_per_frame: Estimates
    source: str = Field(description="Where the table comes from.")
    title: Omissible[str] = Field(None, description="Title of the profile.")
    scope: Omissible[Scope] = Field(None, description="What each estimate covers, in words.")
    note: Omissible[str] = Field(None, description="What is not included.")
    constants: Omissible[list[EnergyConstant]] = Field(None, description="The energies used.")
    layers: Omissible[dict[str, Estimates]] = Field(None, description="Joules per frame by layer.")
    terms: Omissible[dict[str, Estimates]] = Field(None, description="Joules per frame by term of the profile.")
    ann_joules_per_frame: Estimates | None = Field(
        None, description="A conventional network of the same shape; null where the table lacks what it takes."
    )
    unpriced: Omissible[dict[str, Amount]] = Field(
        None, description="Operations per frame for which the table has no energy."
    )


class WrittenFile(Part):
    """One file."""

    path: str = Field(description="Relative to the run's folder.")
    sha256: Sha256 = Field(description="Of its content, hexadecimal.")
    bytes: Count = Field(description="Size in bytes.")


class Report(Part):
    """What one run found out about a deployed spiking network."""

    network: NetworkSize = Field(description="Size of the network.")
    verification: Verification = Field(
        description="Whether every engine gave the same spikes and read-out integers, without tolerance."
    )
    headroom: list[Headroom] = Field(description="One entry a layer with neurons: can its accumulator overflow?")
    activity: NetworkActivity = Field(description="What the network did, means over the frames.")
    energy: dict[str, EnergyEstimate] = Field(description="Dynamic energy by profile.")
    planning: Omissible[dict[str, ChipPlan]] = Field(
        None,
        description=(
            "The network that runs at every frame, on chips, by the chip's name: does it fit, where does it sit, "
            "what does a frame cost."
        ),
    )
    search: Omissible[SearchResult] = Field(
        None,
        description="What a search weighed, and which candidates no other one beats: search.json of monospike search.",
    )
    accuracy: Accuracy = Field(description="How well the model does on the samples of the run.")
    files: dict[str, WrittenFile] = Field(description="What the run left, by name.")
    versions: dict[str, str] = Field(description="Version of each package that took part, by name.")
    seed: int = Field(description="The seed of everything random.")
    config: dict[str, Any] = Field(description="The whole configuration, defaults filled in.")
    seconds: dict[str, Amount] = Field(description="Wall-clock seconds by stage.")
    commands: Omissible[list[str]] = Field(None, description="Commands that make this run again.")


class _Generator(GenerateJsonSchema):
    """A key that may be left out has no default to be told, and no title but its name; null is one more type."""

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        # Of two forms that a value could have had, a validator cannot tell which was meant; of two types it names both.
        value = self.generate_inner(schema["schema"])
        if isinstance(value.get("type"), str) and "enum" not in value and "const" not in value:
            return {**value, "type": [value["type"], "null"]}
        return super().nullable_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def generate(self, schema: CoreSchema, mode: Any = "validation") -> JsonSchemaValue:
        about = {"$schema": self.schema_dialect, "$id": "urn:monospike:report"}
        return {**about, **super().generate(schema, mode), "title": "monospike report"}


def schema_text() -> str:
    """The text of ``schema.json``."""
    return json.dumps(Report.model_json_schema(schema_generator=_Generator), indent=2) + "\n"


if __name__ == "__main__":
    with write_whole(FILE) as temporary:
        temporary.write_text(schema_text(), encoding="utf-8")
