"""Networks of every kind that the engine and Lava both run, drawn at random and driven to the edges of their ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from netx import (
    LIF,
    SPIKES,
    Accumulator,
    Concat,
    Conv2d,
    Delta,
    Dense,
    Direct,
    Flatten,
    Input,
    Layer,
    Network,
    NetworkError,
    Neuron,
    Pool,
    Range,
    Recurrent,
    Shape,
    Sigma,
    SigmaDelta,
    Synapse,
    Upsample,
    limits,
)
from netx.arrays import IntArray
from netx.types import Pair
from sim.lava.branches import branches
from sim.lava.plan import MAX_INT8

Choose: TypeAlias = Callable[[int, int], int]
"""An integer between two, both included. Low numbers stand for simple networks, should it prefer any."""

_RANGES = (SPIKES, SPIKES, Range(-3, 3), Range(0, 255), Range(-600, 600), Range(-(1 << 18), 1 << 18))
_MOST_STEPS, _MOST_LAYERS = 20, 3
_TRIALS = 4
"""Of convolutions behind wires: not each has a form in Lava."""


@dataclass(frozen=True)
class Drawn:
    """A network and frames for its one input, int32, shape (frame, channel, height, width)."""

    network: Network
    frames: dict[str, IntArray]


@dataclass
class _Draft:
    """A network on its way: its layers so far, and what the next can read."""

    choose: Choose
    random: np.random.Generator
    source: Input
    refractory: bool = False
    layers: list[Layer] = field(default_factory=list)

    @property
    def network(self) -> Network:
        read = {name for layer in self.layers for name in layer.inputs}
        return Network((self.source,), tuple(self.layers), tuple(x.name for x in self.layers if x.name not in read))

    def shape(self, name: str) -> Shape:
        return self.network.shape(name) if self.layers else self.source.shape

    def graded(self, name: str) -> bool:
        return not (self.network.range(name) if self.layers else self.source.range).binary

    def add(self, sources: str | tuple[str, str], synapse: Synapse, neuron: Neuron | None) -> str:
        name = f"{'xabcdefghijk'[len(self.layers) + 1]}{type(synapse).__name__.lower()}"
        self.layers.append(Layer(name, (sources,) if isinstance(sources, str) else sources, synapse, neuron))
        return name


def draw(choose: Choose, *, refractory: bool = False) -> Drawn:
    """A network of one to three layers with neurons, sometimes with a branch, and 1 to 20 frames.

    refractory: whether LIF neurons may have a refractory period, of which Lava has no fixed-point model.
    """
    shape = Shape(choose(1, 4), choose(1, 8), choose(1, 8))
    source = Input("x", shape, _RANGES[choose(0, len(_RANGES) - 1)])
    draft = _Draft(choose, np.random.default_rng(choose(0, 1 << 32)), source, refractory)
    end = source.name
    for _ in range(choose(1, _MOST_LAYERS)):
        made = _add_layer(draft, end)
        # A read-out sends nothing in Lava, so that nothing can read it.
        if not isinstance(draft.layers[-1].neuron, Accumulator) and choose(0, 5) < 5:
            end = made
    return Drawn(draft.network, {source.name: _frames(draft, choose(1, _MOST_STEPS))})


def seeded(seed: int, *, refractory: bool = False) -> Drawn:
    """The network of number ``seed``; see ``draw``."""
    random = np.random.default_rng(seed)
    return draw(lambda low, high: int(random.integers(low, high, endpoint=True)), refractory=refractory)


def _frames(draft: _Draft, count: int) -> IntArray:
    source, random = draft.source, draft.random
    density = draft.choose(0, 4) / 4
    frames = random.integers(source.range.low, source.range.high, (count, *source.shape), endpoint=True)
    frames = frames * (random.random(frames.shape) < density)
    if draft.choose(0, 3) == 3:
        frames[random.integers(count)] = source.range.high
    return frames.astype(np.int32)


def _add_layer(draft: _Draft, source: str) -> str:
    choose = draft.choose
    kind = choose(0, 5)
    graded = draft.graded(source)
    synapse: Synapse
    if kind <= 1:
        source, synapse = _conv_through_wires(draft, source)
    elif kind == 2:
        synapse = _pool(draft, source)
    elif kind == 3 and not draft.layers:
        synapse = Direct()
    else:
        if draft.shape(source)[1:] != (1, 1):
            source = draft.add(source, Flatten(), None)
        synapse = _dense(draft, draft.shape(source).channel, choose(1, 8))
        if kind == 5 and not graded:
            synapse = Recurrent(synapse, _dense(draft, len(synapse.weight), len(synapse.weight)))
    channels = synapse.output_shape((draft.shape(source),)).channel
    return draft.add(source, synapse, _neuron(draft, synapse, channels))


def _conv_through_wires(draft: _Draft, source: str) -> tuple[str, Conv2d]:
    """A convolution and what it reads: ``source`` itself, up-sampled, or beside another layer of its size."""
    choose, before = draft.choose, len(draft.layers)
    kind = choose(0, 3)
    if kind <= 1:
        return source, _conv(draft, source)
    read = source
    if kind == 3:
        beside = _of_the_size_of(draft, source)
        read = draft.add((source, beside[choose(0, len(beside) - 1)]), Concat(), None)
    if kind == 2 or choose(0, 1):
        factor, zeros = (choose(1, 3), choose(1, 3)), bool(choose(0, 1))
        trailing = (choose(0, factor[0] - 1), choose(0, factor[1] - 1)) if zeros else (0, 0)
        read = draft.add(read, Upsample(factor, zeros, trailing), None)
    for _ in range(_TRIALS):
        conv = _conv(draft, read)
        if _lava_has(draft, read, conv):
            return read, conv
    del draft.layers[before:]
    return source, _conv(draft, source)


def _of_the_size_of(draft: _Draft, source: str) -> list[str]:
    """The input and the layers that ``source`` may lie beside, itself among them."""
    silent = {layer.name for layer in draft.layers if isinstance(layer.neuron, Accumulator)}
    names = [draft.source.name, *(layer.name for layer in draft.layers if layer.name not in silent)]
    return [name for name in names if draft.shape(name)[1:] == draft.shape(source)[1:]]


def _lava_has(draft: _Draft, read: str, conv: Conv2d) -> bool:
    """Whether a convolution behind wires has a form in Lava's stock processes with the same bits."""
    layer = Layer("tried", (read,), conv, LIF(1))
    try:
        branches(Network((draft.source,), (*draft.layers, layer), (layer.name,)), layer, MAX_INT8)
    except NetworkError:
        return False
    return True


