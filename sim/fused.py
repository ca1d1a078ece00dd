"""Networks without memory, compiled: convolution, threshold and OR pooling of a whole network without copies between.

Weights are packed once. Spikes stay 8-bit integers with channels last, which is how the next kernel reads them, and
nothing is recorded that was not asked for. Every sum is exact by the proof of ``sim.kernels``; the neurons are so by
that of ``netx.prove_headroom``, within which they neither wrap nor saturate and are the step function
``activation + bias > threshold``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import LIF, Accumulator, Flatten, Layer, Network, NetworkError
from netx.headroom import prove_headroom
from sim import fused_layers
from sim.frames import checked_frames
from sim.kernels import Choice, ExactType, Kernel, as_convolution, exact_arithmetic
from sim.recording import Recording

_NEURONS_TOGETHER = 1 << 20
"""Neurons of a layer that are computed at a time, so that what travels between layers stays in the cache."""

Values: TypeAlias = dict[str, Tensor]
Compute: TypeAlias = Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class _Step:
    """One layer. compute: its output from its inputs, or where membranes are recorded and ``fire`` makes spikes of
    them, its membrane voltages. unneeded: whose values no later layer reads."""

    layer: Layer
    compute: Compute
    fire: Kernel | None
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
        values = {name: torch.from_numpy(array) for name, array in checked_frames(self.network, frames).items()}
        count = len(next(iter(values.values())))
        result = self._empty(count)
        with exact_arithmetic():
            for first in range(0, count, self.batch):
                now = slice(first, first + self.batch)
                self._run({name: array[now].to(self.device) for name, array in values.items()}, result, now, watch)
        return result

    def _run(self, values: Values, result: Recording, now: slice, watch: Callable[[str], None] | None) -> None:
        """Run the frames ``now`` and put down what they did."""
        for step in self._steps:
            name = step.layer.name
            output = step.compute([values[source] for source in step.layer.inputs])
            if name in result.membranes:
                torch.from_numpy(result.membranes[name][now]).copy_(output)
            if step.fire is not None:
                output = step.fire(output)
            if name in result.spikes:
                torch.from_numpy(result.spikes[name][now]).copy_(output)
            values[name] = output
            for unneeded in step.unneeded:
                del values[unneeded]
            if watch is not None:
                watch(name)

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
    Raises NetworkError when the network remembers (``sim.engine`` runs those too), holds a correlation without its
    template, or a type is not exact; HeadroomError where a neuron might wrap or saturate.
    """
    if network.correlations():
        name = network.correlations()[0].name
        raise NetworkError(f"layer {name!r} is a correlation without its template: call Network.programmed first")
    if not network.memoryless:
        raise NetworkError("only a network whose neurons remember nothing can be compiled: use sim.engine.run")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise NetworkError(f"{device}: torch finds no such device on this machine; leave it out to run on the CPU")
    prove_headroom(network)
    forced = {layer.name: types for layer in network.layers} if isinstance(types, str) else dict(types or {})
    for name in forced:
        network.layer(name)
    compiled = [
        _compiled(network, position, record, batch, forced.get(layer.name), device)
        for position, layer in enumerate(network.layers)
    ]
    choices = tuple(choice for choice, _ in compiled if choice is not None)
    return Runner(network, choices, record, batch, device, tuple(step for _, step in compiled))


def frames_together(network: Network) -> int:
    """How many frames may go through ``network`` together before its values outgrow the processor's cache."""
    return max(1, _NEURONS_TOGETHER // max(network.shape(layer.name).size for layer in network.layers))


def _unneeded(network: Network, position: int) -> tuple[str, ...]:
    """The values that no layer after ``position`` reads, and that some layer up to there has read or made."""
    later = {source for layer in network.layers[position + 1 :] for source in layer.inputs}
    here = {*network.layers[position].inputs, network.layers[position].name}
    return tuple(here - later)


def _compiled(
    network: Network, position: int, record: bool, batch: int, forced: ExactType | None, device: str
) -> tuple[Choice | None, _Step]:
    layer, unneeded = network.layers[position], _unneeded(network, position)
    if layer.neuron is None:
        return None, _Step(layer, _wire(layer), None, unneeded)
    source = layer.inputs[0]
    sums = as_convolution(layer.synapse, network.shape(source), network.range(source), batch)
    spiking = isinstance(layer.neuron, LIF)
    make = fused_layers.spikes if spiking and not record else fused_layers.membranes
    choice, kernel = make(layer, sums, forced, device)
    fire = fused_layers.step_function(layer, sums) if spiking and record else None
    return choice, _Step(layer, lambda inputs: kernel(inputs[0]), fire, unneeded)


def _wire(layer: Layer) -> Compute:
    if isinstance(layer.synapse, Flatten):
        return lambda inputs: inputs[0].reshape(len(inputs[0]), -1, 1, 1)
    return lambda inputs: torch.cat(list(inputs), dim=1)
