"""What a frame costs a model: operations of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from netx import Network
from sim.recording import Recording


@dataclass(frozen=True, eq=False)
class Recorded:
    """What the network that runs at every frame did in one time step.

    inputs: what entered the chip, (frame, channel, row, column). backbone: names of its layers that are the backbone's,
    in order; the others are the head's.
    """

    network: Network
    inputs: npt.NDArray[np.int32]
    recording: Recording
    backbone: tuple[str, ...]

    @property
    def frames(self) -> dict[str, npt.NDArray[np.int32]]:
        """``inputs`` by the input's name."""
        return {self.network.inputs[0].name: self.inputs}


@dataclass(frozen=True)
class LayerWork:
    """One layer in one frame, mean over the frames and summed over the time steps.

    neurons: those that spike. spikes: they send. synops: connections that spikes travel. macs: multiply-accumulates of
    real or graded values; of the encoder, at every time step anew, as the literature counts it. dense_macs: what the
    layer would cost in a network of the same shape that does not spike, which sees a frame once.
    """

    layer: str
    backbone: bool
    neurons: int
    spikes: float
    synops: float
    macs: float
    dense_macs: float


@dataclass(frozen=True)
class Work:
    """A frame's work. encoder_macs: what the first layer's multiply-accumulates would be, computed once a frame."""

    time_steps: int
    layers: tuple[LayerWork, ...]
    encoder_macs: float

    @property
    def spike_rate(self) -> float:
        """Spikes over neurons and time steps; 0 of a model that doesn't spike."""
        neurons = sum(layer.neurons for layer in self.layers)
        return sum(layer.spikes for layer in self.layers) / neurons / self.time_steps if neurons else 0.0

    def to_json(self) -> dict[str, Any]:
        """JSON values, which ``from_json`` reads."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Work:
        """What ``to_json`` made."""
        layers = tuple(LayerWork(**layer) for layer in values["layers"])
        return Work(values["time_steps"], layers, values["encoder_macs"])
