"""Layers in floating point as layers of integers, with the head-room of every accumulator seen to.

Each layer has a power of two by which its weights, thresholds and drives are scaled, as large as 8-bit weights and
24-bit states allow. Weights are even numbers in -254..254, the recipe at which Lava, SLAYER and readers of NIR agree (a
mixed-sign Dense of Lava drops the last bit, ``proc/dense/models.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from netx import LIF, Accumulator, Concat, Flatten, Input, Layer, Network, Neuron, Recurrent, Synapse, limits
from netx import Conv2d as IntConv
from netx import Dense as IntDense
from netx.arrays import IntArray
from netx.headroom import LayerHeadroom, headroom
from netx.types import Range, Shape
from quantize.nir_import import operators as op
from quantize.nir_import.errors import CannotError
from quantize.nir_import.folding import TIE, Folded, folded
from quantize.nir_import.forms import FloatLayer

_MANTISSA = 127
"""Largest magnitude of half a weight."""

_FINE_THRESHOLD, _MOST_EXPONENT = 512, 6
"""Neurons that remember round their state at every step, by 1/64 unit: thresholds below this many units get a weight
exponent above 0, which makes units finer, up to so many."""

_TINIEST = 2.0**-900
"""Weights below, or above its inverse, overflow in double precision once they are scaled by a power of two."""

_BITS_FOR_PROOF = 2
"""Bits of the weights that are given up so that the voltage, too, is proven to stay within 24 bits. Beyond that it may
saturate, which engine and Lava do alike; the current, which would wrap, is always proven."""


@dataclass(frozen=True)
class Rounded:
    """What rounding made of a layer.

    scale: weight units in one unit of the graph's weighted sums where all channels have the same gain; the power of two
        times what the gain divides by. exponent: of the power of two. weight_exponent: of the synapse.
    weight_error: rms of the difference between a weight and its integer, over the rms of the weights. largest_weight:
        the largest magnitude among the integers. decays: (current, voltage), in 1/4096, or None without memory.
    voltage_unit: weight units in one unit of the node's own voltage, for each channel.
    headroom: the static worst case; ``proven`` in it is false where the voltage may saturate.
    """

    exponent: int
    weight_exponent: int
    weight_error: float
    largest_weight: int
    threshold_error: float
    bias_error: float
    decays: tuple[int, int]
    voltage_unit: npt.NDArray[np.float64]
    headroom: LayerHeadroom
    notes: tuple[str, ...]


@dataclass
class Builder:
    """Adds one layer after the other to a network. shapes, scales: of what can be read; a spike has scale 1."""

    inputs: tuple[Input, ...]
    scales: dict[str, float]
    names: dict[str, str]
    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for source in self.inputs:
            self.shapes[source.name] = source.shape

    def add(self, layer: FloatLayer) -> Rounded:
        """Round one layer, whose sources are there. Raises CannotError where it does not fit the integers."""
        plan = folded(layer, self._read_shapes(layer), {s: self.scales[self.names[s]] for s in layer.form.terms})
        name = self.names[layer.name]
        source = self._source(name, plan)
        rounded, made = _rounded(self, plan, name, source)
        self.layers.append(made)
        self.shapes[name] = plan.shape
        self.scales[name] = 1.0
        return rounded

    def network(self, outputs: tuple[str, ...]) -> Network:
        """The network with these layers as its outputs."""
        return Network(self.inputs, tuple(self.layers), outputs)

    def range(self, name: str) -> Range:
        """The integers that an input or layer sends."""
        if not self.layers:
            return next(source.range for source in self.inputs if source.name == name)
        return self.network((self.layers[-1].name,)).range(name)

    def _read_shapes(self, layer: FloatLayer) -> dict[str, Shape]:
        return {source: self.shapes[self.names[source]] for source in layer.form.terms}

    def _source(self, name: str, plan: Folded) -> str:
        """The name that the layer reads, after the wires that bring its sources together have been added."""
        sources = [self.names[source] for source in plan.sources]
        if plan.dense:
            sources = [self._flat(source) for source in sources]
        return sources[0] if len(sources) == 1 else self._wire(f"{name}_inputs", tuple(sources), Concat())

    def _flat(self, source: str) -> str:
        if self.shapes[source][1:] == (1, 1):
            return source
        flat = f"{source}_flat"
        return flat if flat in self.shapes else self._wire(flat, (source,), Flatten())

    def _wire(self, name: str, sources: tuple[str, ...], synapse: Flatten | Concat) -> str:
        self.layers.append(Layer(name, sources, synapse))
        self.shapes[name] = synapse.output_shape(tuple(self.shapes[source] for source in sources))
        return name


def _rounded(builder: Builder, plan: Folded, name: str, source: str) -> tuple[Rounded, Layer]:
    """The layer at the largest power of two at which everything fits."""
    everything = [np.abs(kernel.weight).max() for kernel in plan.kernels]
    everything += [] if plan.feedback is None else [np.abs(plan.feedback).max()]
    largest = float(max(everything))
    if largest != 0 and not _TINIEST < largest < 1 / _TINIEST:
        raise CannotError(f"its largest weight, joined to what it reads, is {largest:.3g}: beyond double precision")
    start = int(np.floor(np.log2(_MANTISSA / largest))) if largest > 0 else 0
    # The chip's 13 bits of a bias cost the weights three at most that Lava's 16 would leave them.
    found = _searched(builder, plan, name, source, start, limits.LOIHI_BIAS_MAX)
    found = found or _searched(builder, plan, name, source, start, limits.BIAS_MAX)
    if found is None:
        what = "its bias" if plan.threshold is None else f"a threshold of {plan.threshold:.6g}"
        raise CannotError(f"its largest weight of {largest:.3g} leaves no head-room for {what} and 24 bits")
    return _with_bias_note(found)


def _with_bias_note(made: tuple[Rounded, Layer]) -> tuple[Rounded, Layer]:
    """With a note where the bias is no mantissa of the chip's."""
    neuron = made[1].neuron
    assert isinstance(neuron, (LIF, Accumulator))
    largest = int(np.abs(neuron.bias).max(initial=0))
    if largest <= limits.LOIHI_BIAS_MAX:
        return made
    note = (
        f"its largest bias of {largest} takes {largest.bit_length() + 1} bits, and the chip has 13 (map refuses it): "
        "give the layer a smaller bias or v_leak, or let one more input that is always on bring a part of it"
    )
    return replace(made[0], notes=(*made[0].notes, note)), made[1]


