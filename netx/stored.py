"""One layer's group of a ``.net`` file, checked: what files of our own and of lava-dl have in common.

Every function raises FormatError that names the file and the place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netx.arrays import IntArray
from netx.errors import NetworkError
from netx.hdf5 import Group
from netx.synapses import Conv2d
from netx.types import Shape, as_pair


@dataclass(frozen=True)
class Stored:
    """What one ``conv`` or ``dense`` group of a file says; a dense weight as a kernel as large as what it reads."""

    kind: str
    synapse: Conv2d
    bias: IntArray
    threshold: int
    current_decay: int
    voltage_decay: int


def stored(group: Group, source: Shape) -> Stored:
    """One ``conv`` or ``dense`` group; ``source`` is the shape of what it reads, before any flattening."""
    kind = group.text("type")
    if kind not in ("conv", "dense"):
        raise group.error(f"layer type {kind!r} is not supported here: expected conv, dense or flatten")
    if "delay" in group and group.integers("delay").any():
        raise group.error("axonal delays are not supported: export with delay=False", "delay")
    try:
        synapse = stored_conv(group, source) if kind == "conv" else stored_dense(group, source)
    except NetworkError as error:
        raise group.error(str(error)) from None
    out = synapse.weight.shape[0]
    bias = group.integers("bias", (out,)) if "bias" in group else np.empty(0, np.int32)
    return Stored(kind, synapse, bias, *stored_lif(group))


def stored_conv(group: Group, source: Shape) -> Conv2d:
    """The convolution of a ``conv`` group that reads ``source``; its kernels may have a last axis of one, for time."""
    out = positive(group, "outChannels")
    groups = positive(group, "groups")
    kernel = stored_pair(group, "kernelSize", 1)
    ins = positive(group, "inChannels")
    if ins != source.channel or ins % groups:
        raise group.error(f"is {ins} in {groups} groups, but its input has {source.channel} channels", "inChannels")
    shape = (out, ins // groups, *kernel)
    weight = group.integers("weight", shape, (*shape, 1)).reshape(shape)
    window = (stored_pair(group, "stride", 1), stored_pair(group, "padding", 0), stored_pair(group, "dilation", 1))
    return Conv2d(weight, *window, groups)


def stored_dense(group: Group, source: Shape) -> Conv2d:
    """The weights of a ``dense`` group as kernels as large as ``source``, which it reads."""
    out, ins = positive(group, "outFeatures"), positive(group, "inFeatures")
    if ins != source.size:
        raise group.error(f"is {ins}, but its input is {source}", "inFeatures")
    return Conv2d(group.integers("weight", (out, ins), (out * ins,)).reshape(out, *source))


def stored_lif(group: Group) -> tuple[int, int, int]:
    """Threshold, current decay and voltage decay."""
    if "neuron" not in group:
        raise group.error("is missing: the stock loader would integrate for ever; export with dynamics=True", "neuron")
    neuron = group.group("neuron")
    kind = neuron.text("type")
    if kind not in ("CUBA", "LOIHI"):
        raise neuron.error(f"{kind!r} neurons are not supported: expected CUBA", "type")
    for name in ("gradedSpike", "messageBits", "weight_exp"):
        if name in neuron and neuron.numbers(name).any():
            raise neuron.error("is not supported: expected binary spikes without weight scaling", name)
    return neuron.integer("vThMant"), neuron.integer("iDecay"), neuron.integer("vDecay")


def checked_shape(group: Group, conv: Conv2d, source: Shape) -> Shape:
    """The output shape, once the file agrees with it."""
    try:
        shape = conv.output_shape((source,))
    except NetworkError as error:
        raise group.error(str(error)) from None
    sizes = group.integers("shape").ravel()
    stored = tuple(sizes[:4].tolist())  # one more than there can be
    if stored not in (tuple(shape), (shape.channel,)) or (len(stored) == 1 and shape.size != shape.channel):
        raise group.error(f"is {stored}, but the layer's output is {shape}", "shape")
    return shape


def positive(group: Group, name: str) -> int:
    """A whole number of at least one."""
    value = group.integer(name)
    if value < 1:
        raise group.error(f"is {value}, expected at least 1", name)
    return value


def stored_pair(group: Group, name: str, low: int) -> tuple[int, int]:
    """One or two whole numbers of at least ``low``."""
    values = group.integers(name, (), (1,), (2,)).ravel()
    try:
        return as_pair(values.tolist() * (2 // len(values)), name, low)
    except NetworkError as error:
        raise group.error(str(error)) from None
