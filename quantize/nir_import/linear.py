"""What NIR's linear nodes make of what arrives at them.

It is an affine form of the spikes (or frames) of earlier layers: a map for each and a constant. Every linear node turns
one form into another, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from netx import limits
from netx.nir_graph import IDENTITY, NirNode
from netx.types import Pair, Shape
from quantize.nir_import import operators as op
from quantize.nir_import.errors import CannotError

MOST_AXES = 32
"""Of an array, in the oldest numpy that we run with (1.26 ``NPY_MAXDIMS``); damaged files say millions."""

MOST_VALUES = 1 << 22
"""Of a node for one frame: four Loihi 2 chips of a million neurons each. Damaged paddings ask for far more."""

_WINDOWED = ("Conv1d", "Conv2d", "SumPool2d", "AvgPool2d")


@dataclass(frozen=True, eq=False)
class Form:
    """``sum of terms[source](source) + bias``, of ``shape``; bias of the same shape."""

    shape: Shape
    terms: Mapping[str, op.Term]
    bias: op.Float


def transformed(node: NirNode, form: Form, dt: float) -> Form:
    """``form`` after a linear node. Raises CannotError where that cannot be held."""
    kind, values = node.kind, node.values
    if kind in ("Input", "Output", IDENTITY):
        return form
    if kind == "Flatten":
        return _flattened(node, form)
    if kind == "Delay":
        return _delayed(np.asarray(values["delay"], np.float64), form, dt)
    if kind == "Scale":
        factor = _fitted(np.asarray(values["scale"], np.float64), form.shape)
        terms = {source: op.then_scaled(term, factor) for source, term in form.terms.items()}
        return Form(form.shape, terms, form.bias * factor)
    if kind in ("Affine", "Linear"):
        weight = _matrix(np.asarray(values["weight"], np.float64))
        terms = {source: op.then_dense(term, weight) for source, term in form.terms.items()}
        if weight.shape[1] != form.shape.size:
            raise CannotError(f"reads {form.shape}, but its weights expect {weight.shape[1]} values")
        bias = weight @ form.bias.ravel() + _bias(node, len(weight))
        return Form(Shape(len(weight), 1, 1), terms, bias.reshape(-1, 1, 1))
    if kind in _WINDOWED:
        conv = _conv(node, form.shape)
        shape = conv.output_shape(form.shape)
        if shape.size > MOST_VALUES:
            raise CannotError(f"makes {shape} of {form.shape}: {shape.size} values, more than {MOST_VALUES}")
        terms = {source: op.then_conv(term, conv) for source, term in form.terms.items()}
        constant = op.apply(conv, form.bias, shape) if form.bias.any() else np.zeros(shape)
        return Form(shape, terms, constant + _bias(node, shape.channel).reshape(-1, 1, 1))
    raise CannotError("is no kind that can be done")


def window_of(node: NirNode, form: Form) -> op.Conv | None:
    """The convolution that ``node`` is; None where it is no convolution or pooling."""
    return _conv(node, form.shape) if node.kind in _WINDOWED else None


def summed(forms: list[Form]) -> Form:
    """The sum of what several edges bring to a node."""
    if not forms:
        raise CannotError("has no input")
    total = forms[0]
    for form in forms[1:]:
        if form.shape != total.shape:
            raise CannotError(f"sums up values of different shapes, {total.shape} and {form.shape}")
        terms = dict(total.terms)
        for source, term in form.terms.items():
            terms[source] = op.added(terms[source], term) if source in terms else term
        total = Form(total.shape, terms, total.bias + form.bias)
    return total


def as_view(shape: tuple[int, ...]) -> Shape:
    """NIR's (n,), (channel, length) or (channel, height, width), as a Shape; ones in front of these are dropped."""
    if len(shape) > MOST_AXES:
        raise CannotError(f"has a shape of {len(shape)} sizes, more than the {MOST_AXES} that an array can have")
    sizes = [int(size) for size in shape]
    while len(sizes) > 3 and sizes[0] == 1:
        sizes = sizes[1:]
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise CannotError(f"has the shape {tuple(shape)}: expected one to three sizes of at least 1")
    if len(sizes) == 2:
        return Shape(sizes[0], 1, sizes[1])
    return Shape(sizes[0], *(sizes[1:] or (1, 1)))


def _flattened(node: NirNode, form: Form) -> Form:
    """All of a frame in one row: writers differ in whether they count the batch, so both first axes mean that."""
    start, end = (int(np.asarray(node.values[name]).ravel()[0]) for name in ("start_dim", "end_dim"))
    axes = sum(size > 1 for size in form.shape)
    if axes > 1 and (start not in (0, 1) or (0 <= end < 2)):
        raise CannotError(f"flattens dimensions {start} to {end} only: all of a frame can be flattened")
    shape = Shape(form.shape.size, 1, 1)
    terms = {source: replace(term, shape=shape) for source, term in form.terms.items()}
    return Form(shape, terms, form.bias.reshape(shape))


