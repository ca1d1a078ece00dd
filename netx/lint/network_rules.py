"""Rules about what a network of integers does, whichever file it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netx import limits
from netx.headroom import LayerHeadroom, headroom, largest_sum
from netx.lint.finding import Family, Severity, Trouble
from netx.network import Network
from netx.neurons import LIF, channel_bias
from netx.registers import violations
from netx.synapses import Direct

NETWORK: Family[Reached] = Family()


@dataclass(frozen=True)
class Reached:
    """A network and, worked out once, how far its accumulators can reach."""

    network: Network

    @cached_property
    def bounds(self) -> dict[str, LayerHeadroom]:
        """The head-room of each layer with neurons, by name."""
        return {bound.layer: bound for bound in headroom(self.network)}

    def within_a_step(self) -> Iterator[tuple[str, int]]:
        """Every layer whose inputs have a bound, and the largest magnitude of its sums, bias included, in one step."""
        network = self.network
        for layer in network.layers:
            sources = [network.range(source) for source in layer.inputs]
            unbounded = any(source.low <= limits.GRADED_MIN for source in sources)
            if layer.neuron is None or unbounded or isinstance(layer.synapse, Direct):
                continue
            yield layer.name, largest_sum(network, layer.name)

    def neurons(self) -> Iterator[tuple[str, LIF, LayerHeadroom]]:
        """Every layer of LIF neurons."""
        for layer in self.network.layers:
            if isinstance(layer.neuron, LIF):
                yield layer.name, layer.neuron, self.bounds[layer.name]


@NETWORK.rule(
    "headroom",
    Severity.ERROR,
    "Lava's 24-bit current wraps within the ranges of the inputs, where SLAYER's does not.",
    "Scale weights, bias and threshold down together, narrow the input's range, or reduce the fan-in.",
    "lava-nc 0.10.0 proc/lif/models.py; netx.headroom",
)
def _headroom(reached: Reached) -> Iterator[Trouble]:
    for name, worst in reached.within_a_step():
        if worst > limits.ACTIVATION_MAX:
            yield name, f"the sum of a single step can reach {worst}, and wraps beyond {limits.ACTIVATION_MAX}"


@NETWORK.rule(
    "headroom-over-time",
    Severity.WARNING,
    "Current or voltage, summed up over many steps, can leave the 24 bits in which Lava's agrees with SLAYER's.",
    "Let them decay faster, reset them, or scale weights and threshold down together.",
    "lava-nc 0.10.0 proc/lif/models.py; netx.headroom",
)
def _headroom_over_time(reached: Reached) -> Iterator[Trouble]:
    single = dict(reached.within_a_step())
    for name, bound in reached.bounds.items():
        if name in single and single[name] <= limits.ACTIVATION_MAX and not bound.proven:
            what = "can grow without bound" if bound.worst_case > 1 << 32 else f"can reach {bound.worst_case}"
            yield name, f"channel {bound.channel} {what} over many steps, beyond {bound.limit}"


@NETWORK.rule(
    "never-fires",
    Severity.WARNING,
    "No input makes these neurons spike: nothing that they are connected to exceeds the threshold.",
    "Lower the threshold, or remove the channels.",
    "netx.headroom",
)
def _never(reached: Reached) -> Iterator[Trouble]:
    for name, neuron, bound in reached.neurons():
        never = (bound.high <= neuron.threshold) & ~_wraps(bound)
        if neuron.threshold <= limits.THRESHOLD_MAX and never.any():
            yield name, _channels(never, f"at most {int(bound.high[never].max())} of more than {neuron.threshold}")


@NETWORK.rule(
    "always-fires",
    Severity.WARNING,
    "These neurons spike at every step, whatever the input is.",
    "Raise the threshold, or lower the bias.",
    "netx.headroom",
)
def _always(reached: Reached) -> Iterator[Trouble]:
    for name, neuron, _ in reached.neurons():
        if not neuron.memoryless:
            continue
        low, _high = reached.network.activation_range(name)
        unit = 1 << limits.STATE_SHIFT
        lowest = low * unit + channel_bias(neuron, reached.network.shape(name))
        always = np.atleast_1d(lowest > neuron.threshold * unit)
        if always.any():
            least = int(np.atleast_1d(lowest)[always].min()) // unit
            yield name, _channels(always, f"at least {least}, and the threshold is {neuron.threshold}")


@NETWORK.rule(
    "silent-layer",
    Severity.WARNING,
    "None of a layer's neurons can ever spike, so that all that reads it sees nothing.",
    "Lower the threshold of the named layer.",
    "netx.headroom",
)
def _silent(reached: Reached) -> Iterator[Trouble]:
    for name, neuron, bound in reached.neurons():
        readers = [layer.name for layer in reached.network.consumers(name)]
        if readers and ((bound.high <= neuron.threshold) & ~_wraps(bound)).all():
            yield name, f"is silent, and {', '.join(readers)} reads it"


@NETWORK.rule(
    "unread-layer",
    Severity.WARNING,
    "Nothing reads a layer, and it is no output.",
    "Remove it, or make it an output.",
    "netx.network",
)
def _unread(reached: Reached) -> Iterator[Trouble]:
    network = reached.network
    for name in (item.name for items in (network.inputs, network.layers) for item in items):
        if name not in network.outputs and not network.consumers(name):
            yield name, "is read by nothing"


@NETWORK.rule(
    "graded-input",
    Severity.NOTE,
    "The input is wider than spikes, and lava-dl's loader takes it for spikes unless it is told otherwise.",
    "Load with input_message_bits.",
    "lava-nc 0.10.0 proc/conv/models.py: astype(bool) where num_message_bits is 0",
)
def _graded(reached: Reached) -> Iterator[Trouble]:
    for source in reached.network.inputs:
        direct = any(isinstance(layer.synapse, Direct) for layer in reached.network.consumers(source.name))
        if not source.range.binary and not direct:
            bits = int(max(source.range.high, -source.range.low - 1)).bit_length() + (source.range.low < 0)
            yield source.name, f"holds {source.range}: {bits} bits"


@NETWORK.rule(
    "chip-register",
    Severity.NOTE,
    "A value fits into the simulator, but into no register of the chip.",
    "monospike simulate --strict refuses such networks.",
    "netx.registers",
)
def _registers(reached: Reached) -> Iterator[Trouble]:
    for layer in reached.network.layers:
        for _, text in violations(layer):
            yield layer.name, text


def _wraps(bound: LayerHeadroom) -> np.ndarray:
    """Where the current can leave its 24 bits below, and so come back as a spike."""
    return bound.low < -limits.ACTIVATION_MAX


def _channels(mask: np.ndarray, what: str) -> str:
    count, total = int(mask.sum()), mask.size
    some = f"all {total} channels" if count == total else f"{count} of {total} channels, first {int(np.argmax(mask))},"
    return f"{some} sum up to {what}"
