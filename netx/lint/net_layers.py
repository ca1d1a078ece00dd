"""Rules about the layers of a ``.net`` file: which are loaded, in which order, with which sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from netx import limits
from netx.lint.finding import Family, Severity, Trouble
from netx.lint.net_view import WEIGHTED, NetFile, NetLayer, pair, stored_shape
from netx.lint.raw import at, first
from netx.synapses import conv_output_size

FILE: Family[NetFile] = Family()
LAYER: Family[NetLayer] = Family()

_LOADER = "lava-dl 0.6.0 netx/hdf5.py"
_CONV = "lava-nc 0.10.0 proc/conv/models.py"
_UNLOADED = {
    "pool": "write it as a grouped convolution of equal weights, as monospike does",
    "unpool": "write it as a convolution of a larger input",
    "convT": "write it as a convolution of an input with zeros between its values",
    "average": "average outside of the network",
    "concat": "write each branch to a file of its own",
    "dense_comp": "separate real and imaginary part",
}
_KNOWN = ("input", "flatten", *WEIGHTED, *_UNLOADED)
_INT8 = 127


@FILE.rule(
    "net-layers-not-numbered",
    Severity.ERROR,
    "The groups of layers are not called 0, 1, 2 and so on.",
    "Number them without a gap.",
    f"{_LOADER}, _create: looks for as many numbers as there are members",
)
def _numbered(file: NetFile) -> Iterator[Trouble]:
    wanted = {str(index) for index in range(len(file.names))}
    odd = sorted(set(file.names) - wanted)
    if odd:
        missing = min(wanted - set(file.names), key=int)
        yield f"layer/{odd[0]}", f"has this name, and there is no layer {missing}"


@FILE.rule(
    "net-no-layers",
    Severity.ERROR,
    "There is no layer with synapses or neurons.",
    "Export the blocks into groups layer/0, layer/1 and so on.",
    _LOADER,
)
def _any_layers(file: NetFile) -> Iterator[Trouble]:
    if not any(layer.kind in WEIGHTED or layer.kind in _UNLOADED for layer in file.layers):
        yield "", f"holds {', '.join(layer.kind for layer in file.layers) or 'no layers'}"


@FILE.rule(
    "net-input-shape-missing",
    Severity.WARNING,
    "The shape of the input is not in the file, and it begins with a convolution: lava-dl's loader fails over it.",
    "Begin with `slayer.block.cuba.Input(None, delay_shift=False)`, or tell readers the shape (here --input-shape).",
    f"{_LOADER}, _create: RuntimeError without input_shape",
)
def _input_shape(file: NetFile) -> Iterator[Trouble]:
    if file.layers and file.layers[0].kind == "conv":
        yield "layer/0", "is a conv, and no input layer before it gives its input's shape"


@LAYER.rule(
    "net-layer-not-loaded",
    Severity.ERROR,
    "lava-dl exports this type of layer, but its loader raises NotImplementedError or has no such function.",
    "; ".join(f"{kind}: {mend}" for kind, mend in _UNLOADED.items()),
    f"{_LOADER}, _create",
)
def _loaded(layer: NetLayer) -> Iterator[Trouble]:
    if layer.kind in _UNLOADED:
        yield "type", f"is {layer.kind!r}, which lava-dl's loader cannot load: {_UNLOADED[layer.kind]}"


@LAYER.rule(
    "net-layer-left-out",
    Severity.ERROR,
    "lava-dl's loader silently leaves a layer of unknown type out, or fails where it is the first.",
    "Use input, flatten, conv, dense or dense_rec.",
    f"{_LOADER}, _create: no branch for other types",
)
def _known(layer: NetLayer) -> Iterator[Trouble]:
    if layer.kind not in _KNOWN:
        yield "type", f"is {layer.kind!r}, which lava-dl's loader leaves out without a word"


@LAYER.rule(
    "net-input-not-first",
    Severity.ERROR,
    "Only the first layer can be an input.",
    "Write each stretch of the network to a file of its own.",
    f"{_LOADER}, _create: later ones change the shape or start a second chain",
)
def _input_first(layer: NetLayer) -> Iterator[Trouble]:
    if layer.kind == "input" and layer.index:
        yield "type", f"is an input as layer {layer.index}"


@LAYER.rule(
    "net-input-neuron-not-driven",
    Severity.WARNING,
    "An input block with neurons has no port that a source can be connected to: Lava does not compile it.",
    "Load with skip_layers=1 and send what its neurons would, or set its bias at each step.",
    "lava-dl 0.6.0 netx/blocks/process.py, Input: inp is connected to nothing",
)
def _input_neuron(layer: NetLayer) -> Iterator[Trouble]:
    if layer.kind == "input" and layer.neuron is not None:
        yield "neuron", "cannot be driven through the loaded network's input port"


@LAYER.rule(
    "net-input-transform-truncated",
    Severity.WARNING,
    "The scale and the bias of an input block are truncated to whole numbers.",
    "Use whole numbers, or scale the frames before.",
    f"{_LOADER}, create_input",
)
def _input_transform(layer: NetLayer) -> Iterator[Trouble]:
    for name in ("weight", "bias"):
        value = layer.raw.number(name) if layer.kind == "input" and layer.neuron is not None else None
        if value is not None and np.isfinite(value) and value != math.floor(value):
            yield name, f"is {value}, and is loaded as {int(value)}"


@LAYER.rule(
    "net-conv-after-dense",
    Severity.ERROR,
    "lava-dl's loader cannot put a convolution behind a dense layer.",
    "Make the dense layer a convolution whose kernel is as large as its input.",
    f"{_LOADER}, _create: input_shape=layers[-1].shape, which is flat",
)
def _conv_after_dense(layer: NetLayer) -> Iterator[Trouble]:
    if layer.kind == "conv" and (layer.before in ("dense", "dense_rec") or layer.flattened):
        yield "type", f"is a conv behind a {'flatten' if layer.flattened else layer.before}"


@LAYER.rule(
    "net-flatten-missing",
    Severity.ERROR,
    "A dense layer behind a convolution needs a flatten block between them.",
    "Put `slayer.block.cuba.Flatten()` between them.",
    f"{_LOADER}, _create: connects ports of different shapes",
)
def _flatten_missing(layer: NetLayer) -> Iterator[Trouble]:
    if layer.dense and layer.before == "conv" and not layer.flattened:
        yield "type", f"is a {layer.kind} right behind a conv"


@LAYER.rule(
    "net-shape-disagrees",
    Severity.ERROR,
    "The stored shape is not the one that weights, strides and the input give.",
    "Export again after a forward pass with the input's real size: a file is for one size.",
    "lava-dl 0.6.0 netx/blocks/process.py: RuntimeError",
)
def _shape(layer: NetLayer) -> Iterator[Trouble]:
    shape, source, out = stored_shape(layer.raw), layer.source, layer.out
    if shape is None and layer.kind in WEIGHTED:
        yield "shape", "is missing or no shape"
    if shape is None or out is None:
        return
    if layer.dense and math.prod(shape) != out:
        yield "shape", f"is {shape}, but there are weights for {out} neurons"
    if layer.kind == "conv" and source is not None and len(source) == 3:
        expected = _conv_shape(layer, source, out)
        if expected is not None and shape != expected:
            yield "shape", f"is {shape}, but an input of {source} gives {expected}"


def _conv_shape(layer: NetLayer, source: tuple[int, ...], out: int) -> tuple[int, ...] | None:
    weight = layer.raw.numbers("weight")
    window = [pair(layer.raw, name) for name in ("stride", "padding", "dilation")]
    if weight is None or weight.ndim < 4 or any(one is None for one in window):
        return None
    strides, paddings, dilations = (one for one in window if one is not None)
    if min(*strides, *dilations) < 1 or min(paddings) < 0:
        return None
    sizes = (
        conv_output_size(size, kernel, *one)
        for size, kernel, *one in zip(source[1:], weight.shape[2:4], strides, paddings, dilations, strict=True)
    )
    return (out, *sizes)


@LAYER.rule(
    "net-input-size-disagrees",
    Severity.ERROR,
    "The weights are for another number of inputs than the layer before sends.",
    "Export again after a forward pass with the input's real size.",
    "lava-nc 0.10.0 magma/core/process/ports/ports.py: ports of different shapes do not connect",
)
def _input_size(layer: NetLayer) -> Iterator[Trouble]:
    weight, source = layer.raw.numbers("weight"), layer.source
    if weight is None or weight.size == 0 or source is None or layer.kind not in WEIGHTED or layer.out is None:
        return
    ins = weight.size // layer.out if layer.dense else weight.shape[1] if weight.ndim > 1 else None
    groups = (layer.raw.whole("groups") or 1) if layer.kind == "conv" else 1
    sends = math.prod(source) if layer.dense else source[0]
    if ins is not None and ins * groups != sends and not (layer.kind == "conv" and len(source) != 3):
        yield "weight", f"reads {ins * groups} inputs, but {sends} are sent"


@LAYER.rule(
    "net-groups-overflow",
    Severity.ERROR,
    "Lava's Conv keeps groups in eight signed bits: 128 and 256 give zeros without a word, others fail.",
    "Merge groups into block-diagonal kernels of at most 127 groups, as monospike does.",
    _CONV,
)
def _groups(layer: NetLayer) -> Iterator[Trouble]:
    groups = layer.raw.whole("groups") if layer.kind == "conv" else None
    if groups is not None and not 1 <= groups <= _INT8:
        yield "groups", f"is {groups}, outside 1..{_INT8}"


@LAYER.rule(
    "net-window-overflows",
    Severity.ERROR,
    "Lava's Conv keeps kernel size, stride, padding and dilation in eight signed bits: beyond, their sign turns.",
    f"Keep each of them within {_INT8}.",
    _CONV,
)
def _window(layer: NetLayer) -> Iterator[Trouble]:
    weight = layer.raw.numbers("weight") if layer.kind == "conv" else None
    windows = {name: pair(layer.raw, name) for name in ("padding", "stride", "dilation") if layer.kind == "conv"}
    if weight is not None and weight.ndim >= 4:
        windows["kernelSize"] = (weight.shape[2], weight.shape[3])
    for name, values in windows.items():
        if values is not None and max(values) > _INT8:
            yield name, f"is {max(values)}, and overflows beyond {_INT8}"


@LAYER.rule(
    "net-conv-delay-ignored",
    Severity.ERROR,
    "Axonal delays of a convolution are not loaded.",
    "Train and export with delay=False.",
    f"{_LOADER}, create_conv: the lines are commented out",
)
def _conv_delay(layer: NetLayer) -> Iterator[Trouble]:
    delay = layer.raw.numbers("delay") if layer.kind == "conv" else None
    if delay is not None and delay.any():
        yield "delay", f"reaches {delay.max()}, and is ignored"


@LAYER.rule(
    "net-delay-clamped",
    Severity.ERROR,
    "Delays beyond 62 steps are clamped.",
    f"Keep delays within {limits.DELAY_MAX}.",
    f"{_LOADER}, create_dense",
)
def _delay_clamped(layer: NetLayer) -> Iterator[Trouble]:
    delay = layer.raw.numbers("delay") if layer.dense else None
    if delay is not None and delay.size and delay.max() > limits.DELAY_MAX:
        place = first(delay == delay.max())
        yield f"delay{at(place)}", f"is {delay.max()}, and is clamped to {limits.DELAY_MAX}"


@LAYER.rule(
    "net-delay-truncated",
    Severity.WARNING,
    "Fractions of a step are dropped from delays.",
    "Store whole steps (slayer floors them when it exports).",
    "lava-nc 0.10.0 proc/dense/models.py: delays are int32",
)
def _delay_fraction(layer: NetLayer) -> Iterator[Trouble]:
    delay = layer.raw.numbers("delay") if layer.dense else None
    if delay is not None and (odd := delay != np.floor(delay)).any():
        yield f"delay{at(first(odd))}", f"is {delay[first(odd)]}, no whole step"


@LAYER.rule(
    "net-delay-not-usable",
    Severity.ERROR,
    "Delays that are negative, or as many as neither the inputs nor the neurons, cannot be loaded.",
    "Store one delay, one for each neuron, one for each input, or one for each weight.",
    f"{_LOADER}, create_dense; proc/dense/process.py, DelayDense",
)
def _delay_shape(layer: NetLayer) -> Iterator[Trouble]:
    delay, weight = layer.raw.numbers("delay") if layer.dense else None, layer.raw.numbers("weight")
    if delay is None or weight is None or layer.out is None:
        return
    shape = (layer.out, weight.size // layer.out)
    if delay.size != 1 and delay.shape not in ((shape[0],), (shape[1],), shape):
        yield "delay", f"has shape {delay.shape}, but the weights {shape}"
    if delay.size and delay.min() < 0:
        yield "delay", f"reaches {delay.min()}"
