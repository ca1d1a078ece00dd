"""Linear maps between layers of neurons in floating point, and how two of them in a row become one.

Shapes are (channel, height, width) throughout; a vector is (n, 1, 1) and one row of pixels (channel, 1, length).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from netx.synapses import conv_output_size
from netx.types import Pair, Shape
from quantize.nir_import.errors import CannotError

Float: TypeAlias = npt.NDArray[np.float64]

MAX_WEIGHTS = 1 << 24
"""Our bound on the weights that joining two maps may make: 128 MiB in double precision."""

_MAX_SCRATCH = 1 << 26
"""And on those that are made on the way to it, zeros included: 512 MiB. Damaged paddings and dilations ask for more."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """Each value times its own factor. factor: of the shape of what is read, or (1, 1, 1) for all."""

    factor: Float


@dataclass(frozen=True, eq=False)
class Conv:
    """A cross-correlation. weight: (out channel, in channel / groups, kernel height, kernel width)."""

    weight: Float
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def output_shape(self, source: Shape) -> Shape:
        """Raises CannotError when the kernel does not fit ``source``."""
        if source.channel != self.weight.shape[1] * self.groups:
            expected = self.weight.shape[1] * self.groups
            raise CannotError(f"reads {source.channel} channels, but its weights expect {expected}")
        sizes = [
            conv_output_size(source[1 + axis], self.weight.shape[2 + axis], *window)
            for axis, window in enumerate(zip(self.stride, self.padding, self.dilation, strict=True))
        ]
        if min(sizes) < 1:
            raise CannotError(f"its kernel of {self.weight.shape[2:]} does not fit into {source}")
        return Shape(self.weight.shape[0], *sizes)


@dataclass(frozen=True, eq=False)
class Dense:
    """A full matrix over the flattened values, channel-major. weight: (out, in)."""

    weight: Float


Operator: TypeAlias = Scaled | Conv | Dense


@dataclass(frozen=True, eq=False)
class Term:
    """What a layer receives from one source: ``operator`` of its values ``delay`` steps ago.

    source: shape of what is read. shape: that of what comes out, which after a Flatten is not the operator's own.
    delay: whole steps, shape (1, 1) for all, (1, in) or (out, 1) for each value on one side.
    """

    operator: Operator
    source: Shape
    shape: Shape
    delay: npt.NDArray[np.int64]

    @property
    def own_shape(self) -> Shape:
        """The operator's output before any flattening."""
        if isinstance(self.operator, Conv):
            return self.operator.output_shape(self.source)
        return self.source if isinstance(self.operator, Scaled) else self.shape

    @property
    def flattened(self) -> bool:
        """Whether what comes out is not the operator's own shape."""
        return not isinstance(self.operator, Dense) and self.own_shape != self.shape


def identity(shape: Shape) -> Term:
    """The values themselves."""
    return Term(Scaled(np.ones((1, 1, 1))), shape, shape, np.zeros((1, 1), np.int64))


def as_dense(term: Term) -> Term:
    """The same map as a matrix. Raises CannotError when that is too large."""
    operator = term.operator
    if isinstance(operator, Dense):
        return term
    size = term.source.size * term.shape.size
    _check_size(size, "as a matrix it")
    if isinstance(operator, Scaled):
        matrix = np.diag(np.broadcast_to(operator.factor, term.source).ravel())
    else:
        own = term.own_shape
        matrix = _through(operator, np.eye(own.size).reshape(own.size, *own), term.source)
    return replace(term, operator=Dense(matrix))


def then_dense(term: Term, weight: Float) -> Term:
    """``weight`` (out, in) after ``term``."""
    if weight.shape[1] != term.shape.size:
        raise CannotError(f"reads {term.shape}, but its weights expect {weight.shape[1]} values")
    if term.delay.shape[0] != 1:
        raise CannotError("sums up values of different delays: only the values of a layer can be delayed one by one")
    _check_size(len(weight) * term.source.size, "joined to what it reads it")
    operator, shape = term.operator, Shape(len(weight), 1, 1)
    if isinstance(operator, Scaled):
        matrix = weight * np.broadcast_to(operator.factor, term.source).reshape(1, -1)
    elif isinstance(operator, Dense):
        matrix = weight @ operator.weight
    else:
        matrix = _through(operator, weight.reshape(-1, *term.own_shape), term.source)
    return replace(term, operator=Dense(matrix), shape=shape)


