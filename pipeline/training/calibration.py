"""Thresholds from data: each layer's is set where the wanted share of its neurons spikes, layer after layer.

As the first stage of temporal pruning does (SayeedChowdhury/IIR-SNN: the 90th percentile of the pre-activations of a
batch, the largest over the time steps, earlier layers already set), with shares of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from netx import limits
from quantize.slayer import WEIGHT_SCALE

RATE = 0.15
"""Share of neurons that spike before training. Ours."""

NECK_RATE = 0.3
"""The same where two maps of spikes are multiplied: both have to spike for one coincidence. Ours."""

_SAMPLES = 1_000_000


class SpikingLayer(Protocol):
    """A layer of neurons, such as ``pipeline.models.spiking_layers.Neuron``. threshold: in SLAYER units."""

    threshold: float

    def forward(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """(spikes, voltages before the reset) of currents (step, frame, channel, row, column)."""

    def register_forward_pre_hook(self, hook: Any) -> Any:
        """As ``torch.nn.Module`` has it."""


def set_threshold(neuron: SpikingLayer, currents: Sequence[Tensor], rate: float) -> int:
    """Set the threshold with which a share ``rate`` of the neurons spikes on ``currents`` (step, frame, channel, row,
    column), and return it: odd, in weight units, 1 to what the chip can have."""
    neuron.threshold = float(limits.READOUT_THRESHOLD)  # out of reach: nothing is reset
    peaks = torch.cat([neuron.forward(current)[1].amax(dim=0).flatten() for current in currents])
    peaks = peaks[:: len(peaks) // _SAMPLES + 1]
    wanted = float(torch.quantile(peaks, 1 - rate)) * WEIGHT_SCALE
    found = int(min(max(2 * round(wanted / 2) + 1, 1), limits.THRESHOLD_MAX))
    neuron.threshold = found / WEIGHT_SCALE
    return found


@torch.no_grad()
def calibrated_thresholds(
    neurons: Mapping[str, SpikingLayer], rates: Mapping[str, float], run: Callable[[], object]
) -> dict[str, int]:
    """Set the thresholds of the layers named in ``rates`` as ``run`` comes by them, and return them by layer.

    rates: shares of the neurons that are to spike, 0 to 1. run: sends the frames through the model.
    """
    found: dict[str, int] = {}

    def setting(name: str) -> Callable[[object, tuple[Tensor, ...]], None]:
        def look(_: object, inputs: tuple[Tensor, ...]) -> None:
            if name not in found:  # a layer that runs twice keeps what it got first
                found[name] = set_threshold(neurons[name], [inputs[0]], rates[name])

        return look

    hooks = [neurons[name].register_forward_pre_hook(setting(name)) for name in rates]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return found
