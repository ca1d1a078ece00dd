"""The integers of a layer that the formats have no place for, as flat keys and values beside the stock description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from netx.arrays import IntArray
from netx.chain import Link
from netx.errors import NetworkError
from netx.lowering import SynapseRecord, synapse_record
from netx.network import Layer
from netx.neurons import LIF, Accumulator, Neuron
from netx.synapses import Flatten, Synapse
from netx.types import Pair, Range

Value: TypeAlias = int | str | npt.NDArray


class Record:
    """Typed access to recorded values. Every method raises NetworkError naming the key that is missing or wrong.

    Errors show arrays as NumPy does, which is short however many values a damaged file holds.
    """

    def __init__(self, values: Mapping[str, npt.NDArray | str]) -> None:
        self._values = values

    def text(self, key: str) -> str:
        """The string called ``key``."""
        value = self._value(key)
        if not isinstance(value, str):
            raise NetworkError(f"record {key!r}: expected text, got {value}")
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """The comma-separated names called ``key``, maybe none."""
        return tuple(name for name in self.text(key).split(",") if name)

    def integers(self, key: str) -> IntArray:
        """The whole numbers called ``key``, of any shape."""
        value = self._value(key)
        if isinstance(value, str) or value.dtype.kind not in "biu":
            raise NetworkError(f"record {key!r}: expected integers, got {value}")
        if value.size and (int(value.min()) < -1 << 31 or int(value.max()) >= 1 << 31):
            raise NetworkError(f"record {key!r}: expected integers of at most 32 bits")
        return value.astype(np.int32)

    def integer(self, key: str) -> int:
        """The whole number called ``key``."""
        value = self.integers(key)
        if value.shape != ():
            raise NetworkError(f"record {key!r}: expected one integer, got {value}")
        return int(value)

    def pair(self, key: str) -> Pair:
        """The two whole numbers called ``key``, neither negative."""
        value = self.integers(key)
        if value.shape != (2,) or value.min() < 0:
            raise NetworkError(f"record {key!r}: expected two integers, none negative, got {value}")
        return int(value[0]), int(value[1])

    def span(self, key: str) -> Range:
        """The range of integers called ``key``."""
        value = self.integers(key)
        if value.shape != (2,):
            raise NetworkError(f"record {key!r}: expected two integers, got {value}")
        return Range(*value.tolist())

    def within(self, prefix: str) -> Record:
        """The values whose keys begin with ``prefix``, without it."""
        return Record({key[len(prefix) :]: value for key, value in self._values.items() if key.startswith(prefix)})

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def _value(self, key: str) -> npt.NDArray | str:
        if key not in self._values:
            raise NetworkError(f"record {key!r} is missing")
        return self._values[key]


def link_values(link: Link) -> dict[str, Value]:
    """The record of a layer's name, of the Flatten layers before it and of its synapse."""
    synapse = asdict(synapse_record(link.layer.synapse, link.source))
    arrays = {key: np.array(value) if isinstance(value, tuple) else value for key, value in synapse.items()}
    return {"layer": link.layer.name, "flatten": ",".join(link.flattens), **arrays}


def recorded_synapse(record: Record) -> SynapseRecord:
    """The synapse's part of what ``link_values`` recorded."""
    return SynapseRecord(
        synapse=record.text("synapse"),
        kernel=record.pair("kernel"),
        stride=record.pair("stride"),
        padding=record.pair("padding"),
        dilation=record.pair("dilation"),
        groups=record.integer("groups"),
        weight_exponent=record.integer("weight_exponent"),
    )


def recorded_layers(record: Record, source: str, synapse: Synapse, neuron: Neuron) -> list[Layer]:
    """The recorded Flatten layers, one after the other from ``source``, and the layer itself."""
    layers = []
    for name in record.names("flatten"):
        layers.append(Layer(name, (source,), Flatten()))
        source = name
    return [*layers, Layer(record.text("layer"), (source,), synapse, neuron)]


def neuron_values(neuron: Neuron) -> dict[str, Value]:
    """The record of a layer's neurons; a bias of none at all is left out."""
    values: dict[str, Value] = {"neuron": type(neuron).__name__}
    if neuron.bias.size:
        values["bias"] = neuron.bias
    if isinstance(neuron, LIF):
        values["threshold"] = int(neuron.threshold)
        values["bias_exponent"] = int(neuron.bias_exponent)
        values["current_decay"] = int(neuron.current_decay)
        values["voltage_decay"] = int(neuron.voltage_decay)
    return values


def recorded_neuron(record: Record) -> Neuron:
    """The neurons that ``neuron_values`` recorded."""
    bias = record.integers("bias") if "bias" in record else np.empty(0, np.int32)
    kind = record.text("neuron")
    if kind == "Accumulator":
        return Accumulator(bias)
    if kind == "LIF":
        decays = record.integer("current_decay"), record.integer("voltage_decay")
        return LIF(record.integer("threshold"), bias, record.integer("bias_exponent"), *decays)
    raise NetworkError(f"record 'neuron': {kind!r} is not a neuron: expected LIF or Accumulator")
