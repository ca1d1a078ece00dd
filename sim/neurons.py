"""The neurons of a layer over many steps: compiled where numba is installed, in torch elsewhere, with the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import LIF, Accumulator, Delta, Neuron, Shape, Sigma, SigmaDelta, channel_bias, limits
from sim import dynamics, strict_limits
from sim.kernels import native
from sim.synapses import Setting

Array: TypeAlias = npt.NDArray[np.int32]


@dataclass
class Room:
    """Where a layer's part of a run is written: (step * sequence, height, width, channel); None is not wanted.

    output: spikes, uint8, or messages, int32. states: of ``State``'s names, by name.
    """

    membrane: Array | None = None
    output: npt.NDArray | None = None
    activation: Array | None = None
    states: Mapping[str, Array] = field(default_factory=dict)

    def cut(self, now: slice) -> Room:
        """Room for some of the frames."""
        membrane, output, activation = (
            None if array is None else array[now] for array in (self.membrane, self.output, self.activation)
        )
        return Room(membrane, output, activation, {name: array[now] for name, array in self.states.items()})


class Neurons(Protocol):
    """What becomes of activations (step * sequence, channel, height, width) in a layer that remembers its states."""

    def rest(self, sequences: int) -> dynamics.States:
        """States before the first step."""

    def __call__(
        self, activation: Tensor, states: dynamics.States, first: int, room: Room
    ) -> tuple[Tensor, dynamics.States]:
        """What is sent, and the states after the last step. first: the number of the first step; see netx.LIF."""


def state_names(neuron: Neuron) -> tuple[str, ...]:
    """Lava's names of a neuron's variables."""
    if isinstance(neuron, (LIF, Accumulator)):
        return "u", "v"
    return {Sigma: ("sigma",), Delta: ("act", "residue"), SigmaDelta: ("sigma", "act", "residue")}[type(neuron)]


def neurons(neuron: Neuron, shape: Shape, setting: Setting) -> Neurons:
    """The neurons of a layer of this shape."""
    if not setting.native:
        return _InTorch(neuron, shape, setting)
    return NativeLIF(neuron, shape) if isinstance(neuron, (LIF, Accumulator)) else _NativeSigmaDelta(neuron, shape)


class NativeLIF:
    """LIF neurons, and read-outs, which are LIF neurons whose threshold is never reached."""

    def __init__(self, neuron: LIF | Accumulator, shape: Shape) -> None:
        self._shape, self._sends = shape, isinstance(neuron, LIF)
        self._bias = _neuron_bias(neuron, shape)
        lif = neuron if isinstance(neuron, LIF) else LIF(limits.READOUT_THRESHOLD)
        keep = [0, 0] if lif.memoryless else [limits.DECAY_ONE - d for d in (lif.current_decay, lif.voltage_decay)]
        interval = 0 if lif.memoryless else lif.reset_interval or 0
        threshold = lif.threshold << limits.STATE_SHIFT
        self._numbers = np.array([threshold, *keep, lif.refractory, interval, lif.reset_offset, 0], np.int64)

    def rest(self, sequences: int) -> dynamics.States:
        """Three states of all neurons, and the bias beside them."""
        size = self._shape.size * sequences
        states = {name: torch.zeros(size, dtype=torch.int32) for name in ("u", "v", "refractory")}
        return states | {"bias": torch.from_numpy(np.tile(self._bias, sequences))}

    def numbers(self, first: int) -> npt.NDArray[np.int64]:
        """What the kernels want to know of the neuron."""
        numbers = self._numbers.copy()
        numbers[6] = first
        return numbers

    def __call__(
        self, activation: Tensor, states: dynamics.States, first: int, room: Room
    ) -> tuple[Tensor, dynamics.States]:
        from sim.kernels import native_kernels

        u, v, wait, bias = (states[name].numpy() for name in ("u", "v", "refractory", "bias"))
        drive = channels_last(activation).reshape(-1, len(u))
        steps = len(drive)
        keep = room.membrane is not None or not self._sends
        membrane = room.membrane if room.membrane is not None else np.empty((steps if keep else 1, len(u)), np.int32)
        spikes = room.output if room.output is not None and self._sends else np.empty((steps, len(u)), np.uint8)
        seen = np.empty((2 if room.states else 0, steps, len(u)), np.int32)
        membrane, flat = membrane.reshape(-1, len(u)), spikes.reshape(steps, -1)
        numbers, lif = self.numbers(first), native_kernels.lif_by_type[drive.dtype.name]
        native.spread(
            lambda low, high: lif(drive, bias, u, v, wait, membrane, flat, seen, numbers, low, high),
            len(u),
            steps * 4,
        )
        _write_states(room, seen)
        sent = flat if self._sends else membrane
        return _as_values(sent, self._shape), states


class _NativeSigmaDelta:
    def __init__(self, neuron: Delta | SigmaDelta | Sigma, shape: Shape) -> None:
        self._shape, self._names = shape, state_names(neuron)
        self._bias = _neuron_bias(neuron, shape)
        if isinstance(neuron, Sigma):
            self._numbers = np.array([1, 0, 0, 0, 0, 0], np.int64)
            return
        scale, sums = neuron.spike_exponent + neuron.state_exponent, isinstance(neuron, SigmaDelta)
        relu = isinstance(neuron, SigmaDelta) and neuron.relu
        self._numbers = np.array([sums, 1, neuron.threshold << scale, scale, neuron.state_exponent, relu], np.int64)

    def rest(self, sequences: int) -> dynamics.States:
        """Three states of all neurons, and the bias beside them."""
        size = self._shape.size * sequences
        states = {name: torch.zeros(size, dtype=torch.int32) for name in ("sigma", "act", "residue")}
        return states | {"bias": torch.from_numpy(np.tile(self._bias, sequences))}

    def __call__(
        self,
        activation: Tensor,
        states: dynamics.States,
        first: int,  # noqa: ARG002
        room: Room,
    ) -> tuple[Tensor, dynamics.States]:
        from sim.kernels import native_kernels

        sigma, act, residue, bias = (states[name].numpy() for name in ("sigma", "act", "residue", "bias"))
        drive = channels_last(activation.to(torch.int32)).reshape(-1, len(act))
        steps = len(drive)
        membrane = room.membrane if room.membrane is not None else np.empty((1, len(act)), np.int32)
        sent = room.output if room.output is not None else np.empty((steps, len(act)), np.int32)
        seen = np.empty((3 if room.states else 0, steps, len(act)), np.int32)
        membrane, sent = membrane.reshape(-1, len(act)), sent.reshape(steps, -1)
        native.spread(
            lambda low, high: native_kernels.sigma_delta(
                drive, bias, sigma, act, residue, membrane, sent, seen, self._numbers, low, high
            ),
            len(act),
            steps * 4,
        )
        _write_states(
            room, seen[[("sigma", "act", "residue").index(name) for name in self._names]] if room.states else seen
        )
        return _as_values(sent, self._shape), states


class _InTorch:
    """Any neurons, on any device; strict where values are watched."""

    def __init__(self, neuron: Neuron, shape: Shape, setting: Setting) -> None:
        self._neuron, self._shape, self._strict = neuron, shape, setting.strict
        bias = channel_bias(neuron, shape).astype(np.int32)
        self._bias = torch.from_numpy(bias)[:, None, None].to(setting.device)
        self._device = setting.device

    def rest(self, sequences: int) -> dynamics.States:
        """At rest is what has no states yet, but for how many sequences there are."""
        return {"sequences": torch.tensor(sequences)}

    def __call__(
        self, activation: Tensor, states: dynamics.States, first: int, room: Room
    ) -> tuple[Tensor, dynamics.States]:
        sequences = states["sequences"]
        steps = self._steps(activation.to(torch.int32).unflatten(0, (-1, int(sequences))), states, first)
        if room.membrane is not None:
            _write(room.membrane, steps.membrane)
        if room.output is not None:
            _write(room.output, steps.output)
        for name, array in room.states.items():
            _write(array, steps.states[name])
        return steps.output.flatten(0, 1), {**steps.last, "sequences": sequences}

    def _steps(self, activation: Tensor, states: dynamics.States, first: int) -> dynamics.Steps:
        neuron, watch = self._neuron, strict_limits.watch(first) if self._strict else None
        if isinstance(neuron, LIF):
            return dynamics.lif(neuron, self._bias, activation, states, first, watch)
        if isinstance(neuron, Accumulator):
            return dynamics.accumulator(self._bias, activation, watch)
        if isinstance(neuron, Sigma):
            steps = dynamics.sigma(activation, states)
        elif isinstance(neuron, Delta):
            steps = dynamics.delta(neuron, activation, states)
        else:
            steps = dynamics.sigma_delta(neuron, self._bias, activation, states)
        if watch is not None:
            strict_limits.watch_messages(watch, first, neuron, steps)
        return steps


def channels_last(values: Tensor) -> npt.NDArray:
    """(frame, height, width, channel), without a copy where memory is in that order."""
    return values.permute(0, 2, 3, 1).contiguous().numpy()


def _as_values(rows: npt.NDArray, shape: Shape) -> Tensor:
    last = rows.reshape(-1, shape.height, shape.width, shape.channel)
    return torch.from_numpy(last).permute(0, 3, 1, 2)


def _neuron_bias(neuron: Neuron, shape: Shape) -> Array:
    """Of each neuron, channels last."""
    return np.tile(channel_bias(neuron, shape).astype(np.int32), shape.height * shape.width)


def _write_states(room: Room, seen: Array) -> None:
    for array, values in zip(room.states.values(), seen, strict=False):
        array[...] = values.reshape(array.shape)


def _write(to: npt.NDArray, values: Tensor) -> None:
    torch.from_numpy(to).copy_(values.flatten(0, 1).permute(0, 2, 3, 1))