def _conv(draft: _Draft, source: str) -> Conv2d:
    choose, shape = draft.choose, draft.shape(source)
    padding, dilation = (choose(0, 2), choose(0, 2)), (choose(1, 2), choose(1, 2))
    kernel = _kernel(draft, shape, padding, dilation)
    groups = shape.channel if choose(0, 3) == 3 else 1
    out = groups * choose(1, 3)
    weight = _weights(draft, (out, shape.channel // groups, *kernel))
    exponent = choose(-3, 3) if choose(0, 3) == 3 else 0
    # Lava's Conv has no exponent: what it runs is the weight with the exponent folded in, which has to be exact.
    mantissa = weight >> abs(exponent) << max(-exponent, 0)
    return Conv2d(mantissa, (choose(1, 3), choose(1, 3)), padding, dilation, groups, exponent)


def _kernel(draft: _Draft, shape: Shape, padding: Pair, dilation: Pair) -> Pair:
    """Sizes that fit."""
    most = [(size + 2 * pad - 1) // step + 1 for size, pad, step in zip(shape[1:], padding, dilation, strict=True)]
    return draft.choose(1, min(most[0], 4)), draft.choose(1, min(most[1], 4))


def _pool(draft: _Draft, source: str) -> Pool:
    choose = draft.choose
    kernel = _kernel(draft, draft.shape(source), (0, 0), (1, 1))
    padding = (choose(0, kernel[0] // 2), choose(0, kernel[1] // 2))
    return Pool(kernel, (choose(1, 3), choose(1, 3)), padding, choose(1, limits.WEIGHT_MAX))


def _dense(draft: _Draft, into: int, out: int) -> Dense:
    choose = draft.choose
    weight = _weights(draft, (out, into))
    bits = choose(1, 9) if choose(0, 2) == 2 else None
    if bits is None and weight.max() <= 0:
        weight = np.maximum(weight, -limits.WEIGHT_MAX)  # Lava would clip it
    exponent = choose(limits.WEIGHT_EXPONENT_MIN, limits.WEIGHT_EXPONENT_MAX) if choose(0, 2) == 2 else 0
    delay = np.zeros((1, 1), np.int32)
    if choose(0, 3) == 3:
        size = ((out, 1), (1, into), (out, into))[choose(0, 2)]
        delay = draft.random.integers(0, choose(1, limits.DELAY_MAX), size, np.int32, endpoint=True)
    return Dense(weight, exponent, bits, delay)


def _weights(draft: _Draft, shape: tuple[int, ...]) -> IntArray:
    """Small ones, which often tie with thresholds; any; saturated; of one sign; none at all."""
    random, kind = draft.random, draft.choose(0, 6)
    if kind == 6:
        return np.zeros(shape, np.int32)
    ends = ((-4, 5), (-256, 256), (-256, 256), (0, 256), (-256, 1), (-60, 61))[kind]
    weights = random.integers(*ends, shape, np.int32)
    return np.where(weights < 0, ends[0], ends[1] - 1).astype(np.int32) if kind == 2 else weights


def _neuron(draft: _Draft, synapse: Synapse, channels: int) -> Neuron:
    choose = draft.choose
    kind = 0 if isinstance(synapse, Recurrent) else choose(0, 6)
    if kind <= 3:
        return _lif(draft, channels)
    exponents = choose(0, limits.STATE_EXPONENT_MAX), choose(0, limits.STATE_EXPONENT_MAX)
    threshold = choose(0, (4, 300, 20000)[choose(0, 2)])
    if kind == 4:
        return SigmaDelta(threshold, _bias(draft, channels, 500), *exponents, relu=bool(choose(0, 3)))
    if kind == 5:
        return Delta(threshold, *exponents) if choose(0, 1) else Sigma()
    return Accumulator(_bias(draft, channels, limits.BIAS_MAX))


def _lif(draft: _Draft, channels: int) -> LIF:
    choose = draft.choose
    decays = [limits.DECAY_ONE] * 2  # nothing is remembered
    if choose(0, 2):
        decays = [(choose(0, limits.DECAY_ONE), 0, 1, 4095, limits.DECAY_ONE)[choose(0, 4)] for _ in range(2)]
    return LIF(
        threshold=(choose(0, 30), choose(0, 3000), choose(-300, limits.THRESHOLD_MAX))[choose(0, 2)],
        bias=_bias(draft, channels, (30, 4096, limits.BIAS_MAX)[choose(0, 2)]),
        bias_exponent=choose(0, limits.BIAS_EXPONENT_MAX),
        current_decay=decays[0],
        voltage_decay=decays[1],
        reset_interval=choose(1, 6) if choose(0, 3) == 3 else None,
        reset_offset=choose(0, 8),
        refractory=choose(1, 4) if draft.refractory and choose(0, 1) else 0,
    )


def _bias(draft: _Draft, channels: int, most: int) -> IntArray:
    if draft.choose(0, 1) == 0:
        return np.zeros(0, np.int32)
    return draft.random.integers(-most, most, channels, np.int32, endpoint=True)
