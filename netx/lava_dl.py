"""What lava-dl wrote into a ``.net`` file, as its own loader understands it (lava-dl 0.6.0 ``netx/hdf5.py``).

Beyond ``conv`` and ``dense`` with binary CUBA neurons that are: input layers with neurons, layers with feedback
(``dense_rec``), delays, sigma-delta neurons, and dense layers without neurons, which integrate for ever. Two that
SLAYER exports and the loader refuses are read as well, as SLAYER computes them: sum pooling, where its windows stay
within their channel, and the average over groups of outputs, as a read-out of the sums.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from netx import limits
from netx.arrays import IntArray
from netx.composed import transposed
from netx.errors import NetworkError
from netx.hdf5 import Group
from netx.network import Input, Layer
from netx.neurons import LIF, Accumulator, Delta, Neuron, Sigma, SigmaDelta
from netx.stored import checked_shape, positive, stored_conv, stored_dense, stored_lif, stored_pair
from netx.synapses import Conv2d, Dense, Direct, Flatten, Pool, Recurrent, Synapse, Upsample
from netx.types import Range, Shape

DIRECT_RANGE = Range(limits.BIAS_MIN, limits.BIAS_MAX)
"""What the neurons of an input layer take: frames are set as their bias, which has 16 bits."""

_NO_NEURON = LIF(limits.THRESHOLD_MAX + 1, current_decay=0)
"""Of a ``dense`` without neurons: ``1 << 18 - 1``, which is 131072, and an ``iDecay`` of 0 (``create_dense``)."""


_MOST_AVERAGED = 1 << 24
"""Our bound on the values of an ``average``, whose weights of one stand in no file."""

_READABLE = ("input", "conv", "dense", "dense_rec", "flatten", "pool", "average", "convT", "unpool")

_UNREADABLE = {
    "concat": "lava-dl's loader refuses it; export each branch to a file of its own",
    "dense_comp": "complex weights need resonate-and-fire neurons, which are not supported",
}
"""The other types of lava-dl, and why they are not read."""


def lava_dl_layers(layers: Group, count: int, source: Input) -> list[Layer]:
    """The first ``count`` layers, named after their type and place.

    Raises FormatError, with the file and the place in it, at what lava-dl does not load, or loads to mean another thing
    than it says. Types of layers and neurons that are not supported are all named at once.
    """
    _check_kinds(layers, count)
    found: list[Layer] = []
    heard = 0  # how many layers stand before the last that is neither flatten nor average
    shape, before = source.shape, source.name
    for index in range(count):
        group = layers.group(str(index))
        kind = group.text("type")
        if kind == "input" and (index or "neuron" not in group):
            if index:
                raise group.error("an input layer after the first is not supported")
            continue
        name = f"{kind}{index}"
        try:
            wire, layer, shape = _layer(group, kind, name, before, shape)
        except NetworkError as error:
            raise group.error(str(error)) from None
        if kind not in ("flatten", "average"):
            heard = len(found)
        found += [*wire, layer]
        before = name
    return [*(_silent(one) for one in found[:heard]), *found[heard:]]


def _silent(layer: Layer) -> Layer:
    """A read-out that another layer reads never spikes in Lava, and nothing arrives. Means are passed on."""
    if not isinstance(layer.neuron, Accumulator) or layer.name.startswith("average"):
        return layer
    return replace(layer, neuron=LIF(limits.READOUT_THRESHOLD, layer.neuron.bias))


def _check_kinds(layers: Group, count: int) -> None:
    """Raises FormatError that names every layer whose type, weights or neurons are not supported, and why."""
    reasons = [f"layer {index}: {reason}" for index in range(count) if (reason := _reason(layers.group(str(index))))]
    if reasons:
        first = reasons[0].partition(":")[0]
        advice = f"those before {first} can be read alone (monospike simulate --layers N, read_net(layers=N))"
        raise layers.error("; ".join([*reasons, advice]))


def _reason(group: Group) -> str | None:
    """Why a layer is not supported; None when it is."""
    kind = group.text("type")
    if kind in _UNREADABLE:
        return f"type {kind!r} is not supported: {_UNREADABLE[kind]}"
    if kind not in _READABLE:
        return f"type {kind!r} is not supported: expected {', '.join(_READABLE[:-1])} or {_READABLE[-1]}"
    if "weight" in group and group.is_group("weight"):
        return f"the {kind} has complex weights, which need resonate-and-fire neurons"
    neurons = group.group("neuron").text("type") if "neuron" in group else "CUBA"
    if neurons not in ("CUBA", "LOIHI", "SDNN"):
        return f"{neurons!r} neurons are not supported: expected CUBA or SDNN"
    return None


def _pool(group: Group, source: Shape) -> Pool:
    """The sum pooling of a ``pool`` group (lava-dl 0.6.0 ``slayer/synapse/layer.py``, ``Pool``).

    SLAYER convolves all channels as one tall image, so that only windows that tile it stay within a channel.
    """
    kernel, stride = stored_pair(group, "kernelSize", 1), stored_pair(group, "stride", 1)
    padding, dilation = stored_pair(group, "padding", 0), stored_pair(group, "dilation", 1)
    tiles = source.height % kernel[0] == 0 and source.width % kernel[1] == 0
    if stride != kernel or padding != (0, 0) or dilation != (1, 1) or not tiles:
        raise group.error(
            f"pools windows of {kernel} at stride {stride}, padding {padding} and dilation {dilation} over {source}: "
            "in SLAYER they reach into other channels; only windows that tile the image have a meaning"
        )
    if "delay" in group and group.numbers("delay").any():
        raise group.error("axonal delays of a pool are not supported: export with delay=False", "delay")
    weight = group.integers("weight")
    if weight.size != kernel[0] * kernel[1] or np.unique(weight).size != 1:
        raise group.error(f"expected {kernel[0] * kernel[1]} equal weights", "weight")
    return Pool(kernel, stride, weight=int(weight.flat[0]))


def _upsampled(group: Group, kind: str, source: Shape) -> tuple[Upsample, Conv2d]:
    """What lava-dl exports (0.6.0 ``slayer/block/base.py``, ``AbstractConvT``, ``AbstractUnpool``) and its loader does
    not load: a ``convT`` as it trains it, and an ``unpool`` of windows that tile the image.

    SLAYER up-samples all channels as one tall image, so that only such windows stay within a channel.
    """
    if "delay" in group and group.numbers("delay").any():
        raise group.error(f"axonal delays of a {kind} are not supported: export with delay=False", "delay")
    kernel, stride = stored_pair(group, "kernelSize", 1), stored_pair(group, "stride", 1)
    padding, dilation = stored_pair(group, "padding", 0), stored_pair(group, "dilation", 1)
    if kind == "convT":
        outs, groups, ins = (positive(group, name) for name in ("outChannels", "groups", "inChannels"))
        if ins != source.channel or ins % groups or outs % groups:
            raise group.error(
                f"is {ins} to {outs} in {groups} groups, but its input has {source.channel} channels", "inChannels"
            )
        size = (ins, outs // groups, *kernel)
        weight = group.integers("weight", size, (*size, 1)).reshape(size)
        return transposed(weight, stride, padding, dilation=dilation, groups=groups)
    if stride != kernel or padding != (0, 0) or dilation != (1, 1):
        raise group.error(
            f"unpools to windows of {kernel} at stride {stride}, padding {padding} and dilation {dilation}: in SLAYER "
            "they reach into other channels; only windows that tile the image have a meaning"
        )
    window = group.integers("weight", (1, 1, *kernel), (1, 1, *kernel, 1)).reshape(kernel)
    if np.unique(window).size > 1:
        return transposed(np.tile(window, (source.channel, 1, 1, 1)), stride, groups=source.channel)
    return Upsample(kernel), Conv2d(np.full((source.channel, 1, 1, 1), window[0, 0]), groups=source.channel)


def _average(group: Group, source: Shape) -> Conv2d:
    """The sums of which an ``average`` group takes the means: of neighbours in channel-major order."""
    outputs = int(group.integers("shape").flat[0]) if group.numbers("shape").size else 0
    if outputs < 1 or source.channel % outputs:
        raise group.error(f"averages {source.channel} channels to {outputs}: expected a divisor", "shape")
    if source.size > _MOST_AVERAGED:
        raise group.error(f"averages {source}: more than {_MOST_AVERAGED} values")
    return Conv2d(np.ones((outputs, source.channel // outputs, source.height, source.width), np.int32), groups=outputs)


def loaded_dense(weight: IntArray) -> Dense:
    """The Dense as which lava-dl's loader runs a weight of shape (out, in), and lava-nc then truncates it.

    It scales weights up to use all their bits (lava-dl 0.6.0 ``netx/utils.py``, ``optimize_weight_bits``). That is
    exact, and the weights are returned as they are, but for those that are all negative or zero or reach -256.
    """
    return _plain_where_exact(_scaled(weight))


def loaded_recurrent(weight: IntArray, feedback: IntArray) -> Recurrent:
    """The Recurrent as which lava-dl's loader runs weights of shape (out, in) and (out, out)."""
    # Scaled together, but truncated each by the signs of its own weights.
    both = _scaled(np.hstack([weight, feedback]))
    halves = np.split(both.weight, [weight.shape[1]], axis=1)
    return Recurrent(*(_plain_where_exact(Dense(half, both.weight_exponent, both.weight_bits)) for half in halves))


