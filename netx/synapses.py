"""Synapses in integers: how the values of input neurons become the activation of the layer's neurons.

Every synapse has ``output_shape(inputs)``, which raises NetworkError when the shapes do not fit, and
``activation_range(ranges)``: for each output channel the smallest and largest activation, in weight units, that any
input within ``ranges`` can cause (int64 arrays of shape (channel,)). Activations are linear in the inputs, so the
extremes are reached at the ends of the ranges; zero padding is covered because it is always one of the choices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from netx import limits
from netx.arrays import ArrayEquality, IntArray, frozen_int_array
from netx.errors import NetworkError
from netx.types import SPIKES, Pair, Range, Shape, as_pair

ChannelRange: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

_FAR_WEIGHTS, _FAR = 1 << 30, 1 << 54
"""Sums of weights and activations stop there, far beyond every limit, so that no bound wraps in 64 bits."""

NO_DELAY: IntArray = frozen_int_array([[0]], "delay", 0, 0)
"""Also what delays of all zeros become, so that equal synapses compare equal."""


def conv_output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Length of one axis after a convolution; below 1 when the kernel does not fit."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@dataclass(frozen=True, eq=False)
class Conv2d(ArrayEquality):
    """Two-dimensional cross-correlation, as in deep learning (the kernel is not flipped).

    weight: mantissas -256..255, shape (out channel, in channel / groups, kernel height, kernel width).
    weight_exponent: -8..7; the activation is ``sum(mantissa * input)`` shifted left by it (right where negative).
    stride, padding, dilation: (height, width), or one integer for both. Padding is with zeros.
    groups: both channel counts must be multiples of it.
    """

    weight: IntArray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    weight_exponent: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _checked_weight(self.weight, 4, "(out, in / groups, height, width)"))
        object.__setattr__(self, "stride", as_pair(self.stride, "stride", 1))
        object.__setattr__(self, "padding", as_pair(self.padding, "padding", 0))
        object.__setattr__(self, "dilation", as_pair(self.dilation, "dilation", 1))
        _check_exponent(self.weight_exponent)
        if not isinstance(self.groups, int) or self.groups < 1 or self.weight.shape[0] % self.groups:
            raise NetworkError(f"groups: {self.groups!r} does not divide the {self.weight.shape[0]} output channels")

    @property
    def kernel(self) -> Pair:
        """(height, width)."""
        return self.weight.shape[2], self.weight.shape[3]

    def output_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        shape = _single(inputs, "convolution")
        expected = self.weight.shape[1] * self.groups
        if shape.channel != expected:
            raise NetworkError(f"input has {shape.channel} channels, but the weights expect {expected}")
        height, width = _window_output(shape, self.kernel, self.stride, self.padding, self.dilation)
        return Shape(self.weight.shape[0], height, width)

    def activation_range(self, ranges: tuple[Range, ...], apart: Pair = (1, 1)) -> ChannelRange:
        """As for every synapse. apart: rows and columns from one value to the next, where zeros lie between them."""
        bounds = [
            _weighted_range(self._meeting((row, column), apart), ranges[0], self.weight_exponent)
            for row, column in np.ndindex(*apart)
        ]
        low, high = zip(*bounds, strict=True)
        return np.minimum.reduce(low), np.maximum.reduce(high)

    def _meeting(self, phases: Pair, apart: Pair) -> IntArray:
        """The weights that can meet in one output: taps that lie ``apart``, from where its window begins."""
        taps = (
            (phase + step * np.arange(size)) % far == 0
            for phase, step, size, far in zip(phases, self.dilation, self.kernel, apart, strict=True)
        )
        rows, columns = taps
        return np.where(rows[:, None] & columns, self.weight, 0)


@dataclass(frozen=True, eq=False)
class Dense(ArrayEquality):
    """Full connection of flat layers, shape (channel, 1, 1).

    weight: mantissas -256..255, shape (out, in). weight_exponent: as in Conv2d.
    weight_bits: None, and every mantissa counts as it is, which is how lava-dl loads its files; or 0..9, the
        ``num_weight_bits`` of lava-nc's own ``Dense``, which then drops low bits (see ``effective_weight``).
    delay: 0..62 steps by which each synapse's effect is late, in a shape that broadcasts to that of the weight: (out,
        1) is lava-dl's axonal delay, one for each neuron of this layer. Each delay's sum is shifted by the exponent on
        its own (``DelayDense``, lava-nc 0.10.0 ``proc/dense/models.py``). Delays of all zeros are none.
    """

    weight: IntArray
    weight_exponent: int = 0
    weight_bits: int | None = None
    delay: IntArray = field(default_factory=lambda: NO_DELAY)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _checked_weight(self.weight, 2, "(out, in)"))
        _check_exponent(self.weight_exponent)
        if self.weight_bits is not None and not (isinstance(self.weight_bits, int) and 0 <= self.weight_bits <= 9):
            raise NetworkError(f"weight bits: expected an integer in 0..9 or None, got {self.weight_bits!r}")
        object.__setattr__(self, "delay", _checked_delay(self.delay, self.weight.shape))

    @property
    def effective_weight(self) -> IntArray:
        """What the mantissas are worth once clipped and truncated as lava-nc 0.10.0 ``utils/weightutils.py`` does.

        With ``weight_bits`` of b, weights of both signs are clipped to -256..255 and lose their last 9 - b bits,
        rounding down; those of one sign are clipped to a magnitude of 255 and lose 8 - b, towards zero.
        """
        if self.weight_bits is None:
            return self.weight
        low, high = int(self.weight.min()), int(self.weight.max())
        mixed = low < 0 < high
        lost = max(8 - self.weight_bits + mixed, 0)
        sign = -1 if high <= 0 and low < 0 else 1
        clipped = np.clip(self.weight * sign, limits.WEIGHT_MIN if mixed else 0, limits.WEIGHT_MAX)
        return (clipped >> lost << lost) * sign

    def output_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        shape = _single(inputs, "dense connection")
        if shape != (self.weight.shape[1], 1, 1):
            raise NetworkError(f"input is {shape}, but the weights expect {self.weight.shape[1]}x1x1: flatten it first")
        return Shape(self.weight.shape[0], 1, 1)

    def activation_range(self, ranges: tuple[Range, ...]) -> ChannelRange:
        low, high = _weighted_range(self.effective_weight, ranges[0], self.weight_exponent)
        # Shifted right one by one, the sums of several delays may together be lower than the shifted whole.
        return low - (np.unique(self.delay).size - 1) * (self.weight_exponent < 0), high


@dataclass(frozen=True)
class Recurrent:
    """A layer that also reads its own spikes of the step before: ``forward(input) + feedback(spikes one step ago)``.

    forward: of shape (out, in). feedback: of shape (out, out). lava-dl's ``dense_rec`` (0.6.0 ``netx/hdf5.py``): its
    feedback goes through a stock ``Dense``, which answers one step later, also where pipeline latency is left out.
    """

    forward: Dense
    feedback: Dense

    def __post_init__(self) -> None:
        out = self.forward.weight.shape[0]
        if self.feedback.weight.shape != (out, out):
            raise NetworkError(f"feedback weight: expected shape {(out, out)}, got {self.feedback.weight.shape}")

    def output_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return self.forward.output_shape(inputs)

    def activation_range(self, ranges: tuple[Range, ...]) -> ChannelRange:
        forward, feedback = self.forward.activation_range(ranges), self.feedback.activation_range((SPIKES,))
        return forward[0] + feedback[0], forward[1] + feedback[1]


@dataclass(frozen=True)
class Direct:
    """No synapse at all: the neurons read their input as their activation, at once even in Lava.

    It is how lava-dl's ``input`` blocks are driven: frames are what is set as the bias of a LIF at each step, or what
    is sent to a Delta encoder.
    """

    def output_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return _single(inputs, "direct input")

    def activation_range(self, ranges: tuple[Range, ...]) -> ChannelRange:
        low, high = min(ranges[0].low, 0), max(ranges[0].high, 0)
        return np.array([low], dtype=np.int64), np.array([high], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Pool(ArrayEquality):
    """Sum over windows, channel by channel, each input weighted by the same integer.

    With binary spikes, weight 2 and a LIF of threshold 1 it is the OR of the window, which is what max pooling is.

    weight: 1..255.
    """

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    weight: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", as_pair(self.kernel, "kernel", 1))
        object.__setattr__(self, "stride", as_pair(self.stride, "stride", 1))
        object.__setattr__(self, "padding", as_pair(self.padding, "padding", 0))
        if not isinstance(self.weight, int) or not 1 <= self.weight <= limits.WEIGHT_MAX:
            raise NetworkError(f"pool weight: expected an integer in 1..{limits.WEIGHT_MAX}, got {self.weight!r}")

    def output_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        shape = _single(inputs, "pooling")
        height, width = _window_output(shape, self.kernel, self.stride, self.padding, (1, 1))
        return Shape(shape.channel, height, width)

    def activation_range(self, ranges: tuple[Range, ...]) -> ChannelRange:
        taps = self.kernel[0] * self.kernel[1] * self.weight
        low, high = max(min(ranges[0].low, 0) * taps, -_FAR), min(max(ranges[0].high, 0) * taps, _FAR)
        return np.array([low], dtype=np.int64), np.array([high], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Correlation(ArrayEquality):
    """Depth-wise cross-correlation of search features with template features: inputs (search, template).

    The template's spikes are the kernel, so a chip holds it as synapses that are programmed once per target
    (``Network.programmed``). Output channel ``c * copies + k`` is the correlation of channel c; the copies differ in
    their neurons' bias, and so read the count of coincidences against several thresholds.

    gain: the weight of one template spike, 1..255. copies: at least 1.
    """

    gain: int
    copies: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.gain, int) or not 1 <= self.gain <= limits.WEIGHT_MAX:
            raise NetworkError(f"gain: expected an integer in 1..{limits.WEIGHT_MAX}, got {self.gain!r}")
        if not isinstance(self.copies, int) or self.copies < 1:
            raise NetworkError(f"copies: expected an integer of at least 1, got {self.copies!r}")

    def output_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        if len(inputs) != 2:
            raise NetworkError(f"a correlation has two inputs (search, template), not {len(inputs)}")
        search, template = inputs
        if search.channel != template.channel:
            raise NetworkError(f"search has {search.channel} channels, the template {template.channel}")
        height, width = _window_output(search, (template.height, template.width), (1, 1), (0, 0), (1, 1))
        return Shape(search.channel * self.copies, height, width)

    def activation_range(self, ranges: tuple[Range, ...], template: Shape | None = None) -> ChannelRange:
        """As for every synapse; ``template``, the shape of the second input, is needed to count coincidences."""
        if template is None:
            raise NetworkError("the range of a correlation depends on the template's shape")
        ends = [search * kernel for search in ranges[0] for kernel in ranges[1]]
        taps = template.height * template.width * self.gain
        low, high = max(min(*ends, 0) * taps, -_FAR), min(max(*ends, 0) * taps, _FAR)
        return np.array([low], np.int64), np.array([high], np.int64)

    def programmed(self, template: npt.ArrayLike) -> Conv2d:
        """The grouped convolution whose weights are ``gain`` times the template's spikes (channel, height, width).

        Raises NetworkError when the template holds anything but 0 and 1.
        """
        spikes = frozen_int_array(template, "template spikes", 0, 1)
        if spikes.ndim != 3:
            raise NetworkError(f"template spikes: expected shape (channel, height, width), got {spikes.shape}")
        weight = np.repeat(spikes * self.gain, self.copies, axis=0)[:, None]
        return Conv2d(weight, groups=spikes.shape[0])


@dataclass(frozen=True)
class Flatten:
    """(channel, height, width) to (channel * height * width, 1, 1), channel-major as in torch. Has no neurons."""

    def output_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return Shape(_single(inputs, "flattening").size, 1, 1)


@dataclass(frozen=True)
class Concat:
    """Layers side by side along the channels. Has no neurons."""

    def output_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        if len({(shape.height, shape.width) for shape in inputs}) != 1:
            raise NetworkError(f"inputs differ in height or width: {', '.join(map(str, inputs))}")
        return Shape(sum(shape.channel for shape in inputs), inputs[0].height, inputs[0].width)


@dataclass(frozen=True)
class Upsample:
    """A map made larger by a whole factor. Has no neurons.

    factor: (height, width), or one integer for both. zeros: False repeats every value, which is nearest up-sampling;
        True leaves zeros between the values, and a convolution behind it is a transposed one (``transposed``).
    trailing: rows and columns of zeros after the last value, fewer than the factor; none where values are repeated.
    """

    factor: Pair
    zeros: bool = False
    trailing: Pair = (0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", as_pair(self.factor, "factor", 1))
        object.__setattr__(self, "trailing", as_pair(self.trailing, "trailing zeros", 0))
        if self.zeros not in (False, True):
            raise NetworkError(f"zeros: expected True or False, got {self.zeros!r}")
        object.__setattr__(self, "zeros", bool(self.zeros))
        most = self.factor if self.zeros else (1, 1)
        if self.trailing[0] >= most[0] or self.trailing[1] >= most[1]:
            fewer = f"fewer than the factor {self.factor}" if self.zeros else "none where values are repeated"
            raise NetworkError(f"trailing zeros: expected {fewer}, got {self.trailing}")

    def output_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        shape = _single(inputs, "up-sampling")
        height, width = (
            (size - 1) * factor + 1 + rest if self.zeros else size * factor
            for size, factor, rest in zip(shape[1:], self.factor, self.trailing, strict=True)
        )
        return Shape(shape.channel, height, width)

    def behind(self, source: Shape) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """For each row and each column of the output the one of ``source`` that it shows; -1 where there are zeros."""
        sizes = self.output_shape((source,))[1:]
        rows, columns = (
            np.where((places % factor == 0) | (not self.zeros), places // factor, -1)
            for places, factor in zip(map(np.arange, sizes), self.factor, strict=True)
        )
        return rows, columns

    def upsampled(self, values: npt.NDArray) -> npt.NDArray:
        """What it makes of arrays of shape (..., channel, height, width)."""
        rows, columns = self.behind(Shape(*values.shape[-3:]))
        return np.where((rows < 0)[:, None] | (columns < 0), 0, values[..., rows[:, None], columns]).astype(
            values.dtype
        )


Wire: TypeAlias = Flatten | Concat | Upsample
"""Re-arranges values; the layer has no neurons and costs nothing."""

WIRES = (Flatten, Concat, Upsample)
"""The same for ``isinstance``."""

Synapse: TypeAlias = Conv2d | Dense | Recurrent | Direct | Pool | Correlation | Wire


def shift(activation: npt.NDArray[np.int64], exponent: int) -> npt.NDArray[np.int64]:
    """``activation`` scaled by two to the ``exponent``; a negative one shifts right, rounding down."""
    return activation << exponent if exponent >= 0 else activation >> -exponent


def _weighted_range(weight: IntArray, values: Range, exponent: int) -> ChannelRange:
    flat = weight.reshape(weight.shape[0], -1).astype(np.int64)
    positive = np.minimum(np.maximum(flat, 0).sum(axis=1), _FAR_WEIGHTS)
    negative = np.maximum(np.minimum(flat, 0).sum(axis=1), -_FAR_WEIGHTS)
    low, high = min(values.low, 0), max(values.high, 0)
    lowest = np.maximum(positive * low + negative * high, -_FAR)
    highest = np.minimum(positive * high + negative * low, _FAR)
    return shift(lowest, exponent), shift(highest, exponent)


def _checked_weight(weight: IntArray, dimensions: int, layout: str) -> IntArray:
    frozen = frozen_int_array(weight, "weight", limits.WEIGHT_MIN, limits.WEIGHT_MAX)
    if frozen.ndim != dimensions or frozen.size == 0:
        raise NetworkError(f"weight: expected shape {layout}, got {frozen.shape}")
    return frozen


def _checked_delay(delay: IntArray, weight: tuple[int, ...]) -> IntArray:
    frozen = frozen_int_array(delay, "delay", 0, limits.DELAY_MAX)
    if frozen.ndim != 2 or any(size not in (1, full) for size, full in zip(frozen.shape, weight, strict=True)):
        raise NetworkError(f"delay: shape {frozen.shape} does not broadcast to that of the weight, {weight}")
    return frozen if frozen.any() else NO_DELAY


def _check_exponent(exponent: int) -> None:
    low, high = limits.WEIGHT_EXPONENT_MIN, limits.WEIGHT_EXPONENT_MAX
    if not isinstance(exponent, int) or not low <= exponent <= high:
        raise NetworkError(f"weight exponent: expected an integer in {low}..{high}, got {exponent!r}")


def _single(inputs: tuple[Shape, ...], what: str) -> Shape:
    if len(inputs) != 1:
        raise NetworkError(f"a {what} has one input, not {len(inputs)}")
    return inputs[0]


def _window_output(shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    height = conv_output_size(shape.height, kernel[0], stride[0], padding[0], dilation[0])
    width = conv_output_size(shape.width, kernel[1], stride[1], padding[1], dilation[1])
    if height < 1 or width < 1:
        raise NetworkError(f"a {kernel[0]}x{kernel[1]} kernel does not fit into an input of {shape}")
    return height, width
