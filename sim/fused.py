"""Networks compiled for many runs: convolution, threshold and OR pooling of a whole network without copies between.

Weights are packed once. Spikes stay 8-bit integers with channels last, which is how the next kernel reads them, and
nothing is recorded that was not asked for. Every sum is exact by the proof of ``sim.kernels``; the neurons are so by
that of ``netx.prove_headroom``, within which they neither wrap nor saturate. Those without memory are the step function
``activation + bias > threshold``, the leaky ones are in ``sim.leaky``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import LIF, Accumulator, Correlation, Dense, Flatten, Layer, Network, NetworkError, Recurrent
from netx.headroom import headroom, prove_headroom
from sim import fused_layers
from sim.frames import narrow_frames
from sim.kernels import Choice, ExactType, Kernel, as_convolution, exact_arithmetic
from sim.recording import Recording

_NEURONS_TOGETHER = 1 << 20
"""Neurons of a layer that are computed at a time, so that what travels between layers stays in the cache."""

Values: TypeAlias = dict[str, Tensor]
Compute: TypeAlias = Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class _Step:
    """One layer. compute: its output from its inputs, or what ``fire`` makes spikes of: membrane voltages where they
    are recorded, drives of leaky neurons. fire: makes that kernel anew for every run, because it may remember.
    unneeded: whose values no later layer reads."""

    layer: Layer
    compute: Compute
    fire: Callable[[], Kernel] | None
    unneeded: tuple[str, ...]


@dataclass(frozen=True)
class Runner:
    """A compiled network. choices: the type that the sums of each layer are computed in, and why."""

    network: Network
    choices: tuple[Choice, ...]
    record: bool
    batch: int
    device: str
    _steps: tuple[_Step, ...]

    def run(self, frames: Mapping[str, npt.ArrayLike], watch: Callable[[str], None] | None = None) -> Recording:
        """What the network does with each frame, the same bits as ``sim.engine.run``.

        frames: for each input integers within its range, shape (frame, channel, height, width); equal frame counts.
        watch: called with the name of each layer that is done.
        A runner compiled without ``record`` leaves out all but the spikes, or read-outs, of the network's outputs.
        Raises NetworkError when frames do not fit.
        """
        values = {name: torch.from_numpy(array) for name, array in narrow_frames(self.network, frames).items()}
        count = len(next(iter(values.values())))
        result = self._empty(count)
        fire = {step.layer.name: step.fire() for step in self._steps if step.fire is not None}
        with exact_arithmetic():
            for first in range(0, count, self.batch):
                now = slice(first, first + self.batch)
                part = {name: array[now].to(self.device) for name, array in values.items()}
                for name, computed, output in self._layers(part, fire):
                    if name in result.membranes:
                        torch.from_numpy(result.membranes[name][now]).copy_(computed)
                    if name in result.spikes:
                        torch.from_numpy(result.spikes[name][now]).copy_(output)
                    if watch is not None:
                        watch(name)
        return result

    def _layers(self, values: Values, fire: Mapping[str, Kernel]) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Run one layer after the other: its name, what it has computed, and what it sends."""
        for step in self._steps:
            name = step.layer.name
            computed = step.compute([values[source] for source in step.layer.inputs])
            values[name] = fire[name](computed) if name in fire else computed
            yield name, computed, values[name]
            for unneeded in step.unneeded:
                del values[unneeded]

    def _empty(self, frames: int) -> Recording:
        """Room for what is recorded."""
        wanted = [layer for layer in self.network.layers if self.record or layer.name in self.network.outputs]
        shapes = {layer.name: (frames, *self.network.shape(layer.name)) for layer in wanted}
        return Recording(
            "engine",
            {la.name: np.empty(shapes[la.name], np.uint8) for la in wanted if isinstance(la.neuron, LIF)},
            {
                la.name: np.empty(shapes[la.name], np.int32)
                for la in wanted
                if isinstance(la.neuron, Accumulator) or (self.record and isinstance(la.neuron, LIF))
            },
        )