def _scaled(weight: IntArray) -> Dense:
    low, high = int(weight.min()), int(weight.max())
    if low == high == 0:
        return Dense(weight)
    if high > 254 and low < 0:
        weight = np.clip(weight, -256, 254)
        low, high = int(weight.min()), 254
    mixed = low < 0 <= high
    scale = _scale_bits(low, high, mixed)
    zeros = next(n for n in range(8, -1, -1) if not (weight % (1 << n)).any()) - mixed
    return Dense(weight << scale, -scale, 8 - scale - zeros)


def _plain_where_exact(scaled: Dense) -> Dense:
    exact = np.array_equal(scaled.effective_weight, scaled.weight)
    return Dense(scaled.weight >> -scaled.weight_exponent) if exact else scaled


def _scale_bits(low: int, high: int, mixed: bool) -> int:
    """Bits by which weights are shifted left: the whole part of the binary logarithm of the head-room."""
    scales = [255 / high] if low >= 0 else [-256 / low]
    if mixed:
        scales = [-128 / low, *([127 / high] if high else [])]
    return int(np.floor(np.log2(min(scales)))) + mixed


def _layer(group: Group, kind: str, name: str, before: str, shape: Shape) -> tuple[list[Layer], Layer, Shape]:
    """One layer that reads ``before``, of ``shape``, and the shape of what the next reads, before any flattening.

    Before the layer the wire through which it reads, where there is one.
    """
    if kind == "flatten":
        return [], Layer(name, (before,), Flatten()), shape
    if kind == "input":
        return [], Layer(name, (before,), Direct(), _neuron(group, _bias(group, 0), is_input=True)), shape
    if kind == "pool":
        pool = _pool(group, shape)
        layer = Layer(name, (before,), pool, _neuron(group, _bias(group, 0), is_input=False))
        return [], layer, pool.output_shape((shape,))
    if kind == "average":
        sums = _average(group, shape)
        return [], Layer(name, (before,), sums, Accumulator()), sums.output_shape((shape,))
    if kind in ("convT", "unpool"):
        wire, conv = _upsampled(group, kind, shape)
        neuron = _neuron(group, _bias(group, len(conv.weight) if kind == "convT" else 0), is_input=False)
        larger = wire.output_shape((shape,))
        layers = Layer(f"{name}_input", (before,), wire), Layer(name, (f"{name}_input",), conv, neuron)
        return [layers[0]], layers[1], checked_shape(group, conv, larger)
    conv = stored_conv(group, shape) if kind == "conv" else stored_dense(group, shape)
    neuron = _neuron(group, _bias(group, len(conv.weight)), is_input=False)
    synapse = _synapse(group, kind, conv)
    return [], Layer(name, (before,), synapse, neuron), checked_shape(group, conv, shape)


