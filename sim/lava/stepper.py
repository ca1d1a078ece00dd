"""The process that follows Lava's variables step by step: ``python -m sim.lava.stepper FOLDER``.

Started by sim.lava.states under sim.supervise.
It makes stock processes and runs them in one of two ways. Simulated: in Lava's runtime, a system process each, which
takes seconds a network. Stepped: the same stock process models, built by Lava's own builder, called one after the other
in this process; only the channels between them are ours, arrays of the sender's type as in Lava
(``magma/compiler/channels/pypychannel.py``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from lava.magma.compiler.builders.py_builder import PyProcessBuilder
from lava.magma.compiler.utils import PortInitializer, VarInitializer
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.io.extractor import Extractor
from lava.proc.io.source import RingBuffer
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sdn.models import PyDeltaModelFixed, PySigmaDeltaModelFixed, PySigmaModelFixed
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta

from netx.types import Pair
from sim.lava import job as lava_job
from sim.lava.blocks import STATES, Block, BlockJob, Part, read_jobs, write_states
from sim.lava.job import IntArray, in_place
from sim.lava.startup import remember_models
from sim.lava.worker import COMPILE_CONFIG, RUN_CONFIG, guard, report_exception

Process: TypeAlias = Any
"""A Lava process; Lava has no types of its own."""
Outcome: TypeAlias = Mapping[str, Mapping[str, IntArray]]
"""By layer and kind (output, activation, variables): shape (step, column, row, channel) or (step, channel)."""

_STOCK = {
    "Conv": (Conv, PyConvModelFixed),
    "Dense": (Dense, PyDenseModelBitAcc),
    "DelayDense": (DelayDense, PyDelayDenseModelBitAcc),
    "LIF": (LIF, PyLifModelBitAcc),
    "LIFReset": (LIFReset, PyLifResetModelBitAcc),
    "Delta": (Delta, PyDeltaModelFixed),
    "SigmaDelta": (SigmaDelta, PySigmaDeltaModelFixed),
    "Sigma": (Sigma, PySigmaModelFixed),
}
"""Each process and its model tagged ``fixed_pt``."""


def main(folder: Path) -> None:
    """Run the jobs in ``folder``, leave their outcome there, and end at once: Lava cannot be trusted to."""
    try:
        guard(folder)
        remember_models()
        jobs, simulated = read_jobs(folder)
        outcomes = []
        for index, job in enumerate(jobs):
            outcomes.append(simulate(job) if simulated else step(job))
            lava_job.write_progress(folder, index + 1)
        write_states(folder, outcomes)
    except Exception as error:
        # The last stop before the process ends: whatever it is has to reach the user, with its text.
        report_exception(folder, error)
        os._exit(1)
    os._exit(0)


class Channel:
    """What a sender's port sends, kept in an array of its type until the next message."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.sent = np.zeros(shape, np.int32)

    def send(self, data: Any) -> None:
        self.sent[:] = np.asarray(data)[:]


class Feed:
    """The receiving end of channels, in the receiver's shape."""

    def __init__(self, channel: Channel, shape: tuple[int, ...], spread: Pair = (1, 1)) -> None:
        self._channel, self._shape, self._spread = channel, shape, spread

    def recv(self) -> IntArray:
        return _reshaped(in_place(self._channel.sent, self._spread), self._shape).copy()


@dataclass(frozen=True)
class _Stepped:
    """One layer's models and what the neurons hear; fed: where ``feedback`` sends. Both None where there is none."""

    block: Block
    synapses: tuple[Any, ...]
    feedback: Any
    neuron: Any
    heard: tuple[Feed, ...]
    fed: Channel | None
    output: Channel

    def step(self, time: int) -> None:
        """One of Lava's steps, counted from 1, once the source has sent."""
        for synapse in self.synapses:
            synapse.run_spk()
        if self.feedback is not None and self.fed is not None:
            # It sends what it has in its buffer before it listens (``run_spk`` of proc/dense/models.py); the neurons
            # need the one before they can send it the other.
            buffer = self.feedback.a_buff
            self.fed.send(buffer[:, 0] if buffer.ndim == 2 else buffer)
        self.neuron.time_step = time
        self.neuron.run_spk()
        if self.feedback is not None:
            self.feedback.run_spk()

    def seen(self, activation: IntArray) -> dict[str, IntArray]:
        states = {name: np.array(getattr(self.neuron, name)) for name in STATES[self.block.neuron.kind]}
        return {"output": self.output.sent.copy(), "activation": activation, **states}


def step(job: BlockJob) -> Outcome:
    """Call the stock models of a network one after the other, for every step."""
    sources = {name: Channel(frames.shape[:-1]) for name, frames in job.frames.items()}
    channels = dict(sources)
    layers = []
    for block in job.blocks:
        layers.append(_models(block, [channels[way.source] for way in block.ways]))
        channels[block.name] = layers[-1].output
    seen: dict[str, list[dict[str, IntArray]]] = {block.name: [] for block in job.blocks}
    for time in range(1, job.steps + 1):
        for name, channel in sources.items():
            channel.send(job.frames[name][..., time - 1])
        for layer in layers:
            layer.step(time)
            activation = sum(feed.recv() for feed in layer.heard)
            seen[layer.block.name].append(layer.seen(np.array(activation)))
    return {name: {kind: np.stack([one[kind] for one in steps]) for kind in steps[0]} for name, steps in seen.items()}


