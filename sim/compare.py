"""Comparison of engines, bit by bit, and the first place at which they part."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import Network, NetworkError
from sim.cause import likely_cause
from sim.recording import Recording


@dataclass(frozen=True)
class LayerComparison:
    """What all engines did in one layer.

    spikes: spikes of the reference. compared: neurons times frames. differing: those at which any engine has another
    spike or another membrane voltage than the reference. differing_by_engine: the same for each engine.
    """

    name: str
    spikes: int
    compared: int
    differing: int
    differing_by_engine: Mapping[str, int]


@dataclass(frozen=True)
class Divergence:
    """The first neuron at which an engine leaves the reference: first layer, then frame, then neuron.

    neuron: (channel, row, column). membranes: voltage before reset by engine, in weight units. spikes: 0 or 1 by
    engine, empty for a read-out. cause: the likely one, in words.
    """

    layer: str
    frame: int
    neuron: tuple[int, int, int]
    membranes: Mapping[str, int]
    spikes: Mapping[str, int]
    cause: str

    def __str__(self) -> str:
        channel, row, column = self.neuron
        values = ", ".join(f"{engine} {value}" for engine, value in self.membranes.items())
        fired = ", ".join(f"{engine} {value}" for engine, value in self.spikes.items())
        spikes = f"; spikes: {fired}" if fired else ""
        return (
            f"layer {self.layer!r}, neuron (channel {channel}, row {row}, column {column}), frame {self.frame}: "
            f"membrane voltages: {values}{spikes}. Likely cause: {self.cause}"
        )


@dataclass(frozen=True)
class Comparison:
    """Every layer of a network through several engines on the same frames."""

    engines: tuple[str, ...]
    frames: int
    layers: tuple[LayerComparison, ...]
    first_divergence: Divergence | None

    @property
    def identical(self) -> bool:
        """True when no spike and no membrane voltage differs anywhere."""
        return self.first_divergence is None


def compare(
    network: Network,
    frames: Mapping[str, npt.ArrayLike],
    reference: Recording,
    others: Sequence[Recording],
    only: Collection[str] | None = None,
) -> Comparison:
    """Compare every spike and membrane voltage of ``others`` with ``reference``, without tolerance.

    frames: what the network was given, for naming the cause. only: the layers to compare; None for all.
    Raises NetworkError when a recording lacks a layer or has other shapes.
    """
    layers, first = [], None
    for layer in network.layers:
        if layer.neuron is None or (only is not None and layer.name not in only):
            continue
        expected = _values(reference, layer.name, reference)
        differing = np.zeros(expected[0].shape, dtype=bool)
        by_engine = {}
        for other in others:
            got = _values(other, layer.name, reference)
            here = got[0] != expected[0]
            if expected[1] is not None and got[1] is not None:
                here |= got[1] != expected[1]
            by_engine[other.engine] = int(here.sum())
            if first is None and here.any():
                first = _divergence(network, frames, layer.name, here, reference, other)
            differing |= here
        spikes = int(np.count_nonzero(expected[1])) if expected[1] is not None else 0
        layers.append(LayerComparison(layer.name, spikes, differing.size, int(differing.sum()), by_engine))
    engines = (reference.engine, *(other.engine for other in others))
    return Comparison(engines, reference.frames, tuple(layers), first)


def _values(recording: Recording, layer: str, reference: Recording) -> tuple[npt.NDArray[np.int32], npt.NDArray | None]:
    """Membranes, and spikes or messages where the layer sends any."""
    for kind, arrays, expected in (
        ("membrane voltages", recording.membranes, reference.membranes),
        ("spikes", recording.spikes, reference.spikes),
        ("messages", recording.messages, reference.messages),
    ):
        if (layer in arrays) != (layer in expected):
            raise NetworkError(
                f"{recording.engine}: its recording and that of {reference.engine} do not both hold "
                f"{kind} of layer {layer!r}"
            )
        if layer in arrays and arrays[layer].shape != expected[layer].shape:
            shapes = f"{arrays[layer].shape} in {recording.engine}, {expected[layer].shape} in {reference.engine}"
            raise NetworkError(f"layer {layer!r}: {kind} have shape {shapes}")
    return recording.membranes[layer], recording.spikes.get(layer, recording.messages.get(layer))


def _divergence(
    network: Network,
    frames: Mapping[str, npt.ArrayLike],
    layer: str,
    differing: npt.NDArray[np.bool_],
    reference: Recording,
    other: Recording,
) -> Divergence:
    frame, channel, row, column = (int(i) for i in np.argwhere(differing)[0])
    place = (frame, channel, row, column)
    both = (reference, other)
    return Divergence(
        layer=layer,
        frame=frame,
        neuron=(channel, row, column),
        membranes={r.engine: int(r.membranes[layer][place]) for r in both},
        spikes={r.engine: int(r.spikes[layer][place]) for r in both if layer in r.spikes},
        cause=likely_cause(network, frames, layer, reference, other, place),
    )
