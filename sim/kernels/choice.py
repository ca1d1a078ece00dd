"""The fastest type in which the sums of a layer are exact, and why it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch

from netx import NetworkError
from sim.kernels import floating, int8
from sim.kernels.convolution import Convolution
from sim.kernels.floating import Kernel
from sim.kernels.settings import exact_arithmetic

ExactType: TypeAlias = Literal["int8", "float32", "float64", "int64"]
EXACT_TYPES: tuple[ExactType, ...] = get_args(ExactType)
"""Fastest first. int8 has sums of 32 bits."""

_WIDER: dict[ExactType, tuple[int, torch.dtype]] = {
    "float32": (24, torch.float32),
    "float64": (53, torch.float64),
    "int64": (63, torch.int64),
}
"""Bits of the largest integer up to which all are exact (IEEE 754 significands), and the type."""


@dataclass(frozen=True)
class Choice:
    """What one layer's sums are computed in. bound: their largest magnitude, offset included. reason: in words."""

    layer: str
    type: ExactType
    bound: int
    reason: str


def choose(
    layer: str,
    convolution: Convolution,
    *,
    offset: npt.NDArray[np.int64] | None = None,
    spikes: bool = False,
    forced: ExactType | None = None,
    device: str = "cpu",
) -> tuple[Choice, Kernel]:
    """The kernel that computes ``convolution`` exactly, and what was chosen.

    offset: integers added to each output channel, shape (channel,). spikes: have the kernel give 1 where sum + offset
    is above 0, and 0 elsewhere, as uint8, instead of sum + offset. forced: the type to use. layer: its name, for
    messages. The kernel takes integers of any type within ``convolution.values``, shape (frame, channel, height,
    width), and is to be called within ``exact_arithmetic()``; sums come in float32, float64 or int64.
    Raises NetworkError when the forced type is not exact.
    """
    if offset is None:
        offset = np.zeros(convolution.geometry.channels, np.int64)
    reach = convolution.bound + int(np.abs(offset).max())
    with exact_arithmetic():
        against, trial = _int8_trial(convolution, reach, spikes, forced, device)
        chosen = forced or _fastest(layer, reach, against)
        if chosen == "int8":
            if against:
                raise NetworkError(f"layer {layer!r}: int8 is not exact here: {against}")
            why = f"exact in its self-test, {trial.float32_s / trial.int8_s:.1f} times faster than float32"
            return Choice(layer, chosen, reach, why), int8.build(convolution, offset, spikes, trial.fused)
        bits, dtype = _WIDER[chosen]
        if reach >= 1 << bits:
            raise NetworkError(f"layer {layer!r}: {chosen} is not exact: sums can reach {reach}, past 2^{bits}")
        why = "forced" if forced else f"below 2^{bits}; not int8: {against}"
        # Integers have no matrix products on other devices.
        on = device if dtype.is_floating_point else "cpu"
        return Choice(layer, chosen, reach, why), floating.build(convolution, offset, spikes, dtype, on)


def _int8_trial(
    convolution: Convolution, reach: int, spikes: bool, forced: ExactType | None, device: str
) -> tuple[str, int8.Trial]:
    """Why int8 is not taken, empty where it is, and its trial."""
    against, trial = int8.objection(convolution, reach, device), int8.Trial("")
    if against or forced not in (None, "int8"):
        return against, trial
    if forced is None and int8.small(convolution.geometry):
        return "there is too little to compute to gain from it", trial
    trial = int8.trial(convolution, spikes)
    slower = "" if forced or trial.faster else "it is not faster on this machine"
    return trial.objection or slower, trial


def _fastest(layer: str, reach: int, against_int8: str) -> ExactType:
    if not against_int8:
        return "int8"
    for name, (bits, _) in _WIDER.items():
        if reach < 1 << bits:
            return name
    raise NetworkError(f"layer {layer!r}: sums can reach {reach}, which no integer of 64 bits holds")