def then_conv(term: Term, conv: Conv) -> Term:
    """``conv`` after ``term``, as a convolution where that is exact and as a matrix where not."""
    shape = conv.output_shape(term.shape)
    if term.delay.shape != (1, 1):
        raise CannotError("convolves values of different delays: only the values of a matrix can be delayed one by one")
    joined = None if term.flattened else _joined(term, conv)
    if joined is not None:
        return replace(term, operator=joined, shape=shape)
    _check_size(shape.size * term.shape.size, "as a matrix it")
    matrix = _through(conv, np.eye(shape.size).reshape(shape.size, *shape), term.shape)
    return replace(then_dense(term, matrix), shape=shape)


def without_margin(term: Term, conv: Conv) -> Shape | None:
    """A smaller source with which ``term`` is the same and can be joined to ``conv``; None where there is none.

    Pooling that does not divide a size leaves the last rows or columns unread. A convolution with padding behind it
    sees zeros there, and one that is joined to the pooling would see what was left.
    """
    first = term.operator
    if not isinstance(first, Conv) or term.flattened or not any(conv.padding):
        return None
    middle, first = term.own_shape, undilated(first)
    sizes = list(term.source)
    for axis in (0, 1):
        kernel, stride, padding = first.weight.shape[2 + axis], first.stride[axis], first.padding[axis]
        if conv.padding[axis] and kernel > stride + padding:
            return None
        sizes[1 + axis] = min(sizes[1 + axis], (middle[1 + axis] - 1) * stride - padding + kernel)
    smaller = Shape(*sizes)
    return smaller if smaller != term.source and first.output_shape(smaller) == middle else None


def crop(source: Shape, shape: Shape) -> Term:
    """The first rows and columns of ``source``, channel by channel."""
    kernel = np.zeros((source.channel, 1, source.height - shape.height + 1, source.width - shape.width + 1))
    kernel[:, :, 0, 0] = 1
    return Term(Conv(kernel, groups=source.channel), source, shape, np.zeros((1, 1), np.int64))


def then_scaled(term: Term, factor: Float) -> Term:
    """Each value of ``term`` times its own factor, of its shape or (1, 1, 1)."""
    operator = term.operator
    if factor.size == 1:
        return replace(term, operator=_times(operator, float(factor.ravel()[0])))
    if factor.size != term.shape.size:
        raise CannotError(f"has {factor.size} factors for {term.shape}")
    if isinstance(operator, Scaled):
        return replace(term, operator=Scaled(operator.factor * factor.reshape(term.source)))
    if isinstance(operator, Conv):
        by_channel = channel_values(factor.reshape(term.own_shape))
        if by_channel is not None:
            return replace(term, operator=replace(operator, weight=operator.weight * by_channel[:, None, None, None]))
        term = as_dense(term)
    assert isinstance(term.operator, Dense)
    return replace(term, operator=Dense(term.operator.weight * factor.reshape(-1, 1)))


def then_delayed(term: Term, steps: npt.NDArray[np.int64]) -> Term:
    """``term`` later by so many steps; one number, or one for each value."""
    if steps.min() == steps.max():
        return replace(term, delay=term.delay + int(steps.flat[0]))
    if steps.size != term.shape.size:
        raise CannotError(f"has {steps.size} delays for {term.shape}")
    if isinstance(term.operator, Scaled) and term.delay.shape[0] == 1:
        return replace(term, delay=term.delay + steps.reshape(1, -1))
    if term.delay.shape[1] != 1:
        raise CannotError("delays values that already come from others with delays of their own")
    return replace(as_dense(term), delay=term.delay + steps.reshape(-1, 1))


def added(one: Term, two: Term) -> Term:
    """The sum of two maps of the same source."""
    if not np.array_equal(np.broadcast_to(one.delay, two.delay.shape), two.delay):
        raise CannotError("reads the same values at once and after a delay")
    if isinstance(one.operator, Scaled) and isinstance(two.operator, Scaled):
        return replace(one, operator=Scaled(one.operator.factor + two.operator.factor))
    aligned = aligned_convs([one, two])
    if aligned is not None:
        a, b = aligned
        return replace(one, operator=replace(a, weight=a.weight + b.weight))
    a_dense, b_dense = as_dense(one).operator, as_dense(two).operator
    assert isinstance(a_dense, Dense)
    assert isinstance(b_dense, Dense)
    return replace(one, operator=Dense(a_dense.weight + b_dense.weight))


