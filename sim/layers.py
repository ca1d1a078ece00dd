"""The layers of a compiled network: from the values of their inputs to what they send.

Values are tensors (step * sequence, channel, height, width), channels last in memory: spikes in bytes, messages in
int32. A layer is made once; what it remembers of a run is a ``Memory`` of that run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import (
    LIF,
    WIRES,
    Correlation,
    Dense,
    Direct,
    Layer,
    Network,
    NetworkError,
    Pool,
    Recurrent,
    Wire,
    channel_bias,
    limits,
)
from netx.network import has_synapse
from sim import dynamics
from sim.kernels import ByRate, Choice, Convolution, ExactType, Kernel, as_convolution, choose, native, or_pool
from sim.kernels.events import with_silence
from sim.neurons import NativeLIF, Neurons, Room, channels_last, neurons
from sim.synapses import Setting, Synapses, weight_exponent
from sim.wires import wired

_FED_BACK = "fed back: the rows of its own spikes of the step before are added, step by step"


@dataclass
class Memory:
    """What a layer remembers of a run. states: of its neurons. earlier: inputs that still have an effect. sent: what
    it has sent in the steps before, the last one last, where it reads that itself."""

    states: dynamics.States = field(default_factory=dict)
    earlier: Tensor | None = None
    sent: Tensor | None = None


class CompiledLayer(Protocol):
    """One layer of a network, ready to run."""

    @property
    def recorded(self) -> bool:
        """Whether it writes into the room that it is given."""

    @property
    def choices(self) -> list[Choice]:
        """What its sums are computed in, and why."""

    def rest(self, sequences: int) -> Memory:
        """What it remembers before the first step."""

    def __call__(self, inputs: Sequence[Tensor], memory: Memory, sequences: int, first: int, room: Room) -> Tensor:
        """What it sends in further steps; ``memory`` is changed. first: the number of the first of these steps."""


def compile_layer(
    network: Network, layer: Layer, setting: Setting, recorded: bool, forced: ExactType | None
) -> CompiledLayer:
    """One layer of ``network``. recorded: whether more is asked of it than what it sends.

    Raises NetworkError, naming the layer, for a correlation without its template, and where a type is not exact.
    """
    synapse, neuron, source = layer.synapse, layer.neuron, layer.inputs[0]
    if isinstance(synapse, Correlation):
        raise NetworkError(f"layer {layer.name!r} is a correlation without its template: call Network.programmed first")
    if isinstance(synapse, WIRES):
        return _Wire(synapse)
    assert neuron is not None
    shape, arrives = network.shape(source), network.range(source)
    if not recorded and not setting.strict and not setting.pipelined and _forgets(layer):
        sums = as_convolution(synapse, shape, arrives, setting.batch)
        if _within_24_bits(layer, sums):
            return _StepFunction(*_spikes(layer, sums, forced, setting.device))
    late = int(setting.pipelined and has_synapse(layer))
    first = -network.depth(layer.name) * setting.pipelined
    forward = synapse.forward if isinstance(synapse, Recurrent) else synapse
    arriving = Synapses(layer.name, forward, shape, arrives, setting, forced, late)
    made = neurons(neuron, network.shape(layer.name), setting)
    if not isinstance(synapse, Recurrent):
        return _Layer(arriving, made, first)
    out, spikes = network.shape(layer.name), network.range(layer.name)
    if isinstance(made, NativeLIF):
        bound = as_convolution(synapse.feedback, out, spikes).bound
        if bound << max(synapse.feedback.weight_exponent, 0) <= limits.GRADED_MAX:
            return _NativeFeedback(arriving, made, first, synapse, Choice(layer.name, "events", bound, _FED_BACK))
    # Its steps follow one another: a frame at a time.
    back = Synapses(layer.name, synapse.feedback, out, spikes, replace(setting, batch=1), forced)
    return _Feedback(arriving, made, first, back)


@dataclass(frozen=True)
class _Wire:
    synapse: Wire
    recorded: bool = False

    @property
    def choices(self) -> list[Choice]:
        return []

    def rest(self, sequences: int) -> Memory:  # noqa: ARG002
        return Memory()

    def __call__(self, inputs: Sequence[Tensor], memory: Memory, sequences: int, first: int, room: Room) -> Tensor:  # noqa: ARG002
        return wired(self.synapse, inputs)


@dataclass(frozen=True)
class _StepFunction:
    """Neurons without memory whose sums stay within 24 bits: from values to spikes at once."""

    choice: Choice
    kernel: Kernel
    recorded: bool = False

    @property
    def choices(self) -> list[Choice]:
        return [self.kernel.choice if isinstance(self.kernel, ByRate) else self.choice]

    def rest(self, sequences: int) -> Memory:  # noqa: ARG002
        return Memory()

    def __call__(self, inputs: Sequence[Tensor], memory: Memory, sequences: int, first: int, room: Room) -> Tensor:  # noqa: ARG002
        return self.kernel(inputs[0])


@dataclass(frozen=True)
class _Layer:
    """Synapses and neurons of any kind. first: number of the neurons' first step, as netx.LIF counts them."""

    synapses: Synapses
    neurons: Neurons
    first: int
    recorded: bool = True

    @property
    def choices(self) -> list[Choice]:
        return self.synapses.choices

    def rest(self, sequences: int) -> Memory:
        return Memory(self.neurons.rest(sequences))

    def __call__(self, inputs: Sequence[Tensor], memory: Memory, sequences: int, first: int, room: Room) -> Tensor:
        activation, memory.earlier = self.synapses(inputs[0], memory.earlier, sequences)
        if room.activation is not None:
            room.activation[...] = channels_last(activation)
        sent, memory.states = self.neurons(activation, memory.states, self.first + first, room)
        return sent


