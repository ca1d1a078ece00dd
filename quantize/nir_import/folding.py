"""A layer in floating point, with its neurons' parameters folded into its weights.

A layer's voltage and threshold are scaled together, which changes no spike, so that one threshold fits all channels and
the gain (``r``, ``w_in`` and both ``dt / tau``) disappears from the weights. ``v_leak``, ``v_reset`` and biases become
one drive a channel: voltages are counted from the reset voltage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from netx import limits
from netx.types import Shape
from quantize.nir_import import operators as op
from quantize.nir_import.errors import CannotError
from quantize.nir_import.forms import FloatLayer
from quantize.nir_import.neurons import FloatNeuron

TIE = 1e-5
"""Relative: a threshold so close to a whole number is that number, which float32 parameters just miss."""

_LARGEST_DIAGONAL = 2048
"""Neurons up to which a one-to-one connection is written as a matrix (4 million weights)."""


@dataclass(frozen=True, eq=False)
class Folded:
    """A layer in floating point, folded and normalised, before its power of two.

    kernels: one of each source, in the order of ``sources``; matrices where ``dense``. feedback: a matrix or None.
    drive: (channel,), added to the voltage at each step. threshold: one for all, or None for read-outs. fires_at:
    whether a voltage that equals it fires.
    """

    sources: tuple[str, ...]
    kernels: tuple[op.Conv | op.Dense, ...]
    delays: npt.NDArray[np.int64]
    feedback: op.Float | None
    feedback_delay: npt.NDArray[np.int64] | None
    drive: op.Float
    threshold: float | None
    factor: op.Float
    decays: tuple[int, int]
    memoryless: bool
    shape: Shape
    notes: tuple[str, ...]
    fires_at: bool

    @property
    def dense(self) -> bool:
        """Whether all kernels are matrices."""
        return isinstance(self.kernels[0], op.Dense)


def folded(layer: FloatLayer, shapes: Mapping[str, Shape], scales: Mapping[str, float]) -> Folded:
    """Fold neuron and inputs' scales into kernels, drive and one threshold."""
    form = layer.form
    neuron = layer.neuron or _linear(form.shape)
    convs = _as_convs(layer, neuron, shapes)
    sources = tuple(form.terms)
    kernels: list[op.Conv | op.Dense]
    if convs is None:
        terms = [op.as_dense(term) for term in form.terms.values()]
        kernels = [term.operator for term in terms if isinstance(term.operator, op.Dense)]
        shape = Shape(form.shape.size, 1, 1)
        delays = np.concatenate([_spread(term.delay, term) for term in terms], axis=1)
    else:
        kernels, shape, delays = list(convs), next(iter(form.terms.values())).own_shape, np.zeros((1, 1), np.int64)
    if delays.max() > limits.DELAY_MAX:
        raise CannotError(f"a delay of {delays.max()} steps is longer than the {limits.DELAY_MAX} that there are")
    neuron = neuron.reshaped(shape)
    gain, threshold, drive, notes = _by_channel(neuron, form.bias.reshape(shape))
    factor, common, drive = _normalised(gain, threshold, drive, neuron)
    weighting = gain * factor
    kernels = [_weighted(kernel, weighting / scales[source]) for source, kernel in zip(sources, kernels, strict=True)]
    feedback, feedback_delay = None, None
    if layer.feedback is not None:
        term = op.as_dense(layer.feedback)
        assert isinstance(term.operator, op.Dense)
        feedback = term.operator.weight * weighting[:, None]
        feedback_delay = term.delay
    decays, more = _decays(neuron)
    return Folded(
        sources, tuple(kernels), delays, feedback, feedback_delay, drive * factor, common, factor, decays,
        neuron.memoryless, shape, (*notes, *more), neuron.fires_at,
    )  # fmt: skip


def _linear(shape: Shape) -> FloatNeuron:
    """What reads out a linear node: its value as it is."""
    one, zero = np.ones(shape), np.zeros(shape)
    return FloatNeuron(one, one, one, zero, np.full(shape, np.inf), zero, zero, False)