def aligned_convs(terms: list[Term]) -> list[Conv] | None:
    """The terms as convolutions of one geometry, so that they add up or stand side by side; None where there is none.

    Kernels get zeros around them until paddings agree: a 1x1 kernel without padding is a 3x3 one with padding 1.
    """
    if len({term.source[1:] for term in terms}) != 1 or any(term.flattened for term in terms):
        return None
    if any(isinstance(term.operator, Dense) for term in terms):
        return None
    convs = [as_conv(term) for term in terms]
    if any(conv is None for conv in convs) or len({conv.stride for conv in convs if conv}) != 1:
        return None
    if len({(conv.weight.shape[2:], conv.padding, conv.dilation) for conv in convs if conv}) == 1:
        return [ungrouped(conv) for conv in convs if conv]  # their dilation can stay
    plain = [ungrouped(undilated(conv)) for conv in convs if conv]
    padding = tuple(max(conv.padding[axis] for conv in plain) for axis in (0, 1))
    size = tuple(
        max(padding[axis] - conv.padding[axis] + conv.weight.shape[2 + axis] for conv in plain) for axis in (0, 1)
    )
    for conv in plain:
        grown_size = conv.weight.shape[0] * conv.weight.shape[1] * size[0] * size[1]
        _check_size(grown_size, "with the padding of another it", _MAX_SCRATCH)
    result = []
    for conv in plain:
        before = [padding[axis] - conv.padding[axis] for axis in (0, 1)]
        margins = [(before[axis], size[axis] - before[axis] - conv.weight.shape[2 + axis]) for axis in (0, 1)]
        grown = Conv(np.pad(conv.weight, [(0, 0), (0, 0), *margins]), conv.stride, (padding[0], padding[1]))
        result.append(grown)
    fits = all(conv.output_shape(term.source) == term.own_shape for conv, term in zip(result, terms, strict=True))
    return result if fits else None


def as_conv(term: Term) -> Conv | None:
    """The term's operator as a convolution; None for a matrix, and for factors that differ within a channel."""
    if isinstance(term.operator, Conv):
        return term.operator
    if isinstance(term.operator, Dense):
        return None
    by_channel = channel_values(np.broadcast_to(term.operator.factor, term.source))
    if by_channel is None:
        return None
    return Conv(by_channel.reshape(-1, 1, 1, 1), groups=term.source.channel)


def channel_values(values: Float) -> Float | None:
    """One value a channel of ``values`` (channel, height, width); None where a channel holds different ones."""
    first = values[:, :1, :1]
    return values[:, 0, 0].copy() if np.array_equal(values, np.broadcast_to(first, values.shape)) else None