@dataclass(frozen=True)
class _Feedback:
    """A layer that reads its own spikes of the step before: one step after the other, in torch."""

    synapses: Synapses
    neurons: Neurons
    first: int
    back: Synapses
    recorded: bool = True

    @property
    def choices(self) -> list[Choice]:
        return [*self.synapses.choices, *self.back.choices]

    def rest(self, sequences: int) -> Memory:
        return Memory(self.neurons.rest(sequences))

    def __call__(self, inputs: Sequence[Tensor], memory: Memory, sequences: int, first: int, room: Room) -> Tensor:
        forward, memory.earlier = self.synapses(inputs[0], memory.earlier, sequences)
        before, sent = memory.sent, []
        last = torch.zeros_like(forward[:sequences], dtype=torch.uint8)
        if before is not None:
            last, before = before[-sequences:], before[:-sequences]
        for step in range(len(forward) // sequences):
            now = slice(step * sequences, (step + 1) * sequences)
            fed, before = self.back(last, before, sequences)
            activation = forward[now].to(torch.int32) + fed.to(torch.int32)
            if room.activation is not None:
                room.activation[now] = channels_last(activation)
            last, memory.states = self.neurons(activation, memory.states, self.first + first + step, room.cut(now))
            sent.append(last)
        memory.sent = last if before is None else torch.cat([before, last])
        return torch.cat(sent)


class _NativeFeedback:
    """The same in one compiled kernel, which adds the rows of the spikes fed back."""

    recorded = True

    def __init__(self, synapses: Synapses, made: NativeLIF, first: int, synapse: Recurrent, back: Choice) -> None:
        self._synapses, self._neurons, self._first, self._back = synapses, made, first, back
        feedback = synapse.feedback
        delays = np.broadcast_to(feedback.delay, feedback.weight.shape)
        each = np.unique(delays)
        weight = feedback.effective_weight
        packed = [np.where(delays == delay, weight, 0).T.astype(np.int16) for delay in each]
        self._weight, self._delays = with_silence(np.array(packed)), each.astype(np.int64)
        self._exponent, self._size = feedback.weight_exponent, len(weight)
        self._earlier = int(each.max()) + 1

    @property
    def choices(self) -> list[Choice]:
        return [*self._synapses.choices, self._back]

    def rest(self, sequences: int) -> Memory:
        silence = torch.zeros((self._earlier * sequences, self._size, 1, 1), dtype=torch.uint8)
        return Memory(self._neurons.rest(sequences), sent=silence)

    def __call__(self, inputs: Sequence[Tensor], memory: Memory, sequences: int, first: int, room: Room) -> Tensor:
        from sim.kernels import native_kernels

        forward, memory.earlier = self._synapses(inputs[0], memory.earlier, sequences)
        # A copy where it is int32 already: what is fed back is added in place.
        activation = _by_step(channels_last(forward.to(torch.int32, copy=True)), sequences)
        assert memory.sent is not None
        steps = len(activation)
        spikes = np.empty((self._earlier + steps, sequences, self._size), np.uint8)
        spikes[: self._earlier] = _by_step(channels_last(memory.sent), sequences)
        u, v, wait = (memory.states[name].numpy().reshape(sequences, -1) for name in ("u", "v", "refractory"))
        bias = memory.states["bias"].numpy()[: self._size]
        membrane = np.empty((1, sequences, self._size), np.int32)
        if room.membrane is not None:
            membrane = _by_step(room.membrane, sequences)
        states = np.empty((2 if room.states else 0, steps, sequences, self._size), np.int32)
        numbers = self._neurons.numbers(self._first + first)
        native.spread(
            lambda low, high: native_kernels.recurrent(
                activation,
                self._weight,
                self._delays,
                self._exponent,
                bias,
                u,
                v,
                wait,
                membrane,
                spikes,
                states,
                numbers,
                low,
                high,
            ),
            sequences,
            steps * self._size,
        )
        for array, seen in zip((room.activation, *room.states.values()), (activation, *states), strict=False):
            if array is not None:
                array[...] = seen.reshape(array.shape)
        if room.output is not None:
            room.output[...] = spikes[self._earlier :].reshape(room.output.shape)
        memory.sent = torch.from_numpy(spikes[-self._earlier :].copy()).reshape(-1, self._size, 1, 1)
        return torch.from_numpy(spikes[self._earlier :]).reshape(-1, self._size, 1, 1)


def _by_step(values: npt.NDArray, sequences: int) -> npt.NDArray:
    return values.reshape(-1, sequences, values.shape[-1])


def _forgets(layer: Layer) -> bool:
    """Whether spikes depend on the inputs of their own step alone."""
    delayed = isinstance(layer.synapse, Dense) and bool(layer.synapse.delay.any())
    memoryless = isinstance(layer.neuron, LIF) and layer.neuron.memoryless
    return memoryless and not delayed and not isinstance(layer.synapse, Recurrent)


def _within_24_bits(layer: Layer, sums: Convolution) -> bool:
    """Whether neither current nor voltage can leave its range, so that a neuron is the step function it stands for."""
    whole, _ = _bias(layer, sums)
    exponent = weight_exponent(layer.synapse) if not isinstance(layer.synapse, Direct) else 0  # type: ignore[arg-type]
    reach = sums.bound << exponent if exponent > 0 else -(-sums.bound >> -exponent)
    return reach + int(np.abs(whole).max()) + 1 <= limits.ACTIVATION_MAX


def _spikes(layer: Layer, sums: Convolution, forced: ExactType | None, device: str) -> tuple[Choice, Kernel]:
    """Spikes, uint8, without membranes in between."""
    least, synapse = _least_sum_that_fires(layer, sums), layer.synapse
    if isinstance(synapse, Pool) and sums.values.binary and 0 < least.min() <= least.max() <= synapse.weight:
        why = "one spike suffices: the OR of a window, without sums"
        return Choice(layer.name, "int8", sums.bound, why), or_pool(synapse)
    if (copies := _copies(sums)) > 1:
        return _read_against_several(layer.name, sums, copies, least, forced, device)
    offset = 1 - least.clip(-sums.bound, sums.bound + 1)
    return choose(layer.name, sums, offset=offset, spikes=True, forced=forced, device=device)


def _copies(sums: Convolution) -> int:
    """How many channels in a row have the same weights on the same input channel, as a correlation's copies have."""
    if sums.geometry.groups == 1 or sums.weight.shape[1] > 1:
        return 1
    copies = sums.geometry.channels // sums.geometry.groups
    together = sums.weight.reshape(sums.geometry.groups, copies, -1)
    return copies if (together == together[:, :1]).all() else 1


def _read_against_several(
    name: str, sums: Convolution, copies: int, least: npt.NDArray[np.int64], forced: ExactType | None, device: str
) -> tuple[Choice, Kernel]:
    """Spikes of channels whose copies differ in their thresholds alone: each sum is computed once."""
    once = Convolution(
        np.ascontiguousarray(sums.weight[::copies]),
        sums.geometry._replace(channels=sums.geometry.groups),
        sums.values,
    )
    choice, kernel = choose(name, once, forced=forced, device=device)
    # No sum reaches past the bound, so that the clipped thresholds are exact in the type of the sums.
    thresholds = torch.from_numpy(least.clip(-sums.bound, sums.bound + 1).reshape(-1, copies).T.copy())

    def compare(values: Tensor) -> Tensor:
        last = kernel(values).permute(0, 2, 3, 1)
        fired = torch.empty((*last.shape, copies), dtype=torch.bool, device=last.device)
        for copy, threshold in enumerate(thresholds.to(last)):
            torch.ge(last, threshold, out=fired[..., copy])
        return fired.flatten(3).view(torch.uint8).permute(0, 3, 1, 2)

    return choice, compare


def _least_sum_that_fires(layer: Layer, sums: Convolution) -> npt.NDArray[np.int64]:
    """The smallest sum, before the weight exponent, at which each channel spikes: shape (channel,).

    A neuron spikes where activation + whole + rest / 64 > threshold, thus from threshold + 1 - whole on, or one less
    where there is a rest. Of the exponent, ``shift(sum, e) >= t`` is ``sum >= ceil(t / 2**e)``.
    """
    assert isinstance(layer.neuron, LIF)
    whole, rest = _bias(layer, sums)
    exponent = getattr(layer.synapse, "weight_exponent", 0)
    least = layer.neuron.threshold + 1 - whole - (rest > 0)
    return -(-least >> exponent) if exponent >= 0 else least << -exponent


def _bias(layer: Layer, sums: Convolution) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The bias of each channel: whole weight units, rounded down, and the rest in 1/64 unit."""
    assert layer.neuron is not None
    bias = channel_bias(layer.neuron, sums.geometry.output).astype(np.int64)
    return bias >> limits.STATE_SHIFT, bias & ((1 << limits.STATE_SHIFT) - 1)
