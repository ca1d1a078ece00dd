"""The design rules of a chip: each has a name, says where a network breaks it, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator

from netx import LIF, Accumulator, Conv2d, Dense, Direct, Layer, Network, Recurrent
from netx import limits as ranges
from sim.hardware import Limits
from sim.mapping.demand import Needs
from sim.mapping.packing import weight_bits
from sim.mapping.result import LayerCores, Violation

_EVERY_BIT = 16
"""More than any weight of a network needs: asks how many it would need."""


def layer_violations(network: Network, layer: Layer, limits: Limits) -> list[Violation]:
    """The rules that a layer breaks by what it is, wherever its neurons sit."""
    return [*_graded(network, layer, limits), *_weights(layer, limits), *_width(network, layer, limits), *_bias(layer)]


def too_much_for_a_core(layer: str, smallest: Needs, limits: Limits, chip: str) -> list[Violation]:
    """The rules that a layer breaks of which a single neuron does not fit on a core."""
    where, found = f"layer {layer!r}, every neuron", []
    words, axons, out = limits.synapse_words.value, limits.axons_in.value, limits.axons_out.value
    if smallest.axons_in > axons:
        mend = (
            f"a neuron reads {smallest.axons_in} axons, a core of {chip} has {axons}: prune inputs, pool before the "
            f"layer, or sum {-(-smallest.axons_in // axons)} parts of the input in neurons of their own"
        )
        found.append(Violation("fan-in axons", where, mend))
    if smallest.synapse_words > words:
        mend = (
            f"the synapses of one neuron take {smallest.synapse_words} words, a core of {chip} has {words}: prune "
            f"inputs, use fewer weight bits, or sum {-(-smallest.synapse_words // words)} parts of the input in "
            "neurons of their own"
        )
        found.append(Violation("fan-in memory", where, mend))
    if smallest.axons_out > out:
        mend = (
            f"a neuron sends through {smallest.axons_out} axons, a core of {chip} has {out}: let fewer cores read it, "
            "with smaller layers after it"
        )
        found.append(Violation("fan-out axons", where, mend))
    return found


def chip_violations(layers: tuple[LayerCores, ...], cores: int, a_chip: int, chips: int, name: str) -> list[Violation]:
    """The rules that all layers together break."""
    if cores <= a_chip * chips:
        return []
    needed = -(-cores // a_chip)
    largest = sorted(layers, key=lambda layer: -len(layer.cores))[:3]
    shares = ", ".join(f"{layer.name} {len(layer.cores)} (bound by {layer.binding})" for layer in largest)
    mend = (
        f"{cores} cores are needed, there are {a_chip * chips}: use {needed} chips (--chips {needed}), or save "
        f"{cores - a_chip * chips} cores; the largest layers take {shares}"
    )
    return [Violation("cores", f"{chips} x {name}", mend)]


def _graded(network: Network, layer: Layer, limits: Limits) -> Iterator[Violation]:
    if isinstance(layer.synapse, Direct):
        return  # what is set from outside is no message
    bits = limits.message_bits.value
    for source in layer.inputs:
        sent = network.range(source)
        needed = 1 if sent.binary else max(sent.high.bit_length(), (-sent.low - 1).bit_length()) + (sent.low < 0)
        if needed > bits:
            mend = (
                f"it reads numbers of {needed} bits ({sent}) from {source!r}, a spike carries {bits}: let the host run "
                "what comes before and send spikes, or choose a chip with graded spikes"
            )
            yield Violation("graded spikes", f"layer {layer.name!r}", mend)


def _weights(layer: Layer, limits: Limits) -> Iterator[Violation]:
    synapses = (
        (layer.synapse.forward, layer.synapse.feedback) if isinstance(layer.synapse, Recurrent) else (layer.synapse,)
    )
    for synapse in synapses:
        if isinstance(synapse, (Conv2d, Dense)):
            weight = synapse.effective_weight if isinstance(synapse, Dense) else synapse.weight
            needed, most = weight_bits(weight, _EVERY_BIT), limits.weight_bits.value
            if needed > most:
                mend = f"its weights need {needed} bits, a synapse has {most}: make them even, or quantise anew"
                yield Violation("weight bits", f"layer {layer.name!r}", mend)


def _width(network: Network, layer: Layer, limits: Limits) -> Iterator[Violation]:
    if limits.convolution_width is None or not isinstance(layer.synapse, Conv2d):
        return
    columns, most = network.shape(layer.inputs[0]).width, limits.convolution_width.value
    if columns > most:
        mend = (
            f"its input has {columns} columns, a spike's coordinate tells {most} apart, and spikes next to every "
            f"{most}th may be lost: make the frame narrower, or cut it into strips"
        )
        yield Violation("convolution width", f"layer {layer.name!r}", mend)


def _bias(layer: Layer) -> Iterator[Violation]:
    neuron = layer.neuron
    if not isinstance(neuron, (LIF, Accumulator)) or neuron.bias.size == 0:
        return
    low, high = int(neuron.bias.min()), int(neuron.bias.max())
    if low < ranges.LOIHI_BIAS_MIN or high > ranges.LOIHI_BIAS_MAX:
        worst = int(abs(neuron.bias).argmax())
        mend = (
            f"the bias {int(neuron.bias[worst])} is outside {ranges.LOIHI_BIAS_MIN}..{ranges.LOIHI_BIAS_MAX}: "
            "use a smaller mantissa and a larger exponent, or scale the layer's weights and threshold down"
        )
        yield Violation("bias", f"layer {layer.name!r}, channel {worst}", mend)
