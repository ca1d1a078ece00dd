"""Rules about the neurons of a ``.net`` file: thresholds, decays, biases, and what lava-dl's loader ignores."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from netx import limits
from netx.lint.finding import Family, Severity, Trouble
from netx.lint.net_view import NetLayer
from netx.lint.raw import Raw, first_of, fractions, not_finite

LAYER: Family[NetLayer] = Family()

_LOADER = "lava-dl 0.6.0 netx/hdf5.py"
_LIF = "lava-nc 0.10.0 proc/lif/models.py"
_TIES_FROM = 4096
"""From this threshold on, SLAYER's float32 no longer tells its threshold and epsilon from the threshold."""


@LAYER.rule(
    "net-neuron-missing",
    Severity.ERROR,
    "A convolution without neurons cannot be loaded: KeyError.",
    "Export a block with neurons.",
    f"{_LOADER}, create_conv",
)
def _missing(layer: NetLayer) -> Iterator[Trouble]:
    if layer.kind == "conv" and layer.neuron is None:
        yield "neuron", "is missing"


@LAYER.rule(
    "net-default-neuron-integrates",
    Severity.ERROR,
    "Dense weights without neurons get those of lava-dl's loader, which sum up over all frames and never forget.",
    "Export `slayer.block.cuba.Affine(neuron, ins, outs, dynamics=True)`.",
    f"{_LOADER}, create_dense: iDecay 0, so that du is -1, and vThMant 1 << 18 - 1, which is 131072",
)
def _default(layer: NetLayer) -> Iterator[Trouble]:
    if layer.dense and layer.neuron is None:
        yield "neuron", "is missing, and the loader's default integrates"


@LAYER.rule(
    "net-neuron-not-loaded",
    Severity.ERROR,
    "lava-dl's loader knows CUBA, LOIHI, SDNN and RF neurons, and fails over all others.",
    "Use blocks of slayer.block.cuba or slayer.block.sigma_delta.",
    f"{_LOADER}, get_neuron_params: returns None",
)
def _type(layer: NetLayer) -> Iterator[Trouble]:
    kind = layer.neuron_type
    if layer.neuron is not None and (kind is None or (not layer.binary and kind != "SDNN" and "RF" not in kind)):
        yield "neuron/type", f"is {kind!r}" if kind is not None else "is missing, or no text"


@LAYER.rule(
    "net-neuron-parameter",
    Severity.ERROR,
    "A threshold or decay is missing or no single whole number.",
    "Export the block again.",
    f"{_LOADER}, get_neuron_params; {_LIF}",
)
def _parameter(layer: NetLayer) -> Iterator[Trouble]:
    if layer.neuron is None or not (layer.binary or layer.neuron_type == "SDNN"):
        return
    if not layer.binary and layer.kind != "input" and layer.neuron.has("sigma_output"):
        return  # it sums up and sends the sum: there is no threshold
    for name in ("vThMant", "iDecay", "vDecay") if layer.binary else ("vThMant",):
        if layer.neuron.whole(name) is None:
            value = layer.neuron.number(name)
            yield f"neuron/{name}", "is missing, or several" if value is None else f"is {value:g}"


@LAYER.rule(
    "net-decay-out-of-range",
    Severity.ERROR,
    "Decays are 12-bit fractions, 0..4096; others make the state grow, or change its sign.",
    "Keep current_decay and voltage_decay within 0..1.",
    _LIF,
)
def _decay_range(layer: NetLayer) -> Iterator[Trouble]:
    for name, value in _decays(layer):
        if not 0 <= value <= limits.DECAY_ONE:
            yield f"neuron/{name}", f"is {value}, outside 0..{limits.DECAY_ONE}"


@LAYER.rule(
    "net-current-never-decays",
    Severity.WARNING,
    "A current decay of 0 is loaded as du = -1: the current sums up for ever, and the chip has no such register.",
    "Use a current decay of at least 1/4096.",
    f"{_LOADER}, get_neuron_params: du = iDecay - 1",
)
def _no_decay(layer: NetLayer) -> Iterator[Trouble]:
    if layer.kind != "input" and dict(_decays(layer)).get("iDecay") == 0:
        yield "neuron/iDecay", "is 0"