def _searched(
    builder: Builder, plan: Folded, name: str, source: str, start: int, most_bias: int
) -> tuple[Rounded, Layer] | None:
    """The layer at the largest exponent from ``start`` down at which everything fits; None where nothing does."""
    fallback: tuple[Rounded, Layer] | None = None
    for exponent in range(start, start - 8, -1):
        made = _attempt(builder, plan, name, source, exponent, 0, most_bias)
        if made is None:
            continue
        if made[0].headroom.proven:
            return _finer(builder, plan, name, source, exponent, made, most_bias)
        fallback = fallback or made
        if exponent <= fallback[0].exponent - _BITS_FOR_PROOF:
            break
    if fallback is None:
        return None
    note = "the voltage may saturate at 24 bits, as it does in Lava; a static proof would cost more bits of the weights"
    return replace(fallback[0], notes=(*fallback[0].notes, note)), fallback[1]


def _finer(
    builder: Builder, plan: Folded, name: str, source: str, exponent: int, made: tuple[Rounded, Layer], most_bias: int
) -> tuple[Rounded, Layer]:
    """The same weights in finer units, where neurons remember and thresholds are low.

    Only matrices: Lava's convolution has no exponent, and its weights would leave 8 bits with one folded in.
    """
    best = made
    for weight_exponent in range(1, _MOST_EXPONENT + 1):
        neuron = best[1].neuron
        if plan.memoryless or not plan.dense or not isinstance(neuron, LIF):
            break
        if abs(neuron.threshold) + plan.fires_at >= _FINE_THRESHOLD:
            break
        finer = _attempt(builder, plan, name, source, exponent, weight_exponent, most_bias)
        if finer is None or not finer[0].headroom.proven:
            break
        best = finer
    return best


def _attempt(
    builder: Builder, plan: Folded, name: str, source: str, exponent: int, weight_exponent: int, most_bias: int
) -> tuple[Rounded, Layer] | None:
    """The layer with mantissas of ``2 round(weight * 2^exponent)``; None where that does not fit. most_bias: largest
    magnitude of a bias mantissa."""
    unit = 2.0 ** (exponent + 1 + weight_exponent)
    threshold = _threshold(plan, unit)
    bias = _bias(plan, unit, most_bias)
    if threshold is None or bias is None:
        return None
    synapse, error, largest = _synapse(plan, exponent, weight_exponent)
    neuron: Neuron
    if plan.threshold is None and plan.memoryless:
        if bias[1] != limits.BIAS_EXPONENT_WEIGHT_UNITS:
            return None
        neuron = Accumulator(bias[0])
    else:
        neuron = LIF(threshold, *bias, *plan.decays)
    layer = Layer(name, (source,), synapse, neuron)
    network = Network(builder.inputs, (*builder.layers, layer), (name,))
    if not _current_fits(network, name, plan.decays[0]):
        return None
    bound = headroom(network)[-1]
    exact = None if plan.threshold is None else plan.threshold * unit
    threshold_error = abs(threshold + plan.fires_at - exact) / max(abs(exact), 1.0) if exact is not None else 0.0
    stored = np.zeros(plan.shape.channel) if not bias[0].size else bias[0] * 2.0 ** (bias[1] - limits.STATE_SHIFT)
    bias_error = float(np.abs(stored - plan.drive * unit).max() / max(abs(exact or unit), 1.0))
    facts = Rounded(
        exponent, weight_exponent, error, largest, threshold_error, bias_error, plan.decays, plan.factor * unit, bound,
        plan.notes,
    )  # fmt: skip
    return facts, layer


