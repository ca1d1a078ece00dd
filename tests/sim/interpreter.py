"""The reference that the compiled engine is held against: layer by layer, in torch, nothing packed and nothing chosen.

It converts all weights at every call, gives a layer the time it takes, and bounds sums by the values that arrive.
Neurons are those of ``sim.dynamics``, which tests of their own hold against formulas and Lava.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Delta,
    Dense,
    Direct,
    Flatten,
    NetworkError,
    Pool,
    Recurrent,
    Shape,
    Sigma,
    Upsample,
    channel_bias,
    limits,
)
from netx.network import has_synapse
from sim import dynamics
from sim.compiled import Trace
from sim.dynamics import Steps
from sim.frames import checked_batches, checked_frames
from sim.kernels import exact_arithmetic
from sim.recording import Recording

_FLOAT32_EXACT, _FLOAT64_EXACT = 1 << 24, 1 << 53
_INT32_MAX = limits.GRADED_MAX


@dataclass(frozen=True)
class Memory:
    """What a network remembers between two steps. frames: steps that have passed. The rest is by layer.

    pending: for each delay the activations that have not arrived yet, shape (delay, batch, ...); fed: the same of what
    a layer feeds back to itself. states: of the neurons. outputs: the last ones of layers that feed back.
    """

    frames: int = 0
    pending: Mapping[str, dict] = field(default_factory=dict)
    fed: Mapping[str, dict] = field(default_factory=dict)
    states: Mapping[str, dict] = field(default_factory=dict)
    outputs: Mapping[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class _Answer:
    """One layer's part of a run: activations and what the neurons made of them, and what it then remembers."""

    activation: torch.Tensor
    steps: Steps
    pending: dict
    fed: dict = field(default_factory=dict)


def run(network, frames):
    """As ``sim.engine.run``."""
    values = {name: array[:, None] for name, array in checked_frames(network, frames).items()}
    return _recordings(_advanced(network, False, values, Memory())[0])[0]


def run_batch(network, frames):
    """As ``sim.engine.run_batch``."""
    values = {name: array.swapaxes(0, 1) for name, array in checked_batches(network, frames).items()}
    return _recordings(_advanced(network, False, values, Memory())[0])


def trace(network, frames, *, pipelined=False):
    """As ``run``, and every variable of every layer at every step.

    pipelined: every synapse answers a step late, as in Lava. A layer of depth d (``Network.depth``) then answers frame
    t at step t + d and has seen d steps without input before the first; append as many frames of zeros to see it all.
    """
    values = {name: array[:, None] for name, array in checked_frames(network, frames).items()}
    answers, _ = _advanced(network, pipelined, values, Memory())
    return {
        name: Trace(
            _numpy(answer.activation),
            {state: _numpy(steps) for state, steps in answer.steps.states.items()},
            _numpy(answer.steps.output),
        )
        for name, answer in answers.items()
    }


def _numpy(values):
    return values[:, 0].to(torch.int32).numpy()


def _recordings(answers):
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


def _advanced(network, pipelined, frames, memory):
    """What every layer with neurons answers to further frames, (step, batch, channel, height, width), and remembers."""
    if network.correlations():
        name = network.correlations()[0].name
        raise NetworkError(f"layer {name!r} is a correlation without its template: call Network.programmed first")
    values = {name: torch.from_numpy(array.copy()) for name, array in frames.items()}
    answers: dict[str, _Answer] = {}
    with exact_arithmetic():
        for layer in network.layers:
            inputs = [values[source] for source in layer.inputs]
            if isinstance(layer.synapse, Flatten):
                values[layer.name] = inputs[0].flatten(2)[..., None, None]
            elif isinstance(layer.synapse, Concat):
                values[layer.name] = torch.cat(inputs, dim=2)
            elif isinstance(layer.synapse, Upsample):
                values[layer.name] = _upsampled(layer.synapse, inputs[0])
            else:
                try:
                    answers[layer.name] = _answer(network, pipelined, layer, inputs[0], memory)
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


