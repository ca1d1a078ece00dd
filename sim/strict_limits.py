"""What only a simulator lets pass: the ranges of the chip's registers, refused layer by layer and step by step.

Static are the registers of the network itself (``check``, by netx.registers); what a run does to currents, voltages and
messages is seen as it happens (``watch``).
"""

from __future__ import annotations

import torch

from netx import Delta, Network, NetworkError, Sigma, SigmaDelta
from netx.registers import violations
from sim.dynamics import STATE_MAX, Steps, Watch


def check(network: Network) -> None:
    """Raises NetworkError that names every layer and value that the chip's registers cannot hold."""
    found = [f"layer {layer.name!r}: {text}" for layer in network.layers for _, text in violations(layer)]
    if found:
        raise NetworkError("only a simulator runs this network:\n" + "\n".join(found))


def check_sums(sums: torch.Tensor) -> None:
    """Refuse sums of synapses beyond 24 bits: the current could have wrapped to any value."""
    worst = max(int(sums.max()), -int(sums.min()))  # the lowest int32 has no magnitude in 32 bits
    if worst > STATE_MAX:
        raise NetworkError(f"a sum of {worst} leaves the chip's 24 bits")


def watch(first: int) -> Watch:
    """A watch that refuses values beyond the 24 bits of a current or voltage; step 0 is frame ``first``."""

    def look(what: str, values: torch.Tensor, step: int) -> None:
        _check_within(what, values, STATE_MAX, first + step)

    return look


def watch_messages(look: Watch, first: int, neuron: Delta | SigmaDelta | Sigma, steps: Steps) -> None:
    """Refuse sigma-delta states beyond 24 bits, and messages beyond the neuron's own. Step 0 is frame ``first``."""
    for name, values in steps.states.items():
        look(name, values, 0)
    if not isinstance(neuron, Sigma):
        _check_within("message", steps.output, (1 << (neuron.message_bits - 1)) - 1, first)


def _check_within(what: str, values: torch.Tensor, most: int, frame: int) -> None:
    outside = (values > most) | (values < -most)
    if not bool(outside.any()):
        return
    *steps, _, channel, row, column = place = [int(i) for i in torch.nonzero(outside)[0]]
    value, where = int(values[tuple(place)]), (channel, row, column)
    raise NetworkError(f"{what} of neuron {where} at frame {frame + sum(steps)} is {value}, beyond the chip's +-{most}")
