"""Convolutions of 8-bit integers with 32-bit sums, through oneDNN's quantised convolution.

torch reaches it by private operators only, whose form differs between releases. They are used where a trial on this
machine, of exactly this geometry and with saturated weights, has given the right bits, and sooner than float32.

The sums come out as float32, or, for spikes, with offset and step function done in the operator's own registers: its
8-bit output is ``clip(sum + offset, 0, 1)``, and with integers below 2^24 there is nothing to round.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import Range
from netx.arrays import IntArray
from sim.kernels import floating
from sim.kernels.convolution import Convolution, Geometry

FLOAT32_EXACT = 1 << 24
_SIGNED, _UNSIGNED = Range(-128, 127), Range(0, 255)
_WORTH_A_TRIAL = 1 << 20
"""Multiplications; below, both types take less than a tenth of a millisecond."""
_RUNS = 2

_WRONG_FORM = (AttributeError, RuntimeError, TypeError, NotImplementedError)
"""What torch raises when an operator is missing or takes other arguments."""


@dataclass(frozen=True)
class Trial:
    """What one geometry took: seconds a run, the best of some.

    objection: why these operators cannot be used; empty when every bit was right. fused: whether spikes are best made
    inside the operator.
    """

    objection: str
    int8_s: float = 0.0
    float32_s: float = 0.0
    fused: bool = False

    @property
    def faster(self) -> bool:
        """Than float32."""
        return self.int8_s < self.float32_s


def objection(convolution: Convolution, reach: int, device: str) -> str:
    """Why this convolution is not one of 8-bit integers, whatever the machine; empty when it is.

    reach: the largest magnitude of a sum with its offset.
    """
    if device != "cpu":
        return f"its operators are not for {device}"
    if reach >= FLOAT32_EXACT:
        return f"its results are float32, and {reach} is not below 2^24"
    if convolution.geometry.blind:
        return "a window of it lies in the padding alone, for which torch 2.3.1's operator reads outside its memory"
    if any(convolution.geometry.single):
        return "it has one output along an axis and a stride above 1, for which torch's operators read elsewhere, too"
    low, high = convolution.values
    if not any(kind.low <= low and high <= kind.high for kind in (_SIGNED, _UNSIGNED)):
        return f"values of {convolution.values} do not fit 8 bits"
    scale = _scale(convolution.weight)
    halved = convolution.weight // scale
    if halved.min() < _SIGNED.low or halved.max() > _SIGNED.high:
        return f"weights of {convolution.weight.min()}..{convolution.weight.max()} in steps of {scale} need over 8 bits"
    raw = int(np.abs(halved).reshape(len(halved), -1).sum(axis=1).max()) * _UNSIGNED.high
    if low < 0 and raw >= FLOAT32_EXACT:
        return f"signed values are moved to 0..255, and their sums of up to {raw} are not below 2^24"
    return ""


def small(geometry: Geometry) -> bool:
    """True where there is too little to compute for the choice of a type to matter."""
    return geometry.multiplications < _WORTH_A_TRIAL


def trial(convolution: Convolution, spikes: bool) -> Trial:
    """Compare the operators with float32, bit by bit and second by second, once a process for every geometry."""
    scale = _scale(convolution.weight)
    return _trial(convolution.geometry, convolution.values, scale, spikes, torch.get_num_threads())


def build(convolution: Convolution, offset: npt.NDArray[np.int64], spikes: bool, fused: bool) -> floating.Kernel:
    """As ``sim.kernels.choose`` says. The weights are packed here, once; ``values`` may be of any type."""
    geometry, zero = convolution.geometry, -_SIGNED.low if convolution.values.low < 0 else 0
    scale = _scale(convolution.weight)
    windows = list(geometry.stride), list(geometry.padding), list(geometry.dilation), geometry.groups
    scales = torch.full((geometry.channels,), float(scale))
    packed = _onednn().qconv_prepack(
        torch.from_numpy((convolution.weight // scale).astype(np.int8)),
        scales,
        1.0,
        zero,
        *windows,
        [geometry.batch, *geometry.source],  # else weights may be packed anew at every call
    )
    bias, zeros = torch.from_numpy(offset.astype(np.float32)), torch.zeros(geometry.channels, dtype=torch.int64)
    output = (torch.uint8, "hardtanh", [0.0, 1.0], "") if fused else (torch.float32, "none", [], "")

    def kernel(values: Tensor) -> Tensor:
        if zero and values.dtype == torch.int8:
            values = values.view(torch.uint8) ^ zero  # plus 128, as signed and unsigned bytes differ in one bit
        elif zero:
            values = values + zero
        raw = values.to(torch.uint8, memory_format=torch.channels_last)
        result: Tensor = _onednn().qconv2d_pointwise(
            raw, 1.0, zero, packed, scales, zeros, bias, *windows, 1.0, 0, *output
        )
        return (result > 0).view(torch.uint8) if spikes and not fused else result

    return kernel


def _onednn() -> Any:
    """torch's private operators of oneDNN, which have no types."""
    return torch._ops.ops.onednn


def _scale(weight: IntArray) -> int:
    """The step that all weights share: 2 for SLAYER's, so that they halve to 8 bits."""
    return max(int(np.gcd.reduce(weight, axis=None)), 1)


@lru_cache(maxsize=512)
def _trial(geometry: Geometry, values: Range, scale: int, spikes: bool, threads: int) -> Trial:  # noqa: ARG001
    generator = np.random.default_rng(0)
    convolution = _saturated(geometry, values, scale, generator)
    shape = (geometry.batch, *geometry.source)
    frames = [generator.integers(0, 2, shape), *(np.full(shape, choice) for choice in (0, 1))]
    inputs = [torch.from_numpy(np.array(values, np.int16)[frame]) for frame in frames]
    offset = generator.integers(-99, 100, geometry.channels)
    reference = floating.build(convolution, offset, spikes, torch.float32, "cpu")
    expected = [reference(frame) for frame in inputs]
    seconds = {}
    try:
        for fused in (False, True) if spikes else (False,):
            kernel = build(convolution, offset, spikes, fused)
            if not all(torch.equal(kernel(x), y) for x, y in zip(inputs, expected, strict=True)):
                return Trial("its operators gave wrong bits in the self-test on this machine")
            seconds[fused] = _seconds(kernel, inputs[0].to(torch.uint8))
    except _WRONG_FORM as error:
        return Trial(f"torch {torch.__version__} has no such operators ({str(error).splitlines()[0][:80]})")
    fused = min(seconds, key=lambda kind: seconds[kind])
    return Trial("", seconds[fused], _seconds(reference, inputs[0].to(torch.uint8)), fused)


def _saturated(geometry: Geometry, values: Range, scale: int, generator: np.random.Generator) -> Convolution:
    """A convolution of the largest and smallest weights, as many as float32 can sum exactly; zeros elsewhere."""
    terms = int(np.prod(geometry.weight_shape[1:]))
    largest = _SIGNED.high * scale * max(abs(values.low), abs(values.high))
    kept = min(1.0, (FLOAT32_EXACT // 2) / (terms * largest))
    weight = np.array(_SIGNED)[generator.integers(0, 2, geometry.weight_shape)]
    weight[generator.random(geometry.weight_shape, np.float32) >= kept] = 0
    return Convolution((weight * scale).astype(np.int32), geometry, values)


def _seconds(kernel: floating.Kernel, values: Tensor) -> float:
    best = float("inf")
    for _ in range(_RUNS):
        start = time.perf_counter()
        kernel(values)
        best = min(best, time.perf_counter() - start)
    return best
