"""The layers of a network as kernels: from the values of their inputs to membranes or spikes.

Neurons without memory are the step function ``activation + bias > threshold`` here, which they are where
``netx.prove_headroom`` holds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import LIF, Layer, Pool, Shape, channel_bias, limits
from sim.kernels import Choice, Convolution, ExactType, Kernel, choose, or_pool
from sim.leaky import LeakyRun


def membranes(layer: Layer, sums: Convolution, forced: ExactType | None, device: str) -> tuple[Choice, Kernel]:
    """Membrane voltages in weight units, rounded down: integers in float32, float64 or int64."""
    whole, _ = _bias(layer, sums)
    exponent = getattr(layer.synapse, "weight_exponent", 0)
    if exponent == 0:
        return choose(layer.name, sums, offset=whole, forced=forced, device=device)
    choice, kernel = choose(layer.name, sums, forced=forced, device=device)
    bias = torch.from_numpy(whole)[:, None, None]
    return choice, lambda values: (activation := _shifted(kernel(values), exponent)) + bias.to(activation.device)


def drive(layer: Layer, sums: Convolution, forced: ExactType | None, device: str) -> tuple[Choice, Kernel]:
    """Activations in 1/64 weight unit: integers in float32, float64 or int64."""
    exponent = getattr(layer.synapse, "weight_exponent", 0) + limits.STATE_SHIFT
    if exponent >= limits.STATE_SHIFT:
        finer = Convolution(sums.weight << exponent, sums.geometry, sums.values)
        return choose(layer.name, finer, forced=forced, device=device)
    choice, kernel = choose(layer.name, sums, forced=forced, device=device)
    whole = exponent - limits.STATE_SHIFT
    return choice, lambda values: _shifted(kernel(values), whole) << limits.STATE_SHIFT


def _shifted(sums: Tensor, exponent: int) -> Tensor:
    """``netx.synapses.shift`` of integers in any type, as int64."""
    integers = sums.to(torch.int64)
    return integers << exponent if exponent > 0 else integers >> -exponent


def leaky(neuron: LIF, shape: Shape, worst_case: int) -> Callable[[], Kernel]:
    """What makes, for every run, the kernel from drives to spikes that remembers. worst_case: see LeakyRun."""
    bias = channel_bias(neuron, shape).astype(np.int64)
    return lambda: LeakyRun(neuron, bias, worst_case)


def step_function(layer: Layer, sums: Convolution) -> Callable[[], Kernel]:
    """What makes the kernel from membrane voltages, rounded down, to spikes, uint8."""
    assert isinstance(layer.neuron, LIF)
    _, rest = _bias(layer, sums)
    least = torch.from_numpy(layer.neuron.threshold + 1 - (rest > 0))[:, None, None]
    return lambda: lambda membrane: (membrane >= least.to(membrane)).view(torch.uint8)


def spikes(layer: Layer, sums: Convolution, forced: ExactType | None, device: str) -> tuple[Choice, Kernel]:
    """Spikes, uint8, without membranes in between."""
    least, synapse = _least_sum_that_fires(layer, sums), layer.synapse
    if isinstance(synapse, Pool) and sums.values.binary and 0 < least.min() <= least.max() <= synapse.weight:
        why = "one spike suffices: the OR of a window, without sums"
        return Choice(layer.name, "int8", sums.bound, why), or_pool(synapse)
    offset = 1 - least.clip(-sums.bound, sums.bound + 1)
    return choose(layer.name, sums, offset=offset, spikes=True, forced=forced, device=device)


def _least_sum_that_fires(layer: Layer, sums: Convolution) -> npt.NDArray[np.int64]:
    """The smallest sum, before the weight exponent, at which each channel spikes: shape (channel,).

    A neuron spikes where activation + whole + rest / 64 > threshold, thus from threshold + 1 - whole on, or one less
    where there is a rest. Of the exponent, ``shift(sum, e) >= t`` is ``sum >= ceil(t / 2**e)``.
    """
    assert isinstance(layer.neuron, LIF)
    whole, rest = _bias(layer, sums)
    exponent = getattr(layer.synapse, "weight_exponent", 0)
    least = layer.neuron.threshold + 1 - whole - (rest > 0)
    return -(-least >> exponent) if exponent >= 0 else least << -exponent


def _bias(layer: Layer, sums: Convolution) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The bias of each channel: whole weight units, rounded down, and the rest in 1/64 unit."""
    assert layer.neuron is not None
    bias = channel_bias(layer.neuron, sums.geometry.output).astype(np.int64)
    return bias >> limits.STATE_SHIFT, bias & ((1 << limits.STATE_SHIFT) - 1)
