"""Networks compiled for many runs: weights bounded, packed and converted once, then any number of frames.

Layer by layer, as many steps at a time as the processor's cache holds. Nothing is recorded that was not asked for, and
what is recorded is written once, by the neurons themselves, channels last in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import LIF, Accumulator, Network, NetworkError
from netx.arrays import IntArray
from sim import strict_limits
from sim.frames import checked_batches, narrow_frames
from sim.kernels import Choice, ExactType, exact_arithmetic
from sim.layers import CompiledLayer, Memory, compile_layer
from sim.neurons import Room, state_names
from sim.recording import Recording
from sim.synapses import Setting

_NEURONS_TOGETHER = 1 << 21
"""Neurons of a layer that are computed at a time, so that what travels between layers stays in the cache."""


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


@dataclass
class _Run:
    """What a run remembers between its parts. steps: that have passed."""

    sequences: int
    layers: dict[str, Memory]
    steps: int = 0


@dataclass
class _Rooms:
    """Where each layer is written, all steps of it, and where the spikes or messages of those that do not write."""

    layers: dict[str, Room] = field(default_factory=dict)

    def part(self, name: str, now: slice) -> Room:
        """Room for the frames ``now`` of a layer."""
        return self.layers[name].cut(now) if name in self.layers else Room()


@dataclass(frozen=True)
class Compiled:
    """A network that is ready to run. Make it once by ``compile``, and hand it on.

    record: whether it records every spike, membrane voltage and message, or the outputs of the network alone: their
    spikes, messages or read-outs. batch: how many frames go through together. device: where torch computes the sums.
    """

    network: Network
    record: bool
    batch: int
    device: str
    types: Mapping[str, ExactType] | ExactType | None
    _layers: Mapping[str, CompiledLayer]
    _trace: bool = False

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What the sums of each layer are computed in, and why; of the last call where a measured rate decides.

        A layer with delays has one for each, a recurrent one those of its feedback after its own.
        """
        return tuple(choice for layer in self._layers.values() for choice in layer.choices)

    def run(self, frames: Mapping[str, npt.ArrayLike], watch: Callable[[str], None] | None = None) -> Recording:
        """What the network does with each frame, one a time step, from rest.

        frames: for each input integers within its range, shape (frame, channel, height, width); equal frame counts.
        watch: called with the name of each layer that is done.
        Raises NetworkError, naming input or layer, when frames do not fit or a sum leaves 32 bits.
        """
        values = narrow_frames(self.network, frames)
        return self._recordings(values, self._at_rest(1), watch)[0]

    def run_batch(self, frames: Mapping[str, npt.ArrayLike]) -> list[Recording]:
        """As ``run`` for several independent sequences: frames of shape (sequence, frame, channel, height, width)."""
        batches = checked_batches(self.network, frames)
        sequences = len(next(iter(batches.values())))
        flat = {name: array.swapaxes(0, 1).reshape(-1, *array.shape[2:]) for name, array in batches.items()}
        return self._recordings(flat, self._at_rest(sequences), None)

    def run_in_parts(self, frames: Mapping[str, npt.ArrayLike], size: int) -> Iterator[Recording]:
        """As ``run``, ``size`` frames at a time; the recordings joined are the same."""
        checked, run = narrow_frames(self.network, frames), self._at_rest(1)
        for start in range(0, len(next(iter(checked.values()))), size):
            now = {name: array[start : start + size] for name, array in checked.items()}
            yield self._recordings(now, run, None)[0]

    def traced(self, frames: Mapping[str, npt.ArrayLike]) -> dict[str, Trace]:
        """Every variable of every layer at every step, of a network compiled to be traced."""
        values, rooms = narrow_frames(self.network, frames), _Rooms()
        count = len(next(iter(values.values())))
        for layer in self.network.layers:
            if layer.neuron is None:
                continue
            last = _last(self.network, layer.name, count)
            sent = np.empty(last, np.uint8 if isinstance(layer.neuron, LIF) else np.int32)
            states = {name: np.empty(last, np.int32) for name in state_names(layer.neuron)}
            rooms.layers[layer.name] = Room(np.empty(last, np.int32), sent, np.empty(last, np.int32), states)
        self._advance(values, self._at_rest(1), rooms, None)
        traces = {}
        for name, room in rooms.layers.items():
            accumulates = isinstance(self.network.layer(name).neuron, Accumulator)
            output = room.membrane if accumulates else room.output
            assert output is not None
            assert room.activation is not None
            states = {state: _first(array, np.int32) for state, array in room.states.items()}
            traces[name] = Trace(_first(room.activation, np.int32), states, _first(output, np.int32))
        return traces

    def _at_rest(self, sequences: int) -> _Run:
        return _Run(sequences, {name: layer.rest(sequences) for name, layer in self._layers.items()})

    def _recordings(
        self, frames: Mapping[str, npt.NDArray], run: _Run, watch: Callable[[str], None] | None
    ) -> list[Recording]:
        """One for each sequence. frames: (step * sequence, ...)."""
        rooms = self._rooms(len(next(iter(frames.values()))))
        self._advance(frames, run, rooms, watch)
        spikes: dict[str, npt.NDArray] = {}
        membranes: dict[str, npt.NDArray] = {}
        messages: dict[str, npt.NDArray] = {}
        for name, room in rooms.layers.items():
            if room.membrane is not None:
                membranes[name] = _first(room.membrane)
            if room.output is not None:
                kind = spikes if isinstance(self.network.layer(name).neuron, LIF) else messages
                kind[name] = _first(room.output)

        def of(sequence: int, kind: Mapping[str, npt.NDArray]) -> dict[str, npt.NDArray]:
            return {name: array[sequence :: run.sequences] for name, array in kind.items()}

        return [
            Recording("engine", of(one, spikes), of(one, membranes), of(one, messages)) for one in range(run.sequences)
        ]

    def _rooms(self, count: int) -> _Rooms:
        rooms = _Rooms()
        for layer in self.network.layers:
            if layer.neuron is None or not (self.record or layer.name in self.network.outputs):
                continue
            last, reads_out = _last(self.network, layer.name, count), isinstance(layer.neuron, Accumulator)
            kind = np.uint8 if isinstance(layer.neuron, LIF) else np.int32
            rooms.layers[layer.name] = Room(
                np.empty(last, np.int32) if self.record or reads_out else None,
                None if reads_out else np.empty(last, kind),
            )
        return rooms

    def _advance(
        self, frames: Mapping[str, npt.NDArray], run: _Run, rooms: _Rooms, watch: Callable[[str], None] | None
    ) -> None:
        """Run further steps. frames: (step * sequence, channel, height, width)."""
        inputs = {
            source.name: _values(frames[source.name], source.range.low, source.range.high)
            for source in self.network.inputs
        }
        count, together = len(next(iter(inputs.values()))), max(1, self.batch // run.sequences) * run.sequences
        if self._trace:
            together = count
        with exact_arithmetic():
            for first in range(0, count, together):
                now = slice(first, first + together)
                self._part({name: array[now].to(self.device) for name, array in inputs.items()}, run, rooms, now, watch)
                run.steps += len(range(*now.indices(count))) // run.sequences

    def _part(
        self, values: dict[str, Tensor], run: _Run, rooms: _Rooms, now: slice, watch: Callable[[str], None] | None
    ) -> None:
        for position, layer in enumerate(self.network.layers):
            name, compiled = layer.name, self._layers[layer.name]
            room = rooms.part(name, now)
            sources = [values[source] for source in layer.inputs]
            try:
                values[name] = compiled(sources, run.layers[name], run.sequences, run.steps, room)
            except NetworkError as error:
                raise NetworkError(f"layer {name!r}: {error}") from None
            if room.output is not None and not compiled.recorded:
                torch.from_numpy(room.output).copy_(values[name].permute(0, 2, 3, 1))
            if watch is not None:
                watch(name)
            for unneeded in self._unneeded[position]:
                del values[unneeded]

    @cached_property
    def _unneeded(self) -> list[list[str]]:
        """After each layer the values that no later one reads, and that a layer up to it has read or made."""
        last = {}
        for position, layer in enumerate(self.network.layers):
            for name in (*layer.inputs, layer.name):
                last[name] = position
        found: list[list[str]] = [[] for _ in self.network.layers]
        for name, position in last.items():
            found[position].append(name)
        return found


def compile(
    network: Network,
    *,
    record: bool = False,
    batch: int = 1,
    types: Mapping[str, ExactType] | ExactType | None = None,
    device: str = "cpu",
    strict: bool = False,
) -> Compiled:
    """Make ``network`` ready for many runs.

    record: whether runs record every spike, membrane voltage and message, or just the network's outputs. batch: how
    many frames go through together (``frames_together`` is a good number for many). types: what sums are computed in,
    of some layers or of all; the fastest exact type otherwise. strict: refuse whatever only a simulator would let
    pass, see ``sim.strict_limits``.
    Raises NetworkError for a correlation without its template, where a type is not exact, and, where ``strict``, when
    the chip's registers cannot hold the network.
    """
    return _compiled(network, Setting(batch, device, strict), record, types)


def compile_to_trace(network: Network, *, pipelined: bool = False) -> Compiled:
    """As ``compile``, for ``Compiled.traced``. pipelined: every synapse answers a step late, as in Lava."""
    return _compiled(network, Setting(pipelined=pipelined), True, None, trace=True)


def frames_together(network: Network) -> int:
    """How many frames may go through ``network`` together before its values outgrow the processor's cache."""
    return max(1, _NEURONS_TOGETHER // max(network.shape(layer.name).size for layer in network.layers))


def _compiled(
    network: Network,
    setting: Setting,
    record: bool,
    types: Mapping[str, ExactType] | ExactType | None,
    trace: bool = False,
) -> Compiled:
    if torch.device(setting.device).type == "cuda" and not torch.cuda.is_available():
        raise NetworkError(
            f"{setting.device}: torch finds no such device on this machine; leave it out to run on the CPU"
        )
    if setting.strict:
        strict_limits.check(network)
    forced = {layer.name: types for layer in network.layers} if isinstance(types, str) else dict(types or {})
    for name in forced:
        network.layer(name)
    layers = {
        layer.name: compile_layer(network, layer, setting, record, forced.get(layer.name)) for layer in network.layers
    }
    return Compiled(network, record, setting.batch, setting.device, types, layers, trace)


def _values(frames: npt.NDArray, low: int, high: int) -> Tensor:
    """Frames (frame, channel, height, width) in the narrowest type, channels last in memory; no copy of what is so."""
    kind = np.uint8 if low >= 0 and high <= 255 else np.int8 if low >= -128 and high <= 127 else np.int32
    last = frames.transpose(0, 2, 3, 1)
    if frames.dtype != kind or not last.flags.c_contiguous:
        last = np.empty(last.shape, kind)
        for channel in range(frames.shape[1]):  # many times as fast as one copy in the other order
            last[..., channel] = frames[:, channel]
    return torch.from_numpy(last).permute(0, 3, 1, 2)


def _last(network: Network, name: str, count: int) -> tuple[int, int, int, int]:
    channel, height, width = network.shape(name)
    return count, height, width, channel


def _first(last: npt.NDArray, kind: npt.DTypeLike | None = None) -> npt.NDArray:
    """Channels first, as a view."""
    return last.transpose(0, 3, 1, 2).astype(kind or last.dtype, copy=False)
