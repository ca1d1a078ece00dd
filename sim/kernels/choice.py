"""The fastest type in which the sums of a layer are exact, and why it was taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import NetworkError
from sim.kernels import events, floating, int8
from sim.kernels.convolution import Convolution, seen_alone
from sim.kernels.floating import Kernel
from sim.kernels.settings import exact_arithmetic

ExactType: TypeAlias = Literal["int8", "float32", "float64", "int64", "events"]
EXACT_TYPES: tuple[ExactType, ...] = get_args(ExactType)
"""int8 has sums of 32 bits. events: the rows of the inputs that sent something are added, in 32 or 64 bits."""

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


class ByRate:
    """A kernel that follows the spikes while few inputs are active, and computes them all otherwise.

    choice: what the last call took. below: the share of active inputs under which it follows them.
    """

    def __init__(self, choice: Choice, dense: Kernel, follow: Kernel, below: float) -> None:
        self._dense_choice, self._dense, self._follow, self._below = choice, dense, follow, below
        often = f"events while under {below:.1%} of its inputs are active"
        self.choice = replace(choice, reason=f"{choice.reason}; {often}")

    def __call__(self, values: Tensor) -> Tensor:
        rate = _active(values) / values.numel()
        follows = rate < self._below
        side = "under" if follows else "not under"
        reason = f"{rate:.1%} of its inputs were active, {side} the {self._below:.1%} at which {{}} takes as long"
        dense = self._dense_choice
        if follows:
            self.choice = replace(dense, type="events", reason=reason.format(dense.type))
        else:
            self.choice = replace(dense, reason=f"{dense.reason}; {reason.format('events')}")
        return (self._follow if follows else self._dense)(values)


def _active(values: Tensor) -> int:
    """How many of them, bytes of spikes or anything else, are not zero."""
    if values.dtype != torch.uint8 or values.device.type != "cpu":
        return int(torch.count_nonzero(values))
    # numpy counts booleans by the word, and on this thread: torch's own would spin where kernels run next.
    return int(np.count_nonzero(values.permute(0, 2, 3, 1).numpy().view(np.bool_)))


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
    width), and is to be called within ``exact_arithmetic()``; sums come in int32, int64, float32 or float64. Where
    the share of active inputs decides, the kernel is a ``ByRate``.
    Raises NetworkError when the forced type is not exact.
    """
    if offset is None:
        offset = np.zeros(convolution.geometry.channels, np.int64)
    reach = convolution.bound + int(np.abs(offset).max())
    against = events.objection(convolution, device)
    with exact_arithmetic():
        if forced == "events" or (forced is None and not against and _must_follow(convolution, reach)):
            if against:
                raise NetworkError(f"layer {layer!r}: {against}")
            why = "forced" if forced else "too little to compute, or too wide, for anything else to be faster"
            return Choice(layer, "events", reach, why), _following(convolution, offset, spikes)
        choice, dense = _dense(layer, convolution, offset, spikes, forced, device, reach)
        if forced or against or not convolution.values.binary or convolution.geometry.weight_shape[1] == 1:
            return choice, dense
        below = events.crossing(convolution, dense, choice.type)
    by_rate = ByRate(choice, dense, _following(convolution, offset, spikes), below)
    return by_rate.choice, by_rate


def _must_follow(convolution: Convolution, reach: int) -> bool:
    """Whether nothing but events is worth a trial: a trifle, or messages of so many bits that products are slow.

    A depth-wise convolution is no trifle: its rows have a column each, and lists of what spikes cost more than sums.
    """
    depth_wise = convolution.geometry.groups > 1 and convolution.geometry.weight_shape[1] == 1
    return reach >= 1 << 53 or (convolution.values.binary and int8.small(convolution.geometry) and not depth_wise)


def _following(convolution: Convolution, offset: npt.NDArray[np.int64], spikes: bool) -> Kernel:
    """Events as ``choose`` says."""
    if spikes:
        return events.build(convolution, -offset)
    sums, added = events.build(convolution), torch.from_numpy(offset)[:, None, None]
    return (lambda values: sums(values) + added) if offset.any() else sums


def _dense(
    layer: str,
    convolution: Convolution,
    offset: npt.NDArray[np.int64],
    spikes: bool,
    forced: ExactType | None,
    device: str,
    reach: int,
) -> tuple[Choice, Kernel]:
    """The fastest kernel that multiplies all values."""
    alone, cut = seen_alone(convolution)
    if alone is not convolution:
        choice, kernel = _dense(layer, alone, offset, spikes, forced, device, reach)
        return choice, lambda values: kernel(cut(values))
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
