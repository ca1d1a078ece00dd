"""Rules about the weights of a ``.net`` file: what lava-dl's loader and Lava make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from netx import limits
from netx.errors import NetworkError
from netx.lava_dl import loaded_dense, loaded_recurrent
from netx.lint.finding import Family, Severity, Trouble
from netx.lint.net_view import WEIGHTED, NetLayer
from netx.lint.raw import first_of, fractions, nonzero, not_finite
from netx.synapses import Dense

LAYER: Family[NetLayer] = Family()

_NETDICT = "lava-dl 0.6.0 netx/utils.py, NetDict: astype(int)"
_OPTIMIZE = "lava-dl 0.6.0 netx/utils.py, optimize_weight_bits; lava-nc 0.10.0 utils/weightutils.py"


@LAYER.rule(
    "net-weight-missing",
    Severity.ERROR,
    "A layer with synapses has no weights, or none of the shape that its kind needs.",
    "Export the block again.",
    "lava-dl 0.6.0 netx/hdf5.py",
)
def _missing(layer: NetLayer) -> Iterator[Trouble]:
    for name in _names(layer):
        values = layer.raw.numbers(name)
        if values is None:
            yield name, "is missing, or holds no numbers"
        elif values.size == 0 or values.ndim not in ((4, 5) if layer.kind == "conv" else (1, 2)):
            yield name, f"has shape {values.shape}"


@LAYER.rule(
    "net-weight-not-finite",
    Severity.ERROR,
    "A weight is infinite or not a number, which becomes any integer.",
    "Find out where the training diverged.",
    _NETDICT,
)
def _not_finite(layer: NetLayer) -> Iterator[Trouble]:
    for name, weight in _weights(layer):
        yield from not_finite(name, weight)


@LAYER.rule(
    "net-weight-truncated",
    Severity.ERROR,
    "Weights that are no whole numbers are truncated towards zero.",
    "Let the block's pre_hook_fx quantise them (slayer's quantize_8bit), or quantise before the export.",
    _NETDICT,
)
def _fraction(layer: NetLayer) -> Iterator[Trouble]:
    for name, weight in _weights(layer):
        yield from _first_of(
            name, fractions(weight), weight, lambda value, _: f"is {value}, and is loaded as {int(value)}"
        )


@LAYER.rule(
    "net-dense-all-zero",
    Severity.ERROR,
    "lava-dl's loader fails over dense weights that are all zero: OverflowError.",
    "Leave the layer out, or write it as a convolution.",
    _OPTIMIZE,
)
def _all_zero(layer: NetLayer) -> Iterator[Trouble]:
    weights = [weight for _, weight in _weights(layer)]
    if layer.dense and weights and not any(weight.any() for weight in weights):
        yield "weight", "is zero everywhere"


@LAYER.rule(
    "net-dense-weight-out-of-range",
    Severity.ERROR,
    "Dense weights beyond -256..255 are clipped, or, where none is negative, all become zero.",
    "Scale weights, biases and threshold down together.",
    _OPTIMIZE,
)
def _dense_range(layer: NetLayer) -> Iterator[Trouble]:
    for name, weight in _weights(layer) if layer.dense else ():
        yield from _outside(name, weight, "does not fit into eight bits and a sign")


@LAYER.rule(
    "net-dense-weight-loses-bits",
    Severity.ERROR,
    "Dense weights are clipped and truncated by the signs they have together; some of all-negative ones change.",
    "Use even weights within -254..254 of both signs, or weights of 0 and above; or write it as a convolution.",
    _OPTIMIZE,
)
def _loses_bits(layer: NetLayer) -> Iterator[Trouble]:
    for name, weight, loaded in _loaded(layer):
        ran = loaded.effective_weight * 2.0**loaded.weight_exponent
        yield from _first_of(name, ran != weight, weight, partial(_runs, ran))


@LAYER.rule(
    "net-conv-weight-out-of-range",
    Severity.WARNING,
    "Lava's Conv runs weights beyond -256..255 as they are, which no chip does.",
    "Scale weights, biases and threshold down together.",
    "lava-nc 0.10.0 proc/conv/models.py: neither clips nor truncates",
)
def _conv_range(layer: NetLayer) -> Iterator[Trouble]:
    for name, weight in _weights(layer) if layer.kind == "conv" else ():
        yield from _outside(name, weight, "is run by Lava, but fits into no chip")


@LAYER.rule(
    "net-weight-exponent-ignored",
    Severity.ERROR,
    "A weight exponent stands in the file, and lava-dl's loader never reads it.",
    "Fold it into the weights; do not train with WgtScaleBatchNorm.",
    "lava-dl 0.6.0 netx/hdf5.py: neither wgtExp nor neuron/weight_exp is used",
)
def _exponent(layer: NetLayer) -> Iterator[Trouble]:
    for raw, name, place in ((layer.raw, "wgtExp", "wgtExp"), (layer.neuron, "weight_exp", "neuron/weight_exp")):
        values = raw.numbers(name) if raw is not None else None
        if values is not None and values.any():
            yield place, f"is {nonzero(values):g}, and is ignored"


def _names(layer: NetLayer) -> tuple[str, ...]:
    """The weights that the layer's kind has; none where they are complex, in a group ``weight``."""
    if layer.kind not in WEIGHTED or layer.raw.is_group("weight"):
        return ()
    return ("weight", "weight_rec") if layer.kind == "dense_rec" else ("weight",)


def _weights(layer: NetLayer) -> Iterator[tuple[str, npt.NDArray]]:
    for name in _names(layer):
        values = layer.raw.numbers(name)
        if values is not None and values.size:
            yield name, values


def _loaded(layer: NetLayer) -> Iterator[tuple[str, npt.NDArray, Dense]]:
    """The dense weights of a layer, (out, in), beside what the loader makes of them, where it makes anything."""
    out = layer.out
    if not layer.dense or out is None:
        return
    found = []
    for name, values in _weights(layer):
        whole = np.isfinite(values).all() and (values == np.floor(values)).all()
        if not whole or values.size % out or np.abs(values).max() > limits.GRADED_MAX:
            return
        found.append((name, values.reshape(out, -1).astype(np.int32)))
    try:
        if len(found) == 2:
            both = loaded_recurrent(found[0][1], found[1][1])
            synapses = [both.forward, both.feedback]
        else:
            synapses = [loaded_dense(weight) for _, weight in found]
    except NetworkError:
        return  # out of range, which is a rule of its own
    for (name, weight), synapse in zip(found, synapses, strict=True):
        yield name, weight, synapse


def _outside(name: str, weight: npt.NDArray, what: str) -> Iterator[Trouble]:
    with np.errstate(invalid="ignore"):
        outside = (weight < limits.WEIGHT_MIN) | (weight > limits.WEIGHT_MAX)
    return _first_of(name, outside, weight, lambda value, _: f"is {value:g}, which {what}")


def _runs(ran: npt.NDArray, value: float, place: tuple[int, ...]) -> str:
    return f"is {value:g}, and Lava runs {ran[place]:g}"


def _first_of(
    name: str,
    mask: npt.NDArray[np.bool_],
    weight: npt.NDArray,
    say: Callable[[float, tuple[int, ...]], str],
) -> Iterator[Trouble]:
    """The first weight that ``mask`` marks, what ``say`` says of its value and place, and how many there are."""
    share = f"{int(mask.sum())} of {mask.size} weights"
    return first_of(name, mask, lambda place: f"{say(weight[place], place)} ({share})")
