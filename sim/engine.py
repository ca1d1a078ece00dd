"""The exact engine: runs a Network in integers, with the same bits as Lava's fixed-point processes.

A run is a function of the network and its frames over time. Time is the network's own: a layer answers a frame at the
step at which the frame enters, and only states, delays and feedback (one step) reach over steps. Lava is late by one
step for every synapse on the way; ``trace`` with ``pipelined`` says exactly what Lava's variables hold at each of its
steps, before the first frame arrives included, which is what biases see of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Delta,
    Dense,
    Direct,
    Flatten,
    Layer,
    Network,
    NetworkError,
    Pool,
    Recurrent,
    Sigma,
    channel_bias,
)
from netx.arrays import IntArray
from netx.network import has_synapse
from sim import dynamics, fused, strict_limits
from sim.accumulate import accumulate, delayed
from sim.dynamics import States, Steps
from sim.frames import checked_batches, checked_frames
from sim.kernels import Choice, ExactType, exact_arithmetic
from sim.recording import Recording


@dataclass(frozen=True)
class Trace:
    """All that happens in one layer; every array int32, shape (step, channel, height, width).

    activation: what its synapses send, in weight units. states: its variables after each step, by Lava's names and in
    Lava's units: u and v of LIF and Accumulator (v after the reset), sigma, act and residue of sigma-delta layers.
    output: spikes (0 or 1), or graded messages. For an Accumulator, which sends nothing, it is the read-out.
    """

    activation: IntArray
    states: Mapping[str, IntArray]
    output: IntArray


Pending: TypeAlias = Mapping[int, torch.Tensor]


@dataclass(frozen=True)
class Memory:
    """What a network remembers between two steps. frames: steps that have passed. The rest is by layer.

    pending: for each delay the activations that have not arrived yet, shape (delay, batch, ...); fed: the same of what
    a layer feeds back to itself. states: of the neurons. outputs: the last ones of layers that feed back.
    """

    frames: int = 0
    pending: Mapping[str, Pending] = field(default_factory=dict)
    fed: Mapping[str, Pending] = field(default_factory=dict)
    states: Mapping[str, States] = field(default_factory=dict)
    outputs: Mapping[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class _Answer:
    """One layer's part of a run: activations and what the neurons made of them, and what it then remembers."""

    activation: torch.Tensor
    steps: Steps
    pending: Pending
    fed: Pending = field(default_factory=dict)


@dataclass(frozen=True)
class _Setting:
    """How to run. pipelined: with Lava's step for each synapse. strict: refuse what only a simulator lets pass."""

    network: Network
    pipelined: bool = False
    strict: bool = False


def run(network: Network, frames: Mapping[str, npt.ArrayLike], *, strict: bool = False) -> Recording:
    """Run ``network`` on one frame a time step and record every spike, membrane voltage and message.

    A network that remembers nothing goes the fast way of ``sim.fused``, with the same bits.
    frames: for each input integers within its range, shape (frame, channel, height, width); equal frame counts.
    strict: refuse whatever only a simulator would let pass, see ``sim.strict_limits``.
    Neurons start at rest; those with memory carry it from frame to frame.
    Raises NetworkError, naming input or layer, when frames do not fit, a correlation has not been programmed, a sum
    leaves 32 bits, or, where ``strict``, the chip's ranges are left.
    """
    checked = checked_frames(network, frames)
    if (recorder := _recorder(network, strict, len(next(iter(checked.values()))))) is not None:
        return recorder.run(checked)
    values = {name: array[:, None] for name, array in checked.items()}
    return _recordings(_advanced(_Setting(network, strict=strict), values, Memory())[0])[0]


def run_batch(network: Network, frames: Mapping[str, npt.ArrayLike], *, strict: bool = False) -> list[Recording]:
    """As ``run`` for several independent sequences: frames of shape (sequence, frame, channel, height, width)."""
    values = {name: array.swapaxes(0, 1) for name, array in checked_batches(network, frames).items()}
    return _recordings(_advanced(_Setting(network, strict=strict), values, Memory())[0])


def run_in_parts(
    network: Network,
    frames: Mapping[str, npt.ArrayLike],
    size: int,
    *,
    strict: bool = False,
    types: ExactType | None = None,
    device: str = "cpu",
) -> Iterator[Recording]:
    """As ``run``, ``size`` frames at a time; the recordings joined are the same. What is done is kept by the caller.

    types, device: as ``sim.fused.compile`` takes them, which then has to take the network too.
    """
    checked = checked_frames(network, frames)
    count = len(next(iter(checked.values())))
    recorder, memory = _recorder(network, strict, min(size, count), types, device), Memory()
    for start in range(0, count, size):
        now = {name: array[start : start + size] for name, array in checked.items()}
        if recorder is not None:
            yield recorder.run(now)
            continue
        part = {name: array[:, None] for name, array in now.items()}
        answers, memory = _advanced(_Setting(network, strict=strict), part, memory)
        yield _recordings(answers)[0]


