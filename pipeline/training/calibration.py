"""Thresholds from data: each layer's is set where the wanted share of its neurons spikes, layer after layer.

As the first stage of temporal pruning does (SayeedChowdhury/IIR-SNN: the 90th percentile of the pre-activations of a
batch, the largest over the time steps, earlier layers already set), with shares of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from netx import limits
from pipeline.models.spiking_layers import Neuron
from pipeline.tasks.tracking.models.config import SpikingConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from quantize.slayer import WEIGHT_SCALE

RATE = 0.15
"""Share of neurons that spike before training. Ours."""

NECK_RATE = 0.3
"""The same where template and search are correlated: both have to spike for one coincidence. Ours."""

_NECK = ("_kernel", "_map")

_SAMPLES = 1_000_000


def calibrate(student: SpikingSiamFCpp, template: Tensor, search: Tensor, rate: float = RATE) -> SpikingSiamFCpp:
    """A student with the weights of ``student``, made of plain layers, and thresholds that ``template`` and ``search``
    crops call for.

    rate: share of neurons that are to spike, between 0 and 1; at least NECK_RATE where template and search meet.
    Thresholds that the configuration names stay, as does the correlation's. The new ones are part of the result's
    configuration.
    """
    found = dict(student.config.thresholds)
    state = {name: value.clone() for name, value in student.state_dict().items()}  # means are learned in training alone

    def setting(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: set_threshold(student, name, found, [inputs[0]], rate)

    hooks = [neuron.register_forward_pre_hook(setting(name)) for name, neuron in student.neurons.items()]
    with torch.no_grad():
        student(template, search)
    for hook in hooks:
        hook.remove()
    return with_thresholds(student.config, found, state)


def set_threshold(
    student: SpikingSiamFCpp, name: str, found: dict[str, int], currents: Sequence[Tensor], rate: float
) -> None:
    """Set the threshold of a layer where ``rate`` of its neurons spike on ``currents`` (step, frame, channel, row,
    column), and note it in ``found``; one that is there already stays."""
    neuron = student.neurons[name]
    if name in found or name not in student.config.spiking_layers or not isinstance(neuron, Neuron):
        return
    neuron.threshold = float(limits.READOUT_THRESHOLD)  # out of reach: nothing is reset
    peaks = torch.cat([neuron.forward(current)[1].amax(dim=0).flatten() for current in currents])
    peaks = peaks[:: len(peaks) // _SAMPLES + 1]
    share = max(rate, NECK_RATE) if name.endswith(_NECK) else rate
    wanted = float(torch.quantile(peaks, 1 - share)) * WEIGHT_SCALE
    found[name] = int(min(max(2 * round(wanted / 2) + 1, 1), limits.THRESHOLD_MAX))
    neuron.threshold = found[name] / WEIGHT_SCALE


def with_thresholds(
    config: SpikingConfig, thresholds: Mapping[str, int], state: Mapping[str, Tensor]
) -> SpikingSiamFCpp:
    """A student of plain layers with the tensors of ``state`` and thresholds that are part of its configuration."""
    student = SpikingSiamFCpp(config.model_copy(update={"thresholds": dict(thresholds)}))
    student.load_state_dict(state)
    return student