def _upsampled(wire, values):
    """Place by place."""
    height, width = wire.output_shape((Shape(*values.shape[2:]),))[1:]
    result = torch.zeros((*values.shape[:3], height, width), dtype=values.dtype)
    for row in range(height):
        for column in range(width):
            (y, down), (x, right) = divmod(row, wire.factor[0]), divmod(column, wire.factor[1])
            if not wire.zeros or down == right == 0:
                result[..., row, column] = values[..., y, x]
    return result


def _answer(network, pipelined, layer, values, memory):
    pending = memory.pending.get(layer.name, {})
    largest = _largest(network, layer, values)
    late = int(pipelined and has_synapse(layer))
    synapse = layer.synapse
    if isinstance(synapse, Recurrent):
        forward, pending = _activation(synapse.forward, values, largest, late, pending)
        return _fed_back(network, pipelined, layer, synapse.feedback, forward, pending, memory)
    assert isinstance(synapse, (Conv2d, Dense, Pool, Direct))
    activation, pending = _activation(synapse, values, largest, late, pending)
    steps = _neurons(network, pipelined, layer, activation, memory.states.get(layer.name, {}), memory.frames)
    return _Answer(activation, steps, pending)


def _fed_back(network, pipelined, layer, feedback, forward, pending, memory):
    """A layer that reads its own spikes of the step before: one step after the other."""
    fed = memory.fed.get(layer.name, {})
    states = memory.states.get(layer.name, {})
    output = memory.outputs.get(layer.name, torch.zeros_like(forward[:1]))
    parts = []
    for step in range(len(forward)):
        back, fed = _activation(feedback, output, 1, 0, fed)
        activation = forward[step : step + 1] + back
        steps = _neurons(network, pipelined, layer, activation, states, memory.frames + step)
        states, output = steps.last, steps.output
        parts.append(_Answer(activation, steps, {}))
    return _joined(parts, pending, fed)


def _joined(parts, pending, fed):
    steps = Steps(
        torch.cat([part.steps.output for part in parts]),
        torch.cat([part.steps.membrane for part in parts]),
        {name: torch.cat([part.steps.states[name] for part in parts]) for name in parts[0].steps.states},
        parts[-1].steps.last,
    )
    return _Answer(torch.cat([part.activation for part in parts]), steps, pending, fed)


def _activation(synapse, values, largest, late, pending):
    """Activations at each step, and those that arrive after the last; ``late`` is added to every delay."""
    if isinstance(synapse, Direct):
        return values.to(torch.int32), {}
    parts = delayed(synapse) if isinstance(synapse, Dense) and synapse.delay.any() else {0: synapse}
    flat = values.flatten(0, 1)
    total, after = None, {}
    for delay, part in parts.items():
        sums = accumulate(part, flat, largest).unflatten(0, values.shape[:2])
        if steps := delay + late:
            waiting = pending.get(steps, torch.zeros((steps, *sums.shape[1:]), dtype=torch.int32))
            everything = torch.cat([waiting, sums])
            sums, after[steps] = everything[: len(sums)], everything[len(sums) :]
        total = sums if total is None else total + sums
    assert total is not None
    return total, after


def _neurons(network, pipelined, layer, activation, before, frames):
    shape = network.shape(layer.name)
    neuron = layer.neuron
    assert neuron is not None
    bias = torch.from_numpy(channel_bias(neuron, shape).astype(np.int32))[:, None, None]
    if isinstance(neuron, LIF):
        first = frames - network.depth(layer.name) * pipelined
        return dynamics.lif(neuron, bias, activation, before, first, None)
    if isinstance(neuron, Accumulator):
        return dynamics.accumulator(bias, activation, None)
    if isinstance(neuron, Sigma):
        return dynamics.sigma(activation, before)
    if isinstance(neuron, Delta):
        return dynamics.delta(neuron, activation, before)
    return dynamics.sigma_delta(neuron, bias, activation, before)


