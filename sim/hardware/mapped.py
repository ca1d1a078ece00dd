"""What a network that sits on cores costs: which operation takes which energy and time, in which unit of a core."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field, model_validator

from sim.hardware.facts import Provenance, Section, Text

Unit: TypeAlias = Literal["axon in", "synapse", "dendrite", "soma", "axon out", "mesh"]
UNITS: tuple[Unit, ...] = get_args(Unit)
"""Parts of a core, in the order in which a spike passes them, and the routers between cores."""

RECEIVING: tuple[Unit, ...] = ("axon in", "synapse", "dendrite")
SENDING: tuple[Unit, ...] = ("soma", "axon out")
"""What a core does one after another with what arrives, and with its own neurons."""

Operation: TypeAlias = Literal[
    "messages_in",
    "synops",
    "effective_synops",
    "dense_synops",
    "effective_dense_synops",
    "convolution_synops",
    "effective_convolution_synops",
    "graded_synops",
    "dendrite_updates",
    "neurons",
    "soma_updates",
    "idle_neurons",
    "spikes",
    "messages_out",
    "hops_east_west",
    "hops_north_south",
]
"""Counts of a core in a time step; ``sim.costs.operations`` says what each means."""
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

Fraction: TypeAlias = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class Priced(Section):
    """One operation: the count, and the chip's energy and latency of one of them, by name.

    low, high: other counts to take in the low and in the high estimate; ``none`` where it leaves the operation out.
    """

    unit: Unit
    count: Operation
    low: Operation | Literal["none"] | None = None
    high: Operation | Literal["none"] | None = None
    energy: str | None = None
    latency: str | None = None

    @model_validator(mode="after")
    def _costs_something(self) -> Priced:
        if self.energy is None and self.latency is None:
            raise ValueError(f"{self.count}: needs an energy, a latency or both")
        return self


class Barrier(Section):
    """How long cores wait for each other at the end of a time step in which ``tiles`` tiles are used."""

    tiles: Annotated[int, Field(ge=1, le=1 << 20)]
    latency: str


class Accuracy(Provenance):
    """How far estimates by these constants were from the chip: parts of the measured value, 0 to 1."""

    energy: Fraction
    time: Fraction


class Power(Provenance):
    """Power that a chip draws whatever it does, in watts."""

    what: Text
    watts: Annotated[float, Field(gt=0, le=1e3, allow_inf_nan=False)]
    low: Annotated[float, Field(gt=0, le=1e3, allow_inf_nan=False)] | None = None
    high: Annotated[float, Field(gt=0, le=1e3, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Power:
        low, high = self.low or self.watts, self.high or self.watts
        if not low <= self.watts <= high:
            raise ValueError(f"low, watts and high are out of order: {self.low}, {self.watts}, {self.high}")
        return self


class MappedCosts(Section):
    """How a chip's energies and latencies apply to a network on its cores.

    operations: all that is priced; empty where nothing is published. barrier: by growing number of tiles; between two
    entries it is interpolated. static: None where no figure is known. unpriced: counts for which there is no energy;
    they are reported instead.
    """

    note: Text
    operations: list[Priced] = Field(default_factory=list)
    barrier: list[Barrier] = Field(default_factory=list)
    accuracy: Accuracy | None = None
    static: Power | None = None
    unpriced: list[Operation] = Field(default_factory=list)

    @model_validator(mode="after")
    def _barriers_grow(self) -> MappedCosts:
        tiles = [entry.tiles for entry in self.barrier]
        if tiles != sorted(set(tiles)):
            raise ValueError(f"barrier: the numbers of tiles have to grow: {tiles}")
        return self

    def energies(self) -> set[str]:
        """Names of the energies that are used."""
        return {priced.energy for priced in self.operations if priced.energy is not None}

    def latencies(self) -> set[str]:
        """Names of the latencies that are used."""
        used = {priced.latency for priced in self.operations if priced.latency is not None}
        return used | {entry.latency for entry in self.barrier}
