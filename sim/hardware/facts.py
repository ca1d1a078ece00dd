"""One fact about a chip each: its value, the range where sources differ, and where it was read."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text: TypeAlias = Annotated[str, Field(min_length=1)]
Joules: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1 << 24)]
"""1 to 16,777,216: no core of any chip holds more of anything."""

_MOST_BITS = 64
_MOST_CORES = 1 << 16
"""More than a file of a chip can mean: Loihi 2 has 128, TrueNorth 4096 (Merolla et al., Science 345, 2014)."""


class Section(BaseModel):
    """A part of a chip's file: nothing is converted silently, nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Provenance(Section):
    """Where a fact comes from.

    read: whether ``source`` itself was read (first-hand) or a text that quotes it (second-hand); whether it was worked
        out from what the source shows (inferred), or is nobody's statement (assumed). All but the first say in ``via``
        which text, how, or why.
    """

    source: Text
    read: Literal["first-hand", "second-hand", "inferred", "assumed"]
    via: Text | None = None

    @model_validator(mode="after")
    def _says_where(self) -> Provenance:
        if self.read != "first-hand" and self.via is None:
            raise ValueError(f"a constant read {self.read} needs `via`, the text in which it was read")
        return self


def _check_order(low: float | None, typical: float, high: float | None) -> None:
    if not (typical if low is None else low) <= typical <= (typical if high is None else high):
        raise ValueError(f"low, typical and high are out of order: {low}, {typical}, {high}")


class Limit(Provenance):
    """How much of something there is. low, high: what other sources say."""

    what: Text
    value: Count
    low: Count | None = None
    high: Count | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Limit:
        _check_order(self.low, self.value, self.high)
        return self


class Constant(Provenance):
    """Energy of one operation. low, high: what other sources say."""

    picojoules: Joules
    operation: Text
    low: Joules | None = None
    high: Joules | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Constant:
        _check_order(self.low, self.picojoules, self.high)
        return self


class Latency(Provenance):
    """Duration of one operation. low, high: the range in which it lies, or what other sources say."""

    nanoseconds: Joules
    operation: Text
    low: Joules | None = None
    high: Joules | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Latency:
        _check_order(self.low, self.nanoseconds, self.high)
        return self


class Measured(Provenance):
    """A figure of a whole system: to hold estimates against, not to reckon with."""

    what: Text
    value: float = Field(allow_inf_nan=False)
    unit: Text
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Measured:
        _check_order(self.low, self.value, self.high)
        return self


class Limits(Section):
    """What a chip has: cores; and what a core has: all else.

    neuron_groups, dense_neurons, convolution_width: None where there is no such limit.
    """

    cores: Limit
    neurons: Limit
    synapse_words: Limit
    axons_in: Limit
    axons_out: Limit
    weight_bits: Limit
    message_bits: Limit
    neuron_groups: Limit | None = None
    dense_neurons: Limit | None = None
    convolution_width: Limit | None = None

    @model_validator(mode="after")
    def _are_possible(self) -> Limits:
        if self.cores.value > _MOST_CORES:
            raise ValueError(f"cores: {self.cores.value} are more than {_MOST_CORES}")
        for name in ("weight_bits", "message_bits"):
            if (bits := getattr(self, name).value) > _MOST_BITS:
                raise ValueError(f"{name}: {bits} bits are more than {_MOST_BITS}")
        return self


class Mesh(Provenance):
    """The routers' grid: ``columns`` times ``rows`` tiles of ``cores_per_tile`` cores."""

    columns: Count
    rows: Count
    cores_per_tile: Count


class Packing(Provenance):
    """How synapses lie in memory; what the numbers mean stands in ``sim.mapping.packing``.

    weight_bits: of every stored weight; None where as many are stored as the layer's weights need. block: synapses that
    share a header; None where all of an axon do.
    """

    scheme: Literal["loihi1", "loihi2"]
    word_bits: Annotated[int, Field(ge=8, le=1024)]
    weight_bits: Annotated[int, Field(ge=1, le=32)] | None
    dense_index_bits: Annotated[int, Field(ge=0, le=32)]
    header_bits: Annotated[int, Field(ge=0, le=64)]
    block: Annotated[int, Field(ge=1, le=4096)] | None