def choices(network: Network, *, types: ExactType | None = None, device: str = "cpu") -> tuple[Choice, ...]:
    """What ``run`` computes the sums of each layer in, and why; none where the network remembers or may overflow.

    There every sum is in float32, or in float64, by the bound of the values that arrive (``sim.accumulate``).
    """
    recorder = _recorder(network, False, 1, types, device)
    return () if recorder is None else recorder.choices


def _recorder(
    network: Network, strict: bool, frames: int, types: ExactType | None = None, device: str = "cpu"
) -> fused.Runner | None:
    """The compiled network, for frames that do not depend on each other; None where there is more to it."""
    wanted = types is not None or device != "cpu"
    if strict and wanted:
        raise NetworkError("strict runs watch every value: they go without types and devices of choice")
    if not wanted and (strict or not fused.suits(network, record=True)):
        return None
    batch = min(frames, fused.frames_together(network))
    return fused.compile(network, record=True, batch=batch, types=types, device=device)


def trace(network: Network, frames: Mapping[str, npt.ArrayLike], *, pipelined: bool = False) -> dict[str, Trace]:
    """As ``run``, and every variable of every layer at every step.

    pipelined: every synapse answers a step late, as in Lava. A layer of depth d (``Network.depth``) then answers frame
    t at step t + d and has seen d steps without input before the first; append as many frames of zeros to see it all.
    """
    values = {name: array[:, None] for name, array in checked_frames(network, frames).items()}
    answers, _ = _advanced(_Setting(network, pipelined=pipelined), values, Memory())
    return {
        name: Trace(
            _numpy(answer.activation),
            {state: _numpy(steps) for state, steps in answer.steps.states.items()},
            _numpy(answer.steps.output),
        )
        for name, answer in answers.items()
    }


def _numpy(values: torch.Tensor) -> IntArray:
    return values[:, 0].to(torch.int32).numpy()


def _recordings(answers: Mapping[str, _Answer]) -> list[Recording]:
    """One recording for each member of the batch."""
    spikes, membranes, messages = {}, {}, {}
    for name, answer in answers.items():
        membranes[name] = answer.steps.membrane.numpy()
        if answer.steps.output.dtype == torch.uint8:
            spikes[name] = answer.steps.output.numpy()
        elif "residue" in answer.steps.states or "sigma" in answer.steps.states:
            messages[name] = answer.steps.output.numpy()
    batch = next(iter(membranes.values())).shape[1]
    return [
        Recording(
            "engine", *({name: array[:, one] for name, array in kind.items()} for kind in (spikes, membranes, messages))
        )
        for one in range(batch)
    ]


def _advanced(setting: _Setting, frames: Mapping[str, IntArray], memory: Memory) -> tuple[dict[str, _Answer], Memory]:
    """What every layer with neurons answers to further frames, (step, batch, channel, height, width), and remembers."""
    network = setting.network
    if network.correlations():
        name = network.correlations()[0].name
        raise NetworkError(f"layer {name!r} is a correlation without its template: call Network.programmed first")
    if setting.strict:
        strict_limits.check(network)
    values = {name: torch.from_numpy(array.copy()) for name, array in frames.items()}
    answers: dict[str, _Answer] = {}
    with exact_arithmetic():
        for layer in network.layers:
            inputs = [values[source] for source in layer.inputs]
            if isinstance(layer.synapse, Flatten):
                values[layer.name] = inputs[0].flatten(2)[..., None, None]
            elif isinstance(layer.synapse, Concat):
                values[layer.name] = torch.cat(inputs, dim=2)
            else:
                try:
                    answers[layer.name] = _answer(setting, layer, inputs[0], memory)
                except NetworkError as error:
                    raise NetworkError(f"layer {layer.name!r}: {error}") from None
                values[layer.name] = answers[layer.name].steps.output
    return answers, Memory(
        memory.frames + len(next(iter(values.values()))),
        {name: answer.pending for name, answer in answers.items()},
        {name: answer.fed for name, answer in answers.items()},
        {name: answer.steps.last for name, answer in answers.items()},
        {
            name: answer.steps.output[-1:]
            for name, answer in answers.items()
            if isinstance(network.layer(name).synapse, Recurrent)
        },
    )


