"""The process that runs Lava: ``python -m sim.lava.worker FOLDER``, started by sim.lava under sim.supervise.

It uses stock processes only, and never ends Lava in an orderly way: most of Lava's failures are hangs, and so are most
ways to stop it. It leaves its outcome in the folder and is killed.
"""

from __future__ import annotations

import math
import multiprocessing
import multiprocessing.connection
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess
from lava.proc.conv.process import Conv
from lava.proc.io.extractor import Extractor, PyLoihiExtractorModel
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF

from netx import limits
from sim.lava import job as lava_job
from sim.lava.conv import FastConvModel, ProvenConvModel
from sim.lava.job import ConvModel, IntArray, LavaJob, LavaLayer, LayerOutcome, NetPart, in_place
from sim.lava.startup import netx_network, remember_models
from sim.supervise import die_with_parent, report_failure

Process: TypeAlias = Any
"""A Lava process; Lava has no types of its own."""

RUN_CONFIG: dict[str, Any] = {
    "select_tag": "fixed_pt",  # without it Lava silently takes the floating-point models
    "exception_proc_model_map": {Extractor: PyLoihiExtractorModel},  # the one model of it, which bears no tag
}
_CONV_MODELS: dict[ConvModel, dict[type, type]] = {
    "stock": {},
    "fast": {Conv: FastConvModel},
    "proven": {Conv: ProvenConvModel},
}
COMPILE_CONFIG = {"pypy_channel_size": 2}
"""Slots a channel; Lava's default of 64 asks for gigabytes of shared memory."""

_SECONDS_TO_REPORT = 1.0
"""For the process that failed first: when it tells Lava, others end, or raise what follows from it, at once."""


def main(folder: Path) -> None:
    """Run the job in ``folder``, leave its outcome there, and end at once."""
    try:
        guard(folder)
        remember_models()
        simulate(folder, lava_job.read_job(folder))
    except Exception as error:
        # The last stop before the process ends: whatever it is has to reach the user, with its text.
        if multiprocessing.active_children():
            time.sleep(_SECONDS_TO_REPORT)
        report_exception(folder, error)
        os._exit(1)
    os._exit(0)


def guard(folder: Path) -> None:
    """Make this process and all that it forks easy to find, quick to die and unable to fail in silence."""
    os.register_at_fork(after_in_child=die_with_parent)
    _name_shared_memory(folder.name)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))

    def run(process: SystemProcess) -> None:
        try:
            multiprocessing.Process.run(process)
        except Exception as error:
            report_exception(folder, error)
            os._exit(1)

    SystemProcess.run = run