def _as_convs(layer: FloatLayer, neuron: FloatNeuron, shapes: Mapping[str, Shape]) -> list[op.Conv] | None:
    """The terms as convolutions of one geometry, where the layer can be one of channels; None where not."""
    terms = layer.form.terms
    # Values of a vector that go one to one: a matrix, as long as it is small, because Lava has no 128 groups.
    flat_identity = any(
        isinstance(term.operator, op.Scaled) and term.source[1:] == (1, 1) and term.source.size <= _LARGEST_DIAGONAL
        for term in terms.values()
    )
    if layer.feedback is not None or flat_identity or any(term.delay.any() for term in terms.values()):
        return None
    if any(shapes[source] != term.source or isinstance(term.operator, op.Dense) for source, term in terms.items()):
        return None
    first = next(iter(terms.values())).own_shape
    if any(term.own_shape != first for term in terms.values()):
        return None
    if any(op.channel_values(array.reshape(first)) is None for array in (*neuron.arrays, layer.form.bias)):
        return None
    if len(terms) == 1:
        conv = op.as_conv(next(iter(terms.values())))
        return None if conv is None else [conv]
    flat = [replace(term, shape=term.own_shape) for term in terms.values()]
    return op.aligned_convs(flat)


def _spread(delay: npt.NDArray[np.int64], term: op.Term) -> npt.NDArray[np.int64]:
    return np.broadcast_to(delay, (term.shape.size, term.source.size))


def _by_channel(neuron: FloatNeuron, bias: op.Float) -> tuple[op.Float, op.Float, op.Float, tuple[str, ...]]:
    """Gain, threshold above reset, and what is added to the voltage at each step, (channel,) each; and notes."""
    syn, mem, gain, drive, threshold, reset, start = (values[:, 0, 0] for values in neuron.arrays)
    constant = bias[:, 0, 0]
    notes = []
    if constant.any() and (syn < 1).any():
        notes.append("the bias acts on the voltage at once; in the graph it builds up in the current first")
    if (start != reset).any() and not neuron.memoryless:
        where = f"at {start[0]:g}" if np.ptp(start) == 0 else f"at {start.min():g} to {start.max():g}"
        notes.append(f"neurons start at their reset voltage, in the graph {'at zero' if not start.any() else where}")
    # A constant c in x adds gain / syn * c per step once the current has settled: the series of what is kept of it.
    total = drive - mem * reset + gain / syn * constant
    return gain, threshold - reset, total, tuple(notes)


def _normalised(
    gain: op.Float, threshold: op.Float, drive: op.Float, neuron: FloatNeuron
) -> tuple[op.Float, float | None, op.Float]:
    """A positive factor for each channel that gives all one threshold, that threshold, and the drive before it.

    Without memory the threshold can be made one by adding to the drive, which leaves the weights as they are.
    """
    typical = float(np.median(np.abs(gain)))
    unit = np.full(len(gain), 1.0 / typical if typical > 0 else 1.0)
    if not neuron.spikes:
        return unit, None, drive
    if np.ptp(threshold) <= TIE * np.abs(threshold).max():
        return unit, float(threshold[0] * unit[0]), drive
    if neuron.memoryless:
        return unit, float(threshold[0] * unit[0]), drive + threshold[0] - threshold
    if (threshold <= 0).any():
        raise CannotError(
            "its thresholds differ, and some are not above the reset voltage: neurons of a layer share one threshold"
        )
    common = float(np.median(threshold))
    return unit * common / threshold, common * float(unit[0]), drive


def _weighted(kernel: op.Conv | op.Dense, factor: op.Float) -> op.Conv | op.Dense:
    """The kernel with its output channels scaled."""
    if isinstance(kernel, op.Dense):
        return op.Dense(kernel.weight * factor[:, None])
    return replace(kernel, weight=kernel.weight * factor[:, None, None, None])


def _decays(neuron: FloatNeuron) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Current and voltage decay in 1/4096, one for all neurons: the median; and what that costs, in words."""
    result, notes = [], []
    for what, values in (("current", neuron.syn_decay), ("voltage", neuron.mem_decay)):
        decay = round(float(np.median(values)) * limits.DECAY_ONE)
        if values.any() and decay == 0:
            notes.append(f"the {what} decay of {np.median(values):.3g} rounds to 0 of 4096: nothing is forgotten")
        span = np.rint(values * limits.DECAY_ONE)
        if span.min() != span.max():
            off = max(abs(decay / limits.DECAY_ONE / value - 1) for value in (values.min(), values.max()))
            notes.append(
                f"neurons have {what} decays of {int(span.min())} to {int(span.max())} of 4096; all get {decay}, "
                f"which is up to {off:.1%} off"
            )
        result.append(decay)
    return (result[0], result[1]), tuple(notes)
