"""What neurons make of their activation, with the bits and the oddities of Lava's fixed-point models.

States are int32 and overflow as numpy's do in Lava. Steps come first: tensors are (step, batch, channel, height,
width). States pass from call to call, so that a long run can be cut anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch

from netx import LIF, Delta, SigmaDelta, limits

States: TypeAlias = Mapping[str, torch.Tensor]
"""A layer's variables by Lava's names (u, v, sigma, act, residue) after one step: int32, (batch, channel, ...)."""

Watch: TypeAlias = Callable[[str, torch.Tensor, int], None]
"""Looks at values, named, before they wrap or saturate; raises NetworkError at one that would. The values are of all
steps, or of the one whose number is given."""

STATE_MAX = (1 << (limits.STATE_BITS - 1)) - 1
_UNIT = 1 << limits.STATE_SHIFT


@dataclass(frozen=True)
class Steps:
    """What a layer's neurons did at each step.

    output: what they send: 0 or 1 (uint8), or integers (int32). membrane: of LIF and Accumulator the voltage before any
    reset, in weight units; of Sigma and SigmaDelta the sum so far; of Delta its scaled input; int32.
    states: the variables after each step. last: the same after the last one.
    """

    output: torch.Tensor
    membrane: torch.Tensor
    states: Mapping[str, torch.Tensor]
    last: States


def lif(
    neuron: LIF, bias: torch.Tensor, activation: torch.Tensor, before: States, first: int, watch: Watch | None
) -> Steps:
    """The recurrence of netx.LIF from the states ``before`` (none: at rest).

    bias: int32, (channel, 1, 1), in 1/64 weight unit. first: number of the first step, counted from 0 at the layer's
    first frame, which the reset interval refers to; negative before that.
    """
    if neuron.memoryless:
        return _memoryless_lif(neuron, bias, activation, watch)
    rest = torch.zeros_like(activation[0])
    current, voltage, waits = (before.get(name, rest) for name in ("u", "v", "refractory"))
    membrane, output = torch.empty_like(activation), torch.empty_like(activation, dtype=torch.uint8)
    currents, voltages = torch.empty_like(activation), torch.empty_like(activation)
    for step, value in enumerate(activation):
        if _resets(neuron, first + step):
            current, voltage = rest, rest
        current = _wrapped(_decayed(current, neuron.current_decay) + value * _UNIT, watch, step)
        moved = _decayed(voltage, neuron.voltage_decay) + current + bias
        voltage = _saturated(torch.where(waits > 0, rest, moved), watch, step)
        spikes = voltage > neuron.threshold * _UNIT
        membrane[step], output[step] = voltage >> limits.STATE_SHIFT, spikes
        voltage = torch.where(spikes, rest, voltage)
        waits = torch.where(spikes, neuron.refractory, (waits - 1).clamp(min=0))
        currents[step], voltages[step] = current, voltage
    last = {"u": current, "v": voltage, "refractory": waits}
    return Steps(output, membrane, {"u": currents, "v": voltages}, last)


def accumulator(bias: torch.Tensor, activation: torch.Tensor, watch: Watch | None) -> Steps:
    """A read-out: Lava's LIF with a threshold that is never reached, both decays one."""
    current = _wrapped(activation * _UNIT, watch)
    voltage = _saturated(current + bias, watch)
    membrane = voltage >> limits.STATE_SHIFT
    return Steps(membrane, membrane, {"u": current, "v": voltage}, {})


def sigma(activation: torch.Tensor, before: States) -> Steps:
    """The running sum of netx.Sigma."""
    total = _running_sum(activation, before)
    return Steps(total, total, {"sigma": total}, {"sigma": total[-1]})


def delta(neuron: Delta, activation: torch.Tensor, before: States) -> Steps:
    """The encoder of netx.Delta."""
    scaled = activation << (neuron.spike_exponent + neuron.state_exponent)
    output, residues, last = _delta_encoded(neuron, scaled, before)
    return Steps(output, scaled, {"act": scaled, "residue": residues}, last)


def sigma_delta(neuron: SigmaDelta, bias: torch.Tensor, activation: torch.Tensor, before: States) -> Steps:
    """The neuron of netx.SigmaDelta. bias: int32, (channel, 1, 1), scaled by both exponents."""
    total = _running_sum(activation, before)
    act = total + bias
    if neuron.relu:
        act = act.clamp(min=0)
    output, residues, last = _delta_encoded(neuron, act, before)
    states = {"sigma": total, "act": act, "residue": residues}
    return Steps(output, total, states, {**last, "sigma": total[-1]})


def _memoryless_lif(neuron: LIF, bias: torch.Tensor, activation: torch.Tensor, watch: Watch | None) -> Steps:
    current = _wrapped(activation * _UNIT, watch)
    voltage = _saturated(current + bias, watch)
    spikes = voltage > neuron.threshold * _UNIT
    after = torch.where(spikes, 0, voltage)
    return Steps(spikes.to(torch.uint8), voltage >> limits.STATE_SHIFT, {"u": current, "v": after}, {})


def _resets(neuron: LIF, step: int) -> bool:
    interval = neuron.reset_interval
    return interval is not None and (step - neuron.reset_offset) % interval == 0


def _decayed(state: torch.Tensor, decay: int) -> torch.Tensor:
    """The magnitude shifted right, so that it decays to zero from both sides (``right_shift`` of the absolute)."""
    if decay in (0, limits.DECAY_ONE):
        return state if decay == 0 else torch.zeros_like(state)
    kept = (state.to(torch.int64).abs() * (limits.DECAY_ONE - decay)) >> 12
    return torch.where(state < 0, -kept, kept).to(torch.int32)


def _wrapped(current: torch.Tensor, watch: Watch | None, step: int = 0) -> torch.Tensor:
    """Lava's current: out of (-2^23, 2^23] it is moved by 2^24, once (lava-nc ``proc/lif/models.py``)."""
    if watch is not None:
        watch("current", current, step)
    span, half = 1 << limits.STATE_BITS, 1 << (limits.STATE_BITS - 1)
    once = torch.where(current > half, current - span, current)
    return torch.where(once <= -half, current + span, once)


def _saturated(voltage: torch.Tensor, watch: Watch | None, step: int = 0) -> torch.Tensor:
    if watch is not None:
        watch("voltage", voltage, step)
    return voltage.clamp(-STATE_MAX, STATE_MAX)


def _running_sum(activation: torch.Tensor, before: States) -> torch.Tensor:
    total = activation.cumsum(dim=0, dtype=torch.int32)
    return total + before["sigma"] if "sigma" in before else total


def _delta_encoded(
    neuron: Delta | SigmaDelta, act: torch.Tensor, before: States
) -> tuple[torch.Tensor, torch.Tensor, States]:
    """Messages, the residue after each step, and the last states."""
    threshold = neuron.threshold << (neuron.spike_exponent + neuron.state_exponent)
    rest = torch.zeros_like(act[0])
    previous, residue = before.get("act", rest), before.get("residue", rest)
    output, residues = torch.empty_like(act), torch.empty_like(act)
    for step, value in enumerate(act):
        change = value - previous + residue
        sent = torch.where(change.abs() >= threshold, change, rest)
        previous, residue = value, change - sent
        output[step], residues[step] = sent >> neuron.state_exponent, residue
    return output, residues, {"act": previous, "residue": residue}