def _synapse(group: Group, kind: str, conv: Conv2d) -> Synapse:
    if kind == "conv":
        if "delay" in group and group.numbers("delay").any():
            raise group.error(
                "axonal delays of a conv are ignored by lava-dl's loader: export with delay=False", "delay"
            )
        return conv
    weight = conv.weight.reshape(len(conv.weight), -1)
    if kind == "dense":
        return _delayed(group, loaded_dense(weight))
    if "delay" in group and group.numbers("delay").any():
        raise group.error("delays together with feedback are not supported", "delay")
    out = len(weight)
    feedback = group.integers("weight_rec", (out, out), (out * out,)).reshape(out, out)
    return loaded_recurrent(weight, feedback)


def _delayed(group: Group, dense: Dense) -> Dense:
    if "delay" not in group:
        return dense
    # Longer delays are clamped, fractions dropped (``create_dense``).
    delay = np.clip(group.numbers("delay"), 0, limits.DELAY_MAX).astype(np.int32)
    out, ins = dense.weight.shape
    if delay.size == 1:
        delay = delay.reshape(1, 1)
    elif delay.shape == (out,):
        delay = delay[:, None]
    elif delay.shape == (ins,):
        delay = delay[None]
    return Dense(dense.weight, dense.weight_exponent, dense.weight_bits, delay)


