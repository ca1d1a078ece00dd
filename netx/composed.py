"""Synapses that are wires and one convolution: transposed convolutions, and currents of two layers that add up.

Both so run wherever a convolution does, and are counted, mapped and proven as one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netx.errors import NetworkError
from netx.synapses import Conv2d, Upsample
from netx.types import Pair, as_pair


def transposed(
    weight: npt.ArrayLike,
    stride: Pair | int = 1,
    padding: Pair | int = 0,
    trailing: Pair | int = 0,
    dilation: Pair | int = 1,
    groups: int = 1,
    weight_exponent: int = 0,
) -> tuple[Upsample, Conv2d]:
    """A transposed convolution: the wire that spreads its input, and the convolution that reads that.

    weight: mantissas -256..255, shape (in channel, out channel / groups, kernel height, kernel width), as in torch.
    trailing: torch's ``output_padding``, below the stride. The others are torch's too: output ``o`` gets
    ``weight[t] * input[i]`` wherever ``i * stride + t * dilation - padding == o`` (torch 2.3, ``ConvTranspose2d``).
    Raises NetworkError where that is no convolution of integers, among others for a padding beyond the kernel.
    """
    kernels = np.asarray(weight)
    if kernels.ndim != 4 or kernels.size == 0 or groups < 1 or len(kernels) % groups:
        raise NetworkError(f"weight: expected (in, out / {groups}, height, width), got shape {kernels.shape}")
    ins, outs, *size = kernels.shape
    step, apart = as_pair(dilation, "dilation", 1), as_pair(padding, "padding", 0)
    reach = [one * (taps - 1) for one, taps in zip(step, size, strict=True)]
    if any(pad > far for pad, far in zip(apart, reach, strict=True)):
        raise NetworkError(f"padding {apart} is beyond the reach of a {size[0]}x{size[1]} kernel: cut the output off")
    turned = kernels[:, :, ::-1, ::-1].reshape(groups, ins // groups, outs, *size).swapaxes(1, 2)
    rest = (reach[0] - apart[0], reach[1] - apart[1])
    conv = Conv2d(turned.reshape(groups * outs, ins // groups, *size), 1, rest, step, groups, weight_exponent)  # type: ignore[arg-type]
    return Upsample(stride, True, trailing), conv  # type: ignore[arg-type]


def added(*convolutions: Conv2d) -> Conv2d:
    """The convolution of several layers side by side (``Concat``) whose activation is the sum of those of each.

    This is how the currents of two layers add up in one neuron: a skip connection of a residual network, or the ways
    that meet in a feature pyramid. Kernels of different sizes are laid over each other with zeros around the smaller.
    Raises NetworkError where strides, dilations, output channels or the sizes of the outputs differ.
    """
    if not convolutions:
        raise NetworkError("nothing is to be added")
    wide = [_ungrouped(one) for one in convolutions]
    if len({(len(one.weight), one.stride) for one in wide}) != 1:
        raise NetworkError("the convolutions to be added differ in their output channels or strides")
    dilation = tuple(_dilation([one.dilation[axis] for one in wide if one.kernel[axis] > 1]) for axis in (0, 1))
    padding = tuple(max(one.padding[axis] for one in wide) for axis in (0, 1))
    exponent = min(one.weight_exponent for one in wide)
    side = tuple(
        1 + max((one.kernel[axis] - 1) * dilation[axis] + 2 * (padding[axis] - one.padding[axis]) for one in wide)
        for axis in (0, 1)
    )
    laid = [_laid(one, exponent, side, padding, dilation) for one in wide]
    return Conv2d(np.concatenate(laid, axis=1), wide[0].stride, padding, dilation, 1, exponent)  # type: ignore[arg-type]


def _dilation(found: list[int]) -> int:
    if len(set(found)) > 1:
        raise NetworkError(f"the convolutions to be added differ in their dilations, {sorted(set(found))}")
    return found[0] if found else 1


def _ungrouped(conv: Conv2d) -> Conv2d:
    if conv.groups == 1:
        return conv
    out, ins, *kernel = conv.weight.shape
    weight = np.zeros((conv.groups, out // conv.groups, conv.groups, ins, *kernel), np.int32)
    diagonal = np.arange(conv.groups)
    weight[diagonal, :, diagonal] = conv.weight.reshape(conv.groups, -1, ins, *kernel)
    whole = weight.reshape(out, conv.groups * ins, *kernel)
    return Conv2d(whole, conv.stride, conv.padding, conv.dilation, 1, conv.weight_exponent)


def _laid(
    conv: Conv2d, exponent: int, side: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """Its kernel, of mantissas at ``exponent``, with zeros around it. side: the reach of the new kernel."""
    margins = []
    for axis in (0, 1):
        before = padding[axis] - conv.padding[axis]
        behind = side[axis] - 1 - (conv.kernel[axis] - 1) * dilation[axis] - before
        if before != behind or before % dilation[axis]:
            raise NetworkError("the convolutions to be added have outputs of different sizes: pad the larger kernel")
        margins.append((before // dilation[axis],) * 2)
    weight = conv.weight.astype(np.int64) << (conv.weight_exponent - exponent)
    return np.pad(weight, [(0, 0), (0, 0), *margins])
