"""Reading lava-dl SLAYER modules as integer synapses and neurons.

Nothing is rounded here that SLAYER does not round itself: a value that is not the integer it should be is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import LIF, Accumulator, Conv2d, MonospikeError, limits

WEIGHT_SCALE = 64
"""Integer weight steps in one SLAYER unit (lava-dl 0.6.0 ``slayer/neuron/cuba.py``: ``w_scale``)."""

_SLAYER_TIE_FROM = 4096
"""SLAYER fires at ``a > threshold`` below this threshold and at ``a >= threshold`` from it on, because its epsilon of
0.01 / 4096 is lost in float32 there (measured; lava-dl ``slayer/spike/spike.py``)."""


class QuantizeError(MonospikeError):
    """A trained model that cannot become a network of integers as it is."""


def read_conv(synapse: Any, name: str) -> Conv2d:
    """The convolution of a ``slayer.synapse.Conv`` whose weights are quantised by its ``pre_hook_fx``.

    Raises QuantizeError, naming ``name``, when it has no quantiser, a kernel in time, or weights that are not even
    8-bit integers.
    """
    if synapse.pre_hook_fx is None:
        raise QuantizeError(f"layer {name!r}: its SLAYER synapse has no quantiser (pre_hook_fx)")
    weight = synapse.pre_hook_fx(synapse.weight, descale=True).detach()
    if weight.shape[-1] != 1:
        raise QuantizeError(f"layer {name!r}: its kernel spans {weight.shape[-1]} time steps, expected 1")
    return Conv2d(
        even_integers(weight[..., 0], f"layer {name!r}, weight"),
        stride=tuple(synapse.stride[:2]),
        padding=tuple(synapse.padding[:2]),
        dilation=tuple(synapse.dilation[:2]),
        groups=int(synapse.groups),
    )


def read_lif(neuron: Any, bias: Tensor, name: str, single_step: bool = False) -> LIF:
    """The memoryless LIF of a ``slayer.neuron.cuba.Neuron``; ``bias``: (channel,), SLAYER units.

    single_step: the neuron only ever runs one step from rest, where decays change nothing, and any become one.
    The threshold becomes odd where the parity of even membranes makes that the same (see ``odd_threshold``).
    Raises QuantizeError, naming ``name``, when a decay is not one or the bias is not even integers of 13 bits.
    """
    current_decay, voltage_decay = int(neuron.cx_current_decay), int(neuron.cx_voltage_decay)
    if not single_step and (current_decay, voltage_decay) != (limits.DECAY_ONE, limits.DECAY_ONE):
        raise QuantizeError(
            f"layer {name!r}: decays are {current_decay} and {voltage_decay} of {limits.DECAY_ONE}, so it keeps state "
            "between frames; a single-step network needs current_decay = voltage_decay = 1.0"
        )
    return LIF(odd_threshold(int(neuron.v_th_mant)), _bias(bias, name))


def read_accumulator(bias: Tensor, name: str) -> Accumulator:
    """A non-spiking read-out; ``bias``: (channel,), SLAYER units. Raises QuantizeError as ``read_lif`` does."""
    return Accumulator(_bias(bias, name))


def odd_threshold(threshold: int) -> int:
    """The odd threshold at which a neuron with even membranes spikes exactly where SLAYER's does with ``threshold``.

    An even membrane can never equal an odd threshold, so readers that test ``>`` and readers that test ``>=`` agree.
    """
    if threshold % 2:
        return threshold
    return threshold - 1 if threshold >= _SLAYER_TIE_FROM else threshold + 1


def even_integers(values: Tensor, what: str) -> npt.NDArray[np.int32]:
    """``values`` as int32. Raises QuantizeError naming ``what`` and the place unless all are even integers."""
    array = values.detach().cpu().to(torch.float64).numpy()
    wrong = ~(np.isfinite(array) & (array == 2 * np.floor(array / 2)))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise QuantizeError(f"{what}{list(place)} is {array[place]}: expected an even integer")
    return array.astype(np.int32)


def _bias(bias: Tensor, name: str) -> npt.NDArray[np.int32]:
    integers = even_integers(bias * WEIGHT_SCALE, f"layer {name!r}, bias")
    outside = (integers < limits.LOIHI_BIAS_MIN) | (integers > limits.LOIHI_BIAS_MAX)
    if outside.any():
        channel = int(np.argmax(outside))
        raise QuantizeError(
            f"layer {name!r}, channel {channel}: bias {integers[channel]} does not fit the chip's 13 bits "
            f"({limits.LOIHI_BIAS_MIN}..{limits.LOIHI_BIAS_MAX})"
        )
    return integers


def weight_units(voltage: Tensor, name: str) -> npt.NDArray[np.int32]:
    """Membranes in weight units, from SLAYER's. Raises QuantizeError, naming ``name``, where one is not whole."""
    scaled = voltage.to(torch.float64) * WEIGHT_SCALE
    if not torch.equal(scaled, scaled.round()):
        raise QuantizeError(f"layer {name!r}: its membrane in SLAYER is no whole number of weight units")
    return scaled.to(torch.int32).numpy()