def _answer(setting: _Setting, layer: Layer, values: torch.Tensor, memory: Memory) -> _Answer:
    pending = memory.pending.get(layer.name, {})
    largest = _largest(setting.network, layer, values)
    late = int(setting.pipelined and has_synapse(layer))
    synapse = layer.synapse
    if isinstance(synapse, Recurrent):
        forward, pending = _activation(synapse.forward, values, largest, late, pending, setting.strict)
        return _fed_back(setting, layer, synapse.feedback, forward, pending, memory)
    assert isinstance(synapse, (Conv2d, Dense, Pool, Direct))
    activation, pending = _activation(synapse, values, largest, late, pending, setting.strict)
    steps = _neurons(setting, layer, activation, memory.states.get(layer.name, {}), memory.frames)
    return _Answer(activation, steps, pending)


def _fed_back(
    setting: _Setting, layer: Layer, feedback: Dense, forward: torch.Tensor, pending: Pending, memory: Memory
) -> _Answer:
    """A layer that reads its own spikes of the step before: one step after the other."""
    fed = memory.fed.get(layer.name, {})
    states = memory.states.get(layer.name, {})
    output = memory.outputs.get(layer.name, torch.zeros_like(forward[:1]))
    parts = []
    for step in range(len(forward)):
        back, fed = _activation(feedback, output, 1, 0, fed, setting.strict)
        activation = forward[step : step + 1] + back
        steps = _neurons(setting, layer, activation, states, memory.frames + step)
        states, output = steps.last, steps.output
        parts.append(_Answer(activation, steps, {}))
    return _joined(parts, pending, fed)


def _joined(parts: list[_Answer], pending: Pending, fed: Pending) -> _Answer:
    steps = Steps(
        torch.cat([part.steps.output for part in parts]),
        torch.cat([part.steps.membrane for part in parts]),
        {name: torch.cat([part.steps.states[name] for part in parts]) for name in parts[0].steps.states},
        parts[-1].steps.last,
    )
    return _Answer(torch.cat([part.activation for part in parts]), steps, pending, fed)


def _activation(
    synapse: Conv2d | Dense | Pool | Direct,
    values: torch.Tensor,
    largest: int,
    late: int,
    pending: Pending,
    strict: bool,
) -> tuple[torch.Tensor, Pending]:
    """Activations at each step, and those that arrive after the last; ``late`` is added to every delay."""
    if isinstance(synapse, Direct):
        if strict:
            strict_limits.check_sums(values)
        return values.to(torch.int32), {}
    parts = delayed(synapse) if isinstance(synapse, Dense) and synapse.delay.any() else {0: synapse}
    flat = values.flatten(0, 1)
    total, after = None, {}
    for delay, part in parts.items():
        sums = accumulate(part, flat, largest, strict_limits.check_sums if strict else None).unflatten(
            0, values.shape[:2]
        )
        if steps := delay + late:
            waiting = pending.get(steps, torch.zeros((steps, *sums.shape[1:]), dtype=torch.int32))
            everything = torch.cat([waiting, sums])
            sums, after[steps] = everything[: len(sums)], everything[len(sums) :]
        total = sums if total is None else total + sums
    assert total is not None
    return total, after


def _neurons(setting: _Setting, layer: Layer, activation: torch.Tensor, before: States, frames: int) -> Steps:
    shape = setting.network.shape(layer.name)
    neuron = layer.neuron
    assert neuron is not None
    watch = strict_limits.watch(frames) if setting.strict else None
    bias = torch.from_numpy(channel_bias(neuron, shape).astype(np.int32))[:, None, None]
    if isinstance(neuron, LIF):
        first = frames - setting.network.depth(layer.name) * setting.pipelined
        return dynamics.lif(neuron, bias, activation, before, first, watch)
    if isinstance(neuron, Accumulator):
        return dynamics.accumulator(bias, activation, watch)
    if isinstance(neuron, Sigma):
        steps = dynamics.sigma(activation, before)
    elif isinstance(neuron, Delta):
        steps = dynamics.delta(neuron, activation, before)
    else:
        steps = dynamics.sigma_delta(neuron, bias, activation, before)
    if watch is not None:
        strict_limits.watch_messages(watch, frames, neuron, steps)
    return steps


def _largest(network: Network, layer: Layer, values: torch.Tensor) -> int:
    """The largest magnitude that arrives: known for spikes, measured for integers."""
    known = network.range(layer.inputs[0])
    if known.binary:
        return 1
    return max(int(values.max()), -int(values.min()))  # the lowest int32 has no magnitude in 32 bits
