"""The exact engine: runs a Network in integers, with the same bits as Lava's fixed-point processes.

Convolutions run in floating point on integers, which is exact while no partial sum can reach the mantissa's end: below
2^24 in float32, below 2^53 in float64. Which one is used follows from the layer's proven bound.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from netx import LIF, Concat, Conv2d, Dense, Flatten, Layer, Network, NetworkError, Pool, channel_bias, limits
from netx.synapses import Correlation
from sim.frames import checked_frames
from sim.recording import Recording

_FLOAT32_EXACT = 1 << 24
_STATE_MAX = (1 << (limits.STATE_BITS - 1)) - 1


def run(network: Network, frames: Mapping[str, npt.ArrayLike]) -> Recording:
    """Run ``network`` on one frame a time step and record every spike and membrane voltage.

    frames: for each input integers within its range, shape (frame, channel, height, width); equal frame counts.
    Neurons start at rest; those with memory carry it from frame to frame.
    Raises NetworkError when frames do not fit, or a correlation has not been programmed.
    """
    if network.correlations():
        name = network.correlations()[0].name
        raise NetworkError(f"layer {name!r} is a correlation without its template: call Network.programmed first")
    values = {name: torch.from_numpy(array) for name, array in checked_frames(network, frames).items()}
    spikes: dict[str, npt.NDArray[np.uint8]] = {}
    membranes: dict[str, npt.NDArray[np.int32]] = {}
    with torch.inference_mode():
        for layer in network.layers:
            inputs = [values[source] for source in layer.inputs]
            if isinstance(layer.synapse, Flatten):
                values[layer.name] = inputs[0].reshape(len(inputs[0]), -1, 1, 1)
            elif isinstance(layer.synapse, Concat):
                values[layer.name] = torch.cat(inputs, dim=1)
            else:
                membrane, output = _neurons(network, layer, _activation(network, layer, inputs[0]))
                values[layer.name] = output
                membranes[layer.name] = membrane.to(torch.int32).numpy()
                if isinstance(layer.neuron, LIF):
                    spikes[layer.name] = output.to(torch.uint8).numpy()
    return Recording("engine", spikes, membranes)


def _activation(network: Network, layer: Layer, values: torch.Tensor) -> torch.Tensor:
    """Summed activation of a layer in weight units: (frame, channel, height, width), exact, float32 or float64."""
    synapse = layer.synapse
    dtype = _exact_type(network, layer)
    values = values.to(dtype)
    if isinstance(synapse, Conv2d):
        weight = torch.from_numpy(synapse.weight.astype(np.int32)).to(dtype)
        result = F.conv2d(values, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
        exponent = synapse.weight_exponent
    elif isinstance(synapse, Dense):
        weight = torch.from_numpy(synapse.weight.astype(np.int32)).to(dtype)
        result = (values.flatten(1) @ weight.T)[:, :, None, None]
        exponent = synapse.weight_exponent
    elif isinstance(synapse, Pool):
        result = F.avg_pool2d(values, synapse.kernel, synapse.stride, synapse.padding, divisor_override=1)
        return result * synapse.weight
    else:
        assert not isinstance(synapse, (Flatten, Concat, Correlation))
        raise AssertionError(synapse)
    return torch.floor(torch.ldexp(result, torch.tensor(exponent))) if exponent else result


def _exact_type(network: Network, layer: Layer) -> torch.dtype:
    """float32 where no partial sum of the layer can reach 2^24, float64 otherwise."""
    low, high = network.activation_range(layer.name)
    # Every term's range holds zero, so no partial sum leaves the range of the whole; a right shift comes after the sum.
    right_shift = max(-getattr(layer.synapse, "weight_exponent", 0), 0)
    bound = (int(max(-low.min(), high.max())) + 1) << right_shift
    return torch.float32 if bound < _FLOAT32_EXACT else torch.float64


def _neurons(network: Network, layer: Layer, activation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Membrane voltage before reset and output of each frame, both (frame, channel, height, width).

    The membrane is in weight units, rounded down where decays leave a fraction.
    """
    neuron = layer.neuron
    assert neuron is not None
    bias = torch.from_numpy(channel_bias(neuron, network.shape(layer.name)).astype(np.int64))[:, None, None]
    unit = 1 << limits.STATE_SHIFT
    if isinstance(neuron, LIF) and not neuron.memoryless:
        membrane, spikes = _leaky(neuron, activation.to(torch.int64), bias)
        return membrane >> limits.STATE_SHIFT, spikes.to(activation.dtype)
    voltage = _saturated(_wrapped(activation.to(torch.int64) * unit) + bias)
    membrane = voltage >> limits.STATE_SHIFT
    if isinstance(neuron, LIF):
        return membrane, (voltage > neuron.threshold * unit).to(torch.float32)
    return membrane, membrane


def _leaky(neuron: LIF, activation: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The recurrence of netx.LIF over the frames: (voltage before reset in 1/64 units, spikes)."""
    current = torch.zeros_like(activation[0])
    voltage = torch.zeros_like(activation[0])
    voltages, spikes = torch.empty_like(activation), torch.empty_like(activation)
    for frame, value in enumerate(activation):
        current = _wrapped(_decayed(current, neuron.current_decay) + (value << limits.STATE_SHIFT))
        voltage = _saturated(_decayed(voltage, neuron.voltage_decay) + current + bias)
        voltages[frame] = voltage
        spikes[frame] = voltage > neuron.threshold << limits.STATE_SHIFT
        voltage = voltage * (1 - spikes[frame])
    return voltages, spikes


def _decayed(state: torch.Tensor, decay: int) -> torch.Tensor:
    return torch.sign(state) * ((state.abs() * (limits.DECAY_ONE - decay)) >> 12)


def _wrapped(current: torch.Tensor) -> torch.Tensor:
    """Lava's current: out of (-2^23, 2^23] it is moved by 2^24, once (lava-nc ``proc/lif/models.py``)."""
    span, half = 1 << limits.STATE_BITS, 1 << (limits.STATE_BITS - 1)
    current = torch.where(current > half, current - span, current)
    return torch.where(current <= -half, current + span, current)


def _saturated(voltage: torch.Tensor) -> torch.Tensor:
    return voltage.clamp(-_STATE_MAX, _STATE_MAX)