def _largest(network, layer, values):
    """The largest magnitude that arrives: known for spikes, measured for integers."""
    known = network.range(layer.inputs[0])
    if known.binary:
        return 1
    return max(int(values.max()), -int(values.min()))  # the lowest int32 has no magnitude in 32 bits


def accumulate(synapse, values, largest):
    """Activation in weight units of every frame: int32, shape (frame, channel, height, width).

    values: integers of any type, shape (frame, channel, height, width), none above ``largest`` in magnitude.
    Sums of Conv2d and Pool wrap at 24 bits as in Lava's Conv (lava-nc 0.10.0 ``proc/conv/utils.py``,
    ``signed_clamp``); a Dense does not wrap. Raises NetworkError where a sum may leave 53 bits or does leave 32, which
    Lava would lose in ways of its own.
    """
    exponent = 0 if isinstance(synapse, Pool) else synapse.weight_exponent
    bound = largest * _largest_gain(synapse)
    total = _sum(synapse, values, _exact_type(bound))
    if bound << max(exponent, 0) > _INT32_MAX:
        total = total.to(torch.int64) << max(exponent, 0)
        _check_32_bits(total)
    else:
        total = total.to(torch.int32) << max(exponent, 0)
    total = total >> max(-exponent, 0)
    if not isinstance(synapse, Dense) and bound << max(exponent, 0) >= 1 << (limits.STATE_BITS - 1):
        half = 1 << (limits.STATE_BITS - 1)
        total = torch.remainder(total.to(torch.int64) + half, 2 * half) - half
    return total.to(torch.int32)


def delayed(synapse):
    """The synapses of each delay that occurs, as Dense layers without delay whose other weights are zero."""
    delays = np.broadcast_to(synapse.delay, synapse.weight.shape)
    weight = synapse.effective_weight
    return {
        int(delay): Dense(np.where(delays == delay, weight, 0), synapse.weight_exponent) for delay in np.unique(delays)
    }


def _sum(synapse, values, dtype):
    values = values.to(dtype)
    if isinstance(synapse, Conv2d):
        weight = _tensor(synapse.weight, dtype)
        return F.conv2d(values, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
    if isinstance(synapse, Dense):
        return (values.flatten(1) @ _tensor(synapse.effective_weight, dtype).T)[:, :, None, None]
    # Padded before, as torch's pooling takes no more padding than half a window.
    down, right = synapse.padding
    padded = F.pad(values, (right, right, down, down)) if down or right else values
    pooled = F.avg_pool2d(padded, synapse.kernel, synapse.stride, divisor_override=1)
    return pooled * synapse.weight


def _exact_type(bound):
    """The narrowest type in which no partial sum can be rounded when none exceeds ``bound``."""
    if bound < _FLOAT32_EXACT:
        return torch.float32
    if bound < _FLOAT64_EXACT:
        return torch.float64
    raise NetworkError(f"its sums may reach {bound}, beyond the 53 bits in which they are exact: narrow its input")


def _largest_gain(synapse):
    """The largest sum of weight magnitudes over the neurons."""
    if isinstance(synapse, Pool):
        return synapse.kernel[0] * synapse.kernel[1] * synapse.weight
    # Truncated, a negative weight may be larger than it was.
    weight = synapse.effective_weight if isinstance(synapse, Dense) else synapse.weight
    magnitudes = np.abs(weight.reshape(len(weight), -1).astype(np.int64))
    return int(magnitudes.sum(axis=1).max())


def _check_32_bits(total):
    worst = int(total.abs().max())
    if worst > _INT32_MAX:
        raise NetworkError(f"a sum of {worst} leaves 32 bits, which Lava would lose: narrow its input or weights")


def _tensor(weight, dtype):
    return torch.from_numpy(weight.astype(np.int32)).to(dtype)