@LAYER.rule(
    "net-remembers",
    Severity.NOTE,
    "Neurons keep part of their state for the next step; SLAYER starts every sample from zero, the loader does not.",
    "Load with reset_interval, or use decays of 4096 at a single time step.",
    f"{_LOADER}: LIFReset only where reset_interval is given",
)
def _remembers(layer: NetLayer) -> Iterator[Trouble]:
    kept = [name for name, value in _decays(layer) if 0 <= value < limits.DECAY_ONE]
    if kept and layer.kind != "input":
        yield "neuron", f"{' and '.join(kept)} below {limits.DECAY_ONE}"


@LAYER.rule(
    "net-threshold-unreachable",
    Severity.WARNING,
    "A threshold above 131071 is never reached, because the voltage saturates: the neurons never spike.",
    "Keep thresholds within 17 bits; only a read-out as the last layer is meant to have 262143.",
    _LIF,
)
def _unreachable(layer: NetLayer) -> Iterator[Trouble]:
    most = limits.THRESHOLD_MAX
    read_out = limits.READOUT_THRESHOLD if layer.last else None
    return _threshold_where(layer, lambda threshold: threshold > most and threshold != read_out, f", above {most}")


@LAYER.rule(
    "net-threshold-not-positive",
    Severity.WARNING,
    "A threshold of 0 is what SLAYER makes of one below 1/64; below 0, neurons fire without any input.",
    "Use thresholds of at least 1/64 in SLAYER's units.",
    "lava-dl 0.6.0 slayer/neuron/base.py: int(threshold * 64)",
)
def _not_positive(layer: NetLayer) -> Iterator[Trouble]:
    return _threshold_where(layer, lambda threshold: threshold <= 0, "")


@LAYER.rule(
    "net-threshold-tie",
    Severity.WARNING,
    "From a threshold of 4096 on, SLAYER fires when the voltage equals it; Lava and the chip do not.",
    "Make it odd where all weights and biases are even: no sum then equals it.",
    "lava-dl 0.6.0 slayer/neuron/cuba.py: threshold_eps is lost in float32",
)
def _tie(layer: NetLayer) -> Iterator[Trouble]:
    def ties(threshold: int) -> bool:
        return _TIES_FROM <= threshold <= limits.THRESHOLD_MAX and not _never_ties(layer, threshold)

    return _threshold_where(layer, ties, ", which a sum of the weights can equal")


@LAYER.rule(
    "net-bias-not-finite",
    Severity.ERROR,
    "A bias is infinite or not a number, which becomes any integer.",
    "Find out where the training diverged.",
    "lava-dl 0.6.0 netx/utils.py, NetDict: astype(int)",
)
def _bias_finite(layer: NetLayer) -> Iterator[Trouble]:
    if (bias := _bias(layer)) is not None:
        yield from not_finite("bias", bias)


@LAYER.rule(
    "net-bias-truncated",
    Severity.ERROR,
    "Biases that are no whole numbers, such as those of a batch norm, are truncated towards zero.",
    "Quantise the bias before the export (MeanOnlyBatchNorm does).",
    "lava-dl 0.6.0 netx/utils.py, NetDict: astype(int)",
)
def _bias_fraction(layer: NetLayer) -> Iterator[Trouble]:
    bias = _bias(layer)
    if bias is not None:
        yield from first_of(
            "bias", fractions(bias), lambda place: f"is {bias[place]:g}, and is loaded as {int(bias[place])}"
        )


@LAYER.rule(
    "net-bias-wraps",
    Severity.ERROR,
    "Lava keeps a bias in 16 signed bits: beyond them its sign flips without a word.",
    "Scale weights, biases and threshold down together.",
    f"{_LIF}: bias_mant is int16",
)
def _bias_wraps(layer: NetLayer) -> Iterator[Trouble]:
    bias = _bias(layer)
    if bias is None:
        return
    outside = np.isfinite(bias) & ((bias < limits.BIAS_MIN) | (bias > limits.BIAS_MAX))
    yield from first_of(
        "bias", outside, lambda place: f"is {bias[place]:g}, and becomes {(int(bias[place]) + 2**15) % 2**16 - 2**15}"
    )