def _delayed(delay: op.Float, form: Form, dt: float) -> Form:
    if (delay < 0).any():
        raise CannotError(f"a delay is {delay.min():g} s: expected none below 0")
    # Beyond int64 there is no telling what a cast gives; what is longer than DELAY_MAX is refused by name later.
    whole = np.minimum(np.rint(np.atleast_1d(delay) / dt), limits.GRADED_MAX)
    steps: npt.NDArray[np.int64] = whole.astype(np.int64)
    return replace(form, terms={source: op.then_delayed(term, steps) for source, term in form.terms.items()})


def _fitted(values: op.Float, shape: Shape) -> op.Float:
    """Factors as one for all (1, 1, 1), or one for each value of ``shape``."""
    if values.size == 1:
        return values.reshape(1, 1, 1)
    if values.size == shape.size:
        return values.reshape(shape)
    if values.size == shape.channel:
        return np.broadcast_to(values.reshape(-1, 1, 1), shape).copy()
    raise CannotError(f"has {values.size} factors for {shape}")


def _matrix(weight: op.Float) -> op.Float:
    if weight.ndim < 2 or any(size != 1 for size in weight.shape[:-2]) or not weight.size:
        raise CannotError(f"its weights have the shape {weight.shape}, expected (out, in)")
    return weight.reshape(weight.shape[-2:])


def _bias(node: NirNode, size: int) -> op.Float:
    bias = np.asarray(node.values.get("bias", 0.0), np.float64)
    if bias.size not in (1, size):
        raise CannotError(f"its bias has {bias.size} values, expected {size}")
    return np.broadcast_to(bias.ravel(), (size,))


def _conv(node: NirNode, source: Shape) -> op.Conv:
    """Convolution or pooling as one convolution; averages count the padding, as torch's do."""
    if node.kind in ("SumPool2d", "AvgPool2d"):
        kernel, stride = _pair(node, "kernel_size", 1), _pair(node, "stride", 1)
        one = 1.0 if node.kind == "SumPool2d" else 1.0 / (kernel[0] * kernel[1])
        if kernel[0] * kernel[1] * source.channel > op.MAX_WEIGHTS:
            raise CannotError(f"has a window of {kernel[0]}x{kernel[1]}")
        weight = np.full((source.channel, 1, *kernel), one)
        return op.Conv(weight, stride, _pair(node, "padding", 0), (1, 1), source.channel)
    weight = np.asarray(node.values["weight"], np.float64)
    if node.kind == "Conv1d" and weight.ndim == 3:
        weight = weight[:, :, None, :]
    groups = int(np.asarray(node.values["groups"]).ravel()[0])
    if weight.ndim != 4 or not weight.size or groups < 1 or len(weight) % groups:
        raise CannotError(f"its weights have the shape {weight.shape}, in {groups} groups")
    conv = op.Conv(weight, _pair(node, "stride", 1), (0, 0), _pair(node, "dilation", 1), groups)
    padding = node.values["padding"]
    if isinstance(padding, str):
        return _padded(conv, padding)
    return replace(conv, padding=_pair(node, "padding", 0))


def _padded(conv: op.Conv, how: str) -> op.Conv:
    """``same`` or ``valid`` as torch has them: an odd number of zeros has the larger half behind."""
    if how == "valid":
        return conv
    if how != "same" or conv.stride != (1, 1):
        raise CannotError(f"its padding is {how!r} at stride {conv.stride}")
    op.check_reach(conv, conv.dilation)
    total = [(size - 1) * step for size, step in zip(conv.weight.shape[2:], conv.dilation, strict=True)]
    # Where both sides get as many zeros the kernel stays as it is. Else a zero in front of it takes the place of the
    # one that is missing in front of the values, which is that near only without dilation.
    odd = tuple(axis for axis in (0, 1) if total[axis] % 2)
    conv = op.undilated(conv, odd)
    weight = np.pad(conv.weight, [(0, 0), (0, 0), *((int(axis in odd), 0) for axis in (0, 1))])
    return replace(conv, weight=weight, padding=(-(-total[0] // 2), -(-total[1] // 2)))


def _pair(node: NirNode, name: str, low: int) -> Pair:
    """Whole numbers for (height, width); of the one axis of Conv1d the number for the width."""
    stored = node.values[name]
    if isinstance(stored, str):
        raise CannotError(f"its {name} is text: expected one or two whole numbers of at least {low}")
    values = np.asarray(stored, np.float64).ravel()
    if (
        values.size not in (1, 2)
        or (values < low).any()
        or (values != np.floor(values)).any()
        or values.max() > 1 << 15
    ):
        raise CannotError(f"its {name} is {values}: expected one or two whole numbers of at least {low}")
    last = int(values[-1])
    if node.kind == "Conv1d":
        return {"stride": 1, "dilation": 1}.get(name, 0), last
    return int(values[0]), last