def compile(
    network: Network,
    *,
    record: bool = False,
    batch: int = 1,
    types: Mapping[str, ExactType] | ExactType | None = None,
    device: str = "cpu",
) -> Runner:
    """Pack ``network`` for many runs.

    record: whether runs record every spike and membrane voltage, or just the network's outputs. batch: how many frames
    go through together. types: what sums are computed in, of some layers or of all; the fastest exact type otherwise.
    Raises NetworkError for what ``sim.engine`` runs and this does not (recordings of a network that remembers, delays,
    feedback, refractory periods, sigma-delta layers), for a correlation without its template, and where a type is not
    exact; HeadroomError where a neuron might wrap or saturate.
    """
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise NetworkError(f"{device}: torch finds no such device on this machine; leave it out to run on the CPU")
    for layer in network.layers:
        if why := _objection(layer, record):
            raise NetworkError(f"layer {layer.name!r} {why}")
    bounds = {bound.layer: bound.worst_case for bound in prove_headroom(network)}
    forced = {layer.name: types for layer in network.layers} if isinstance(types, str) else dict(types or {})
    for name in forced:
        network.layer(name)
    compiled = [
        _compiled(network, position, bounds, record, batch, forced.get(layer.name), device)
        for position, layer in enumerate(network.layers)
    ]
    choices = tuple(choice for choice, _ in compiled if choice is not None)
    return Runner(network, choices, record, batch, device, tuple(step for _, step in compiled))


def suits(network: Network, record: bool = False) -> bool:
    """Whether ``compile`` takes the network as it is: nothing it does not know, and head-room proven."""
    known = not any(_objection(layer, record) for layer in network.layers)
    return known and all(bound.proven for bound in headroom(network))


def frames_together(network: Network) -> int:
    """How many frames may go through ``network`` together before its values outgrow the processor's cache."""
    return max(1, _NEURONS_TOGETHER // max(network.shape(layer.name).size for layer in network.layers))


def _unneeded(network: Network, position: int) -> tuple[str, ...]:
    """The values that no layer after ``position`` reads, and that some layer up to there has read or made."""
    later = {source for layer in network.layers[position + 1 :] for source in layer.inputs}
    here = {*network.layers[position].inputs, network.layers[position].name}
    return tuple(here - later)


def _objection(layer: Layer, record: bool) -> str:
    """Why a layer cannot be compiled; empty when it can."""
    synapse, neuron = layer.synapse, layer.neuron
    if isinstance(synapse, Correlation):
        return "is a correlation without its template: call Network.programmed first"
    known = isinstance(neuron, (LIF, Accumulator)) and not isinstance(synapse, Recurrent)
    delayed = isinstance(synapse, Dense) and bool(synapse.delay.any())
    refractory = isinstance(neuron, LIF) and neuron.refractory > 0
    recorded_memory = record and neuron is not None and not neuron.memoryless
    if neuron is not None and (not known or delayed or refractory or recorded_memory):
        return "remembers in a way that is not compiled: use sim.engine.run"
    return ""


def _compiled(
    network: Network,
    position: int,
    bounds: Mapping[str, int],
    record: bool,
    batch: int,
    forced: ExactType | None,
    device: str,
) -> tuple[Choice | None, _Step]:
    layer, unneeded = network.layers[position], _unneeded(network, position)
    neuron, source = layer.neuron, layer.inputs[0]
    if neuron is None:
        return None, _Step(layer, _wire(layer), None, unneeded)
    sums = as_convolution(layer.synapse, network.shape(source), network.range(source), batch)
    fire: Callable[[], Kernel] | None = None
    if isinstance(neuron, LIF) and not neuron.memoryless:
        choice, kernel, fire = fused_layers.leaky(layer, sums, bounds[layer.name], forced, device)
    elif isinstance(neuron, LIF) and not record:
        choice, kernel = fused_layers.spikes(layer, sums, forced, device)
    else:
        choice, kernel = fused_layers.membranes(layer, sums, forced, device)
        fire = fused_layers.step_function(layer, sums) if isinstance(neuron, LIF) else None
    return choice, _Step(layer, lambda inputs: kernel(inputs[0]), fire, unneeded)


def _wire(layer: Layer) -> Compute:
    if isinstance(layer.synapse, Flatten):
        return lambda inputs: inputs[0].reshape(len(inputs[0]), -1, 1, 1)
    return lambda inputs: torch.cat(list(inputs), dim=1)