@LAYER.rule(
    "net-bias-shape",
    Severity.ERROR,
    "There is a bias for another number of channels than the layer has.",
    "Export the block again.",
    "lava-dl 0.6.0 netx/blocks/process.py: RuntimeError",
)
def _bias_shape(layer: NetLayer) -> Iterator[Trouble]:
    bias = _bias(layer)
    if bias is not None and layer.out is not None and bias.shape not in ((layer.out,), ()):
        yield "bias", f"has shape {bias.shape}, but there are {layer.out} channels"


@LAYER.rule(
    "net-refractory-ignored",
    Severity.ERROR,
    "A refractory delay other than 1 stands in the file, and lava-dl's loader never reads it.",
    "Train with a refractory delay of 1.",
    f"{_LOADER}, get_neuron_params",
)
def _refractory(layer: NetLayer) -> Iterator[Trouble]:
    value = layer.neuron.number("refDelay") if layer.neuron is not None else None
    if value is not None and value != 1:
        yield "neuron/refDelay", f"is {value:g}"


@LAYER.rule(
    "net-graded-ignored",
    Severity.ERROR,
    "The neurons are said to send graded spikes, and lava-dl's loader never reads it: a CUBA neuron sends 0 or 1.",
    "Use sigma-delta neurons for graded messages.",
    f"{_LOADER}, get_neuron_params",
)
def _graded(layer: NetLayer) -> Iterator[Trouble]:
    value = layer.neuron.numbers("gradedSpike") if layer.neuron is not None and layer.binary else None
    if value is not None and value.any():
        yield "neuron/gradedSpike", "is true"


@LAYER.rule(
    "net-message-bits-not-loaded",
    Severity.ERROR,
    "Message bits stand in the file, and lava-dl's loader fails over them: it takes the dataset for a group.",
    "Leave messageBits out of the file.",
    "lava-dl 0.6.0 netx/utils.py, NetDict: messageBits is in none of its lists of keys",
)
def _message_bits(layer: NetLayer) -> Iterator[Trouble]:
    if layer.neuron is not None and layer.neuron.has("messageBits"):
        yield "neuron/messageBits", "is there"


@LAYER.rule(
    "net-sigma-delta-not-reset",
    Severity.NOTE,
    "Sigma-delta neurons are never reset: lava-dl's loader ignores reset_interval for them, with a warning.",
    "Feed frames that follow each other, or build the network anew for every sequence.",
    f"{_LOADER}, get_neuron_params",
)
def _sigma_delta(layer: NetLayer) -> Iterator[Trouble]:
    if layer.neuron_type == "SDNN":
        yield "neuron/type", "is SDNN"


def _decays(layer: NetLayer) -> Iterator[tuple[str, int]]:
    neuron = layer.neuron
    for name in ("iDecay", "vDecay"):
        value = neuron.whole(name) if neuron is not None and layer.binary else None
        if value is not None:
            yield name, value


def _threshold_where(layer: NetLayer, is_bad: Callable[[int], bool], what: str) -> Iterator[Trouble]:
    """The threshold of binary neurons, where it is bad."""
    neuron: Raw | None = layer.neuron if layer.binary else None
    threshold = neuron.whole("vThMant") if neuron is not None else None
    if threshold is not None and is_bad(threshold):
        yield "neuron/vThMant", f"is {threshold}{what}"


def _bias(layer: NetLayer) -> npt.NDArray | None:
    return layer.raw.numbers("bias") if layer.kind in ("conv", "dense", "dense_rec") else None


def _never_ties(layer: NetLayer, threshold: int) -> bool:
    """Whether the threshold is odd and all sums are even; what is left of earlier steps can be anything."""
    if any(value != limits.DECAY_ONE for _, value in _decays(layer)):
        return False
    weights = [layer.raw.numbers(name) for name in ("weight", "weight_rec")]
    known = [values for values in (*weights, _bias(layer)) if values is not None]
    with np.errstate(invalid="ignore"):
        return threshold % 2 == 1 and not any((values % 2 != 0).any() for values in known)