def _bias(group: Group, channels: int) -> IntArray:
    """In weight units; that of an input layer is how pixels are to be scaled, and is left to who makes the frames."""
    if "bias" not in group or not channels:
        return np.empty(0, np.int32)
    return group.integers("bias", (channels,), *([()] if channels == 1 else [])).reshape(-1)


def _neuron(group: Group, bias: IntArray, is_input: bool) -> Neuron:
    if "neuron" not in group:
        if group.text("type") != "dense":
            raise group.error("is missing", "neuron")
        return LIF(_NO_NEURON.threshold, bias, current_decay=_NO_NEURON.current_decay)
    neuron = group.group("neuron")
    if neuron.text("type") == "SDNN":
        return _sigma_delta(neuron, bias, is_input)
    threshold, current_decay, voltage_decay = stored_lif(group)
    if (threshold, current_decay, voltage_decay) == (limits.READOUT_THRESHOLD, limits.DECAY_ONE, limits.DECAY_ONE):
        return Accumulator(bias)
    # An input's neurons are driven by their bias, not by their current, which so never decays.
    decay = limits.DECAY_ONE if is_input else current_decay
    return LIF(threshold, bias, limits.BIAS_EXPONENT_WEIGHT_UNITS, decay, voltage_decay, refractory=_refractory(neuron))


def _refractory(neuron: Group) -> int:
    """Steps of silence: one less than the chip's refractory delay, which counts the spike's own (nengo-loihi
    ``block.py``, ``configure_lif``). lava-dl exports a delay of 1, and its loader ignores any other."""
    return positive(neuron, "refDelay") - 1 if "refDelay" in neuron else 0


def _sigma_delta(neuron: Group, bias: IntArray, is_input: bool) -> Neuron:
    bits = positive(neuron, "messageBits") if "messageBits" in neuron else limits.MESSAGE_BITS_DEFAULT
    if is_input:
        return Delta(neuron.integer("vThMant"), message_bits=bits)
    if "sigma_output" in neuron:
        return Sigma()
    return SigmaDelta(neuron.integer("vThMant"), bias, message_bits=bits)
