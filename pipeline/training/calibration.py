"""Thresholds from data: each layer's is set where the wanted share of its neurons spikes, layer after layer.

As the first stage of temporal pruning does (SayeedChowdhury/IIR-SNN: the 90th percentile of the pre-activations of a
batch, the largest over the time steps, earlier layers already set), with shares of our own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from netx import limits
from pipeline.models.plain import Neuron
from pipeline.models.spiking import SpikingSiamFCpp
from quantize.slayer import WEIGHT_SCALE

RATE = 0.15
"""Share of neurons that spike before training. Ours."""

NECK_RATE = 0.3
"""The same where template and search are correlated: both have to spike for one coincidence. Ours."""

_NECK = ("_kernel", "_map")

_SAMPLES = 1_000_000

PreHook = Callable[[nn.Module, tuple[Tensor, ...]], None]


def calibrate(student: SpikingSiamFCpp, template: Tensor, search: Tensor, rate: float = RATE) -> SpikingSiamFCpp:
    """A student with the weights of ``student``, made of plain layers, and thresholds that ``template`` and ``search``
    crops call for.

    rate: share of neurons that are to spike, between 0 and 1; at least NECK_RATE where template and search meet.
    Thresholds that the configuration names stay, as does the correlation's. The new ones are part of the result's
    configuration.
    """
    state = {name: value.clone() for name, value in student.state_dict().items()}
    config, found = student.config, dict(student.config.thresholds)
    hooks = [
        neuron.register_forward_pre_hook(
            _setting(name, neuron, found, max(rate, NECK_RATE) if name.endswith(_NECK) else rate)
        )
        for name, neuron in student.neurons.items()
        if isinstance(neuron, Neuron) and name in config.spiking_layers and name not in found
    ]
    with torch.no_grad():
        student(template, search)
    for hook in hooks:
        hook.remove()
    calibrated = SpikingSiamFCpp(config.model_copy(update={"thresholds": found}))
    calibrated.load_state_dict(state)
    return calibrated


def _setting(name: str, neuron: Neuron, found: dict[str, int], rate: float) -> PreHook:
    def set_threshold(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if name in found:
            return
        neuron.threshold = float(limits.READOUT_THRESHOLD)  # out of reach: nothing is reset
        voltages = neuron.forward(inputs[0])[1]
        peaks = voltages.amax(dim=0).flatten()
        peaks = peaks[:: len(peaks) // _SAMPLES + 1]
        wanted = float(torch.quantile(peaks, 1 - rate)) * WEIGHT_SCALE
        found[name] = int(min(max(2 * round(wanted / 2) + 1, 1), limits.THRESHOLD_MAX))
        neuron.threshold = found[name] / WEIGHT_SCALE

    return set_threshold