def report_exception(folder: Path, error: Exception) -> None:
    """Report an exception with its text and the place it comes from."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = "/".join(Path(place.filename).parts[-3:])
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    report_failure(folder, f"{type(error).__name__}: {error} (in {where}:{place.lineno}, {place.name})", text)


def _name_shared_memory(job: str) -> None:
    """Let the job's name begin the name of every segment and semaphore, so that a killed job's can be found."""
    for name in ("_SHM_NAME_PREFIX", "_SHM_SAFE_NAME_LENGTH", "_make_filename"):
        if not hasattr(shared_memory, name):
            raise RuntimeError(
                f"multiprocessing.shared_memory has no {name}: Lava's segments can only be named on 3.10"
            )
    prefix = f"/{job}-"
    shared_memory._SHM_NAME_PREFIX = prefix  # type: ignore[attr-defined]
    shared_memory._SHM_SAFE_NAME_LENGTH = len(prefix) + 16  # type: ignore[attr-defined]
    multiprocessing.current_process()._config["semprefix"] = f"/{job}"  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Block:
    """The processes of one layer, the number of layers from an input to it, itself included, and whose Conv it has.

    synapses: the ports by which their sums arrive, in the shape of the neurons, are ``activations``.
    """

    synapses: tuple[Process, ...]
    activations: tuple[Any, ...]
    neuron: Process
    depth: int
    stand_in: bool

    @property
    def spiking(self) -> bool:
        return int(self.neuron.vth.init) <= limits.THRESHOLD_MAX


class _Probe:
    """Reads what a layer does at each step, through stock Extractors, which cost 0.1 us a value.

    The membrane of a layer that never spikes is read from Lava's own variable, at 13 us a value.
    """

    def __init__(self, block: _Block, frames: int, hold: int) -> None:
        self.block = block
        self._hold = hold
        shape = block.neuron.s_out.shape
        self._taps = {}
        for name, ports in (("activation", block.activations), ("spikes", (block.neuron.s_out,))):
            self._taps[name] = Extractor(shape=shape, buffer_size=2)
            for port in ports:  # which add up
                port.connect(self._taps[name].in_port)
        self._values = {name: np.zeros((frames, *shape), np.int32) for name in self._taps}
        self._voltage = None if block.spiking else np.zeros((frames, *shape), np.int32)

    def read(self, step: int) -> None:
        """Take in what ``step``, counted from 1, has left. A frame arrives as many steps late as the layer is deep."""
        frame, held = divmod(step - 1 - self.block.depth, self._hold)
        if held:
            frame = -1  # not yet arrived on all ways, or once more
        for name, tap in self._taps.items():
            received = tap.receive()
            if 0 <= frame < len(self._values[name]):
                self._values[name][frame] = received
        if self._voltage is not None and 0 <= frame < len(self._voltage):
            self._voltage[frame] = self.block.neuron.v.get()

    def outcome(self) -> LayerOutcome:
        neuron = self.block.neuron
        mantissa, exponent = (np.asarray(var.init).astype(np.int32) for var in (neuron.bias_mant, neuron.bias_exp))
        return LayerOutcome(
            activation=_with_columns_and_rows(self._values["activation"]),
            spikes=_with_columns_and_rows(self._values["spikes"]),
            voltage=None if self._voltage is None else _with_columns_and_rows(self._voltage),
            bias=mantissa << exponent,
            current_decay=int(neuron.du.init) + 1,
            voltage_decay=int(neuron.dv.init),
            stand_in=self.block.stand_in,
        )


def _with_columns_and_rows(values: IntArray) -> IntArray:
    """(frame, channel) of a flat layer as (frame, 1, 1, channel); other values as they are."""
    return values[:, None, None] if values.ndim == 2 else values


def simulate(folder: Path, job: LavaJob) -> None:
    """Build the network of ``job``, run all of its frames, one a time step, and write the outcome to ``folder``."""
    sources, blocks = build(job)
    latency = max(block.depth for block in blocks.values())
    probes = {name: _Probe(block, job.frame_count, job.hold) for name, block in blocks.items()}
    run_by = _started(sources, job.conv)
    _watch_processes(folder, run_by)
    for step in range(1, job.frame_count * job.hold + latency + 1):
        for source in run_by:
            source.run(RunSteps(num_steps=1))
        for probe in probes.values():
            probe.read(step)
        lava_job.write_progress(folder, max(0, step - latency) // job.hold)
    lava_job.write_outcome(folder, {name: probe.outcome() for name, probe in probes.items()})


def _started(sources: Iterable[Process], conv: ConvModel) -> list[Process]:
    """The sources by which Lava is run: one of each group of processes that are connected, which have one runtime."""
    run_by = []
    for source in sources:
        if source.runtime is None:
            source.create_runtime(run_cfg=_run_config(conv), compile_config=COMPILE_CONFIG)
            run_by.append(source)
    return run_by


def _run_config(conv: ConvModel) -> Loihi2SimCfg:
    models = {**RUN_CONFIG["exception_proc_model_map"], **_CONV_MODELS[conv]}
    return Loihi2SimCfg(**RUN_CONFIG | {"exception_proc_model_map": models})


def _has_stand_in(synapses: Iterable[Process], conv: ConvModel) -> bool:
    convs = [one for one in synapses if isinstance(one, Conv)] if conv != "stock" else []
    return any(conv == "fast" or lava_job.is_wide(one.weight.init.shape, one.s_in.shape) for one in convs)


def build(job: LavaJob) -> tuple[list[Process], dict[str, _Block]]:
    """The processes of a job: its inputs, and every layer by name."""
    deepest = len(job.layers) + sum(len(part.layers) for part in job.parts)
    # A RingBuffer goes round; zeros follow the last frame until it has left the deepest layer.
    sources = {
        name: RingBuffer(data=np.pad(frames.repeat(job.hold, -1), ((0, 0), (0, 0), (0, 0), (0, deepest))))
        for name, frames in job.frames.items()
    }
    blocks: dict[str, _Block] = {}
    depths = dict.fromkeys(sources, 0)
    ports = {name: source.s_out for name, source in sources.items()}
    for layer in job.layers:
        synapses, activations, neuron = _stock_block(layer, ports)
        depth = depths[layer.name] = max(depths[synapse.source] for synapse in layer.synapses) + 1
        blocks[layer.name] = _Block(synapses, activations, neuron, depth, _has_stand_in(synapses, job.conv))
        ports[layer.name] = neuron.s_out
    for part in job.parts:
        for depth, (name, (synapse, neuron)) in enumerate(_netx_blocks(part, ports).items(), depths[part.source] + 1):
            blocks[name] = _Block((synapse,), (synapse.a_out,), neuron, depth, _has_stand_in((synapse,), job.conv))
            depths[name], ports[name] = depth, neuron.s_out
    return list(sources.values()), blocks


def _stock_block(layer: LavaLayer, ports: dict[str, Any]) -> tuple[tuple[Process, ...], tuple[Any, ...], Process]:
    synapses, activations = [], []
    for index, synapse in enumerate(layer.synapses):
        conv = Conv(
            weight=synapse.weight,
            input_shape=synapse.input_shape,
            stride=synapse.stride,
            padding=synapse.padding,
            dilation=synapse.dilation,
            groups=synapse.groups,
            num_message_bits=synapse.message_bits,
            name=f"{layer.name}_synapse{index or ''}",
        )
        ports[synapse.source].connect(conv.s_in)
        synapses.append(conv)
        activations.append(in_place(conv.a_out, synapse.spread))
    shape = tuple(int(size) for size in activations[0].shape)
    neuron = LIF(
        shape=shape,
        bias_mant=np.broadcast_to(layer.neuron.bias, shape).copy(),
        bias_exp=layer.neuron.bias_exponent,
        vth=layer.neuron.threshold,
        du=layer.neuron.current_decay - 1,  # the model adds one (``ds_offset``)
        dv=layer.neuron.voltage_decay,
        name=layer.name,
    )
    for activation in activations:
        activation.connect(neuron.a_in)
    return tuple(synapses), tuple(activations), neuron


def _netx_blocks(part: NetPart, ports: dict[str, Any]) -> dict[str, tuple[Process, Process]]:
    network = netx_network()(net_config=str(part.path), input_message_bits=part.message_bits)
    if len(network.layers) != len(part.layers):
        raise ValueError(f"{part.path}: holds {len(network.layers)} layers, expected {', '.join(part.layers)}")
    _connect(ports[part.source], network.inp, f"{part.path}, which reads {part.source!r}")
    return {name: (block.synapse, block.neuron) for name, block in zip(part.layers, network.layers, strict=True)}


def _connect(sender: Any, receiver: Any, what: str) -> None:
    """Connect two ports of equal shape, or as many values in the order of netx's own flattening (channel-major)."""
    if math.prod(sender.shape) != math.prod(receiver.shape):
        raise ValueError(f"{what}: takes {receiver.shape} (column, row, channel) values, but {sender.shape} are sent")
    if len(sender.shape) == 3 and len(receiver.shape) == 1:
        sender = sender.transpose([2, 1, 0]).flatten()
    elif sender.shape != receiver.shape:
        sender = sender.reshape(receiver.shape)
    sender.connect(receiver)


def _watch_processes(folder: Path, sources: Iterable[Process]) -> None:
    """Report a Lava process that ends by itself, be it killed or out of memory: the others would wait for ever."""
    actors = [actor for source in sources for actor in source.runtime._messaging_infrastructure.actors]

    def watch() -> None:
        multiprocessing.connection.wait([actor.sentinel for actor in actors])
        time.sleep(_SECONDS_TO_REPORT)
        report_failure(folder, "one of Lava's processes was killed; is there enough memory, also in /dev/shm?", "")
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