def undilated(conv: Conv, axes: tuple[int, ...] = (0, 1)) -> Conv:
    """The same with zeros between the weights instead, along ``axes``: 0 for height, 1 for width."""
    steps = (conv.dilation[0] if 0 in axes else 1, conv.dilation[1] if 1 in axes else 1)
    if steps == (1, 1):
        return conv
    weight = np.zeros(check_reach(conv, steps))
    weight[:, :, :: steps[0], :: steps[1]] = conv.weight
    return replace(conv, weight=weight, dilation=(conv.dilation[0] // steps[0], conv.dilation[1] // steps[1]))


def check_reach(conv: Conv, steps: Pair) -> tuple[int, int, int, int]:
    """The weights' shape with zeros between them instead of a dilation of ``steps``. Raises CannotError where they
    reach so far that these, or frames padded for them, would be too large."""
    out, ins, height, width = conv.weight.shape
    tall, wide = (height - 1) * steps[0] + 1, (width - 1) * steps[1] + 1
    _check_size(out * ins * tall * wide, "without dilation it", _MAX_SCRATCH)
    return out, ins, tall, wide


def ungrouped(conv: Conv) -> Conv:
    """The same with zeros between the groups. Raises CannotError when that is too large."""
    if conv.groups == 1:
        return conv
    out, ins, *kernel = conv.weight.shape
    _check_size(conv.weight.size * conv.groups, "without groups it")
    weight = np.zeros((conv.groups, out // conv.groups, conv.groups, ins, *kernel))
    diagonal = np.arange(conv.groups)
    weight[diagonal, :, diagonal] = conv.weight.reshape(conv.groups, out // conv.groups, ins, *kernel)
    return replace(conv, weight=weight.reshape(out, conv.groups * ins, *kernel), groups=1)


def apply(operator: Operator, values: Float, shape: Shape) -> Float:
    """What ``operator`` makes of ``values`` (channel, height, width), in the ``shape`` that comes out."""
    if isinstance(operator, Scaled):
        return (values * operator.factor).reshape(shape)
    if isinstance(operator, Dense):
        return (operator.weight @ values.ravel()).reshape(shape)
    window = (operator.stride, operator.padding, operator.dilation, operator.groups)
    result = F.conv2d(_tensor(values)[None], _tensor(operator.weight), None, *window)
    return result[0].numpy().reshape(shape)


def _through(conv: Conv, rows: Float, source: Shape) -> Float:
    """``rows`` (n, channel, height, width) of a matrix over the output of ``conv``, as ones over its ``source``."""
    own = conv.output_shape(source)
    plain = undilated(conv)
    extra = [
        source[1 + axis]
        + 2 * plain.padding[axis]
        - plain.weight.shape[2 + axis]
        - (own[1 + axis] - 1) * plain.stride[axis]
        for axis in (0, 1)
    ]
    padded = [source[1 + axis] + 2 * plain.padding[axis] for axis in (0, 1)]
    _check_size(len(rows) * source.channel * padded[0] * padded[1], "as a matrix, with its padding, it", _MAX_SCRATCH)
    # The rows and columns that the stride leaves over come back as zeros.
    grown = F.conv_transpose2d(_tensor(rows), _tensor(plain.weight), None, plain.stride, 0, 0, plain.groups)
    full = F.pad(grown, (0, extra[1], 0, extra[0]))
    top, left = plain.padding
    cut = full[:, :, top : top + source.height, left : left + source.width]
    return cut.reshape(len(rows), -1).numpy().copy()


def _joined(term: Term, second: Conv) -> Conv | None:
    """``second`` after the term's convolution as one; None where the padding of ``second`` makes them differ."""
    first = as_conv(term)
    if first is None:
        return None
    if isinstance(term.operator, Scaled):
        return _scaled_inputs(second, first.weight[:, 0, 0, 0])
    middle = first.output_shape(term.source)
    first, second = undilated(first), undilated(second)
    for axis in (0, 1):
        if second.padding[axis] and not _margin_is_empty(first, term.source, middle, axis):
            return None
    groups = second.groups if _is_depthwise(first) else 1
    if groups == 1 and _is_depthwise(second) and not _is_depthwise(first):
        groups = first.groups
    wide = ungrouped(second)
    kernel = [(wide.weight.shape[2 + axis] - 1) * first.stride[axis] + first.weight.shape[2 + axis] for axis in (0, 1)]
    _check_size(len(wide.weight) * term.source.channel * kernel[0] * kernel[1], "joined to what it reads it")
    weight = F.conv_transpose2d(_tensor(wide.weight), _tensor(first.weight), None, first.stride, 0, 0, first.groups)
    stride = (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1])
    padding = tuple(first.padding[axis] + first.stride[axis] * second.padding[axis] for axis in (0, 1))
    return Conv(_diagonal(weight.numpy(), groups), stride, (padding[0], padding[1]), (1, 1), groups)


def _margin_is_empty(first: Conv, source: Shape, middle: Shape, axis: int) -> bool:
    """Whether windows of ``first`` beyond its output would see nothing but padding, as zeros do there."""
    size, kernel = source[1 + axis], first.weight.shape[2 + axis]
    stride, padding = first.stride[axis], first.padding[axis]
    return kernel <= stride + padding and middle[1 + axis] * stride - padding >= size


def _is_depthwise(conv: Conv) -> bool:
    """One output channel for each input channel."""
    return conv.groups == len(conv.weight) and conv.weight.shape[1] == 1


def _scaled_inputs(conv: Conv, factor: Float) -> Conv:
    """``conv`` with each input channel scaled before."""
    by_group = factor.reshape(conv.groups, conv.weight.shape[1])
    each = np.repeat(by_group, len(conv.weight) // conv.groups, axis=0)
    return replace(conv, weight=conv.weight * each[:, :, None, None])


def _diagonal(weight: Float, groups: int) -> Float:
    """The blocks on the diagonal of kernels without groups, as kernels of so many groups."""
    if groups == 1:
        return weight.copy()
    out, ins, *kernel = weight.shape
    blocks = weight.reshape(groups, out // groups, groups, ins // groups, *kernel)
    diagonal = np.arange(groups)
    return blocks[diagonal, :, diagonal].reshape(out, ins // groups, *kernel)


def _times(operator: Operator, factor: float) -> Operator:
    if isinstance(operator, Scaled):
        return Scaled(operator.factor * factor)
    return replace(operator, weight=operator.weight * factor)


def _check_size(size: int, what: str, most: int = MAX_WEIGHTS) -> None:
    if size > most:
        raise CannotError(f"{what} would have {size} weights, more than {most}")


def _tensor(values: Float) -> torch.Tensor:
    return torch.from_numpy(np.array(values, np.float64, order="C"))  # a copy: the values of files are read-only
