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

from netx import LIF, Layer, Pool, channel_bias, limits
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


def leaky(
    layer: Layer, sums: Convolution, worst_case: int, forced: ExactType | None, device: str
) -> tuple[Choice, Kernel, Callable[[], Kernel]]:
    """Drives in 1/64 weight unit, integers in any type, and what makes the kernel from them to spikes for every run.

    worst_case: see LeakyRun. The bias is part of the drive where it can be.
    """
    neuron = layer.neuron
    assert isinstance(neuron, LIF)
    bias = channel_bias(neuron, sums.geometry.output).astype(np.int64)
    exponent = getattr(layer.synapse, "weight_exponent", 0)
    if exponent < 0:
        choice, coarse = choose(layer.name, sums, forced=forced, device=device)
        return (
            choice,
            lambda values: _shifted(coarse(values), exponent) << limits.STATE_SHIFT,
            _runs(neuron, bias, worst_case),
        )
    finer = Convolution(sums.weight << (exponent + limits.STATE_SHIFT), sums.geometry, sums.values)
    apart = neuron.current_decay < limits.DECAY_ONE
    choice, kernel = choose(layer.name, finer, offset=None if apart else bias, forced=forced, device=device)
    return choice, kernel, _runs(neuron, bias if apart else bias[:0], worst_case)


def _runs(neuron: LIF, bias: npt.NDArray[np.int64], worst_case: int) -> Callable[[], Kernel]:
    return lambda: LeakyRun(neuron, bias, worst_case)


def _shifted(sums: Tensor, exponent: int) -> Tensor:
    """``netx.synapses.shift`` of integers in any type, as int64."""
    integers = sums.to(torch.int64)
    return integers << exponent if exponent > 0 else integers >> -exponent


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
    if (copies := _copies(sums)) > 1:
        return _read_against_several(layer.name, sums, copies, least, forced, device)
    offset = 1 - least.clip(-sums.bound, sums.bound + 1)
    return choose(layer.name, sums, offset=offset, spikes=True, forced=forced, device=device)


def _copies(sums: Convolution) -> int:
    """How many channels in a row have the same weights on the same input channel, as a correlation's copies have."""
    if sums.geometry.groups == 1 or sums.weight.shape[1] > 1:
        return 1
    copies = sums.geometry.channels // sums.geometry.groups
    together = sums.weight.reshape(sums.geometry.groups, copies, -1)
    return copies if (together == together[:, :1]).all() else 1


def _read_against_several(
    name: str, sums: Convolution, copies: int, least: npt.NDArray[np.int64], forced: ExactType | None, device: str
) -> tuple[Choice, Kernel]:
    """Spikes of channels whose copies differ in their thresholds alone: each sum is computed once."""
    once = Convolution(
        np.ascontiguousarray(sums.weight[::copies]),
        sums.geometry._replace(channels=sums.geometry.groups),
        sums.values,
    )
    choice, kernel = choose(name, once, forced=forced, device=device)
    # No sum reaches past the bound, so that the clipped thresholds are exact in the type of the sums.
    thresholds = torch.from_numpy(least.clip(-sums.bound, sums.bound + 1).reshape(-1, copies).T.copy())

    def compare(values: Tensor) -> Tensor:
        last = kernel(values).permute(0, 2, 3, 1)
        fired = torch.empty((*last.shape, copies), dtype=torch.bool, device=last.device)
        for copy, threshold in enumerate(thresholds.to(last)):
            torch.ge(last, threshold, out=fired[..., copy])
        return fired.flatten(3).view(torch.uint8).permute(0, 3, 1, 2)

    return choice, compare


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