def _threshold(plan: Folded, unit: float) -> int | None:
    """In weight units; without memory the odd number that even sums exceed where they exceed the exact one.

    Lava's LIF fires above its threshold only (lava-nc 0.10.0 ``proc/lif/models.py``): neurons that fire at theirs, too,
    get one that is a unit lower, without memory the odd number below it. Whole voltages then decide exactly alike.
    """
    if plan.threshold is None:
        return limits.READOUT_THRESHOLD
    exact = plan.threshold * unit
    if not abs(exact) <= 2 * limits.THRESHOLD_MAX:
        return None
    if abs(exact - round(exact)) <= TIE * max(abs(exact), 1.0):
        exact = round(exact)
    if plan.memoryless:
        value = 2 * int(np.ceil(exact / 2)) - 1 if plan.fires_at else 2 * int(np.floor(exact / 2)) + 1
    else:
        value = round(exact) - int(plan.fires_at)
    return value if abs(value) <= limits.THRESHOLD_MAX else None


def _bias(plan: Folded, unit: float, most: int) -> tuple[IntArray, int] | None:
    """Mantissas of at most ``most`` and their exponent. Even weight units without memory, as finely as ``most`` allows
    with it."""
    wanted = plan.drive * unit
    if not wanted.any():
        return np.zeros(0, np.int32), limits.BIAS_EXPONENT_WEIGHT_UNITS
    lowest = limits.BIAS_EXPONENT_WEIGHT_UNITS if plan.memoryless else limits.BIAS_EXPONENT_MIN
    for exponent in range(lowest, limits.BIAS_EXPONENT_MAX + 1):
        step = 2.0 ** (exponent - limits.STATE_SHIFT)
        # Even weight units are whole mantissas at the exponent of weight units, and at the one above.
        mantissa = 2 * np.rint(wanted / 2) / step if plan.memoryless else np.rint(wanted / step)
        if np.abs(mantissa).max() <= most:
            return mantissa.astype(np.int32), exponent
    return None


def _synapse(plan: Folded, exponent: int, weight_exponent: int) -> tuple[Synapse, float, int]:
    """The integers, the relative rms error of the weights, and their largest magnitude."""
    power = 2.0**exponent
    whole = [2 * np.rint(kernel.weight * power).astype(np.int64) for kernel in plan.kernels]
    pairs = [(kernel.weight * power * 2, integers) for kernel, integers in zip(plan.kernels, whole, strict=True)]
    joined = np.concatenate(whole, axis=1)
    if not plan.dense:
        conv = plan.kernels[0]
        assert isinstance(conv, op.Conv)
        window = (conv.stride, conv.padding, conv.dilation, conv.groups)
        return IntConv(joined, *window, weight_exponent), *_error(pairs)
    synapse: Synapse = IntDense(joined, weight_exponent, None, _compact(plan.delays))
    if plan.feedback is not None and plan.feedback_delay is not None:
        fed = 2 * np.rint(plan.feedback * power).astype(np.int64)
        pairs.append((plan.feedback * power * 2, fed))
        assert isinstance(synapse, IntDense)
        synapse = Recurrent(synapse, IntDense(fed, weight_exponent, None, _compact(plan.feedback_delay)))
    return synapse, *_error(pairs)


def _compact(delays: npt.NDArray[np.int64]) -> IntArray:
    """The smallest shape that says the same."""
    short = delays.astype(np.int32)
    if short.min() == short.max():
        return short[:1, :1]
    if (short == short[:, :1]).all():
        return short[:, :1]
    return short[:1] if (short == short[:1]).all() else short


def _error(pairs: list[tuple[op.Float, npt.NDArray[np.int64]]]) -> tuple[float, int]:
    squares = sum(float(((exact - whole) ** 2).sum()) for exact, whole in pairs)
    total = sum(float((exact**2).sum()) for exact, _ in pairs)
    largest = max(int(np.abs(whole).max()) for _, whole in pairs)
    return float(np.sqrt(squares / total)) if total else 0.0, largest


def _current_fits(network: Network, name: str, decay: int) -> bool:
    """Whether no input can make the current wrap: what is kept of it is a geometric series."""
    low, high = network.activation_range(name)
    worst = int(max(-low.min(), high.max()))
    return worst == 0 or worst * limits.DECAY_ONE <= limits.ACTIVATION_MAX * decay