def _models(block: Block, sources: Sequence[Channel]) -> _Stepped:
    neuron = make(block.neuron)
    shape = neuron.s_out.shape
    output, heard, synapses = Channel(shape), [], []
    for way, source in zip(block.ways, sources, strict=True):
        sends = source
        if way.synapse is not None:
            model, sends = _synapse(way.synapse, source)
            synapses.append(model)
        heard.append(Feed(sends, shape, way.spread))
    feedback = fed = None
    if block.feedback is not None:
        feedback, fed = _synapse(block.feedback, output)
        heard.append(Feed(fed, shape))
    fires = built(neuron, block.neuron, a_in=heard, s_out=[output])
    return _Stepped(block, tuple(synapses), feedback, fires, tuple(heard), fed, output)


def _synapse(part: Part, source: Channel) -> tuple[Any, Channel]:
    """A synapse's model, and where it sends."""
    synapse = make(part)
    sends = Channel(synapse.a_out.shape)
    return built(synapse, part, s_in=[Feed(source, synapse.s_in.shape)], a_out=[sends]), sends


def built(process: Process, part: Part, **ports: list[Any]) -> Any:
    """The stock model of ``process``, made by Lava's own builder, with our channels at its ports."""
    model = _STOCK[part.kind][1]
    builder = PyProcessBuilder(model, model_id=0, proc_params=process.proc_params)
    builder.set_variables([VarInitializer(var.name, var.shape, var.init, var.id) for var in process.vars])
    for name, channels in ports.items():
        port = getattr(process, name)
        kind = "InPort" if name.endswith("_in") else "OutPort"
        builder.py_ports[name] = PortInitializer(name, port.shape, getattr(model, name).d_type, kind, 1)
        builder.csp_ports[name] = channels
    return builder.build()


def make(part: Part) -> Process:
    """The stock process."""
    parameters = dict(part.parameters)
    if "act_mode" in parameters:
        parameters["act_mode"] = ActivationMode(parameters["act_mode"])
    return _STOCK[part.kind][0](**parameters)


def simulate(job: BlockJob) -> Outcome:
    """Run a network in Lava's runtime, one step at a time, and read its variables between the steps."""
    sources = {name: RingBuffer(data=frames) for name, frames in job.frames.items()}
    ports = {name: source.s_out for name, source in sources.items()}
    neurons, taps = {}, {}
    for block in job.blocks:
        neuron = neurons[block.name] = make(block.neuron)
        for way in block.ways:
            if way.synapse is None:
                _connect(ports[way.source], neuron.a_in)
            else:
                in_place(_sends(way.synapse, ports[way.source]), way.spread).connect(neuron.a_in)
        if block.feedback is not None:
            _sends(block.feedback, neuron.s_out).connect(neuron.a_in)
        ports[block.name] = neuron.s_out
        taps[block.name] = Extractor(shape=neuron.s_out.shape, buffer_size=2)
        neuron.s_out.connect(taps[block.name].in_port)
    start(sources.values())
    seen: dict[str, list[dict[str, IntArray]]] = {block.name: [] for block in job.blocks}
    for _ in range(job.steps):
        for source in sources.values():
            source.run(RunSteps(num_steps=1))
        for block in job.blocks:
            states = {name: getattr(neurons[block.name], name).get() for name in STATES[block.neuron.kind]}
            seen[block.name].append({"output": taps[block.name].receive(), **states})
    for source in sources.values():
        source.stop()
    return {
        name: {kind: np.stack([one[kind] for one in steps]).astype(np.int32) for kind in steps[0]}
        for name, steps in seen.items()
    }


def start(sources: Iterable[Process]) -> None:
    """Bring up Lava's runtime for every source that is not yet part of one."""
    for source in sources:
        if source.runtime is None:
            source.create_runtime(run_cfg=Loihi2SimCfg(**RUN_CONFIG), compile_config=COMPILE_CONFIG)


def _sends(part: Part, reads: Any) -> Any:
    """The port of a new synapse that reads a port."""
    synapse = make(part)
    _connect(reads, synapse.s_in)
    return synapse.a_out


def _connect(sender: Any, receiver: Any) -> None:
    if len(sender.shape) == 3 and len(receiver.shape) == 1:
        sender.transpose([2, 1, 0]).flatten().connect(receiver)
    elif sender.shape != receiver.shape:
        sender.reshape(receiver.shape).connect(receiver)
    else:
        sender.connect(receiver)


def _reshaped(values: IntArray, shape: tuple[int, ...]) -> IntArray:
    """In the receiver's shape; flattened channel by channel where that is flat, as lava-dl's netx does."""
    return values.transpose(2, 1, 0).reshape(shape) if values.ndim == 3 and len(shape) == 1 else values.reshape(shape)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
