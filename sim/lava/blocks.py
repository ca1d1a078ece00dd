"""Any network in the terms of Lava's stock processes, one block a layer, and the files in which it travels.

Unlike sim.lava.plan, which lays a network out to be simulated frame by frame, this is every process with its own
parameters, so that all of its variables can be followed step by step. No Lava in here. Shapes are Lava's, (column, row,
channel), or (channel,) where a Dense is read or fed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from netx import (
    LIF,
    Accumulator,
    Correlation,
    Delta,
    Dense,
    Direct,
    Flatten,
    Layer,
    Network,
    NetworkError,
    Neuron,
    Recurrent,
    Sigma,
    Synapse,
    limits,
)
from netx.arrays import IntArray
from netx.files import write_whole
from netx.npz import npz_bytes, read_npz
from netx.types import Pair
from sim.lava.branches import branches
from sim.lava.job import in_lava_order
from sim.lava.plan import MAX_INT8, check_source_sends, lava_synapse, message_bits

Parameters: TypeAlias = Mapping[str, Any]
"""Of a process: integers, booleans, tuples of integers and integer arrays."""

LayerStates: TypeAlias = Mapping[str, IntArray]
"""``output``, the variables by Lava's names (u, v, sigma, act, residue) after each step and, of stepped models,
``activation``: int32, shape (step, channel, height, width)."""

_DESCRIPTION, _ARRAYS, _OUTCOME = "blocks.json", "blocks.npz", "states.npz"

STATES = {
    "LIF": ("u", "v"),
    "LIFReset": ("u", "v"),
    "Delta": ("act", "residue"),
    "SigmaDelta": ("sigma", "act", "residue"),
    "Sigma": ("sigma",),
}
"""The variables of each neuron process that change (lava-nc 0.10.0 ``proc/lif/models.py``, ``proc/sdn/models.py``)."""


@dataclass(frozen=True)
class Part:
    """A stock process: the name of its class and the parameters it is made with."""

    kind: str
    parameters: Parameters


@dataclass(frozen=True)
class Way:
    """A synapse, and the input or layer that it reads. synapse: None where the neurons read their source at once.

    spread: (rows, columns) of its outputs that lie in its channels, see ``sim.lava.job.in_place``.
    """

    source: str
    synapse: Part | None = None
    spread: Pair = (1, 1)


@dataclass(frozen=True)
class Block:
    """One layer. ways: what arrives on them adds up. feedback: what feeds the layer's own spikes back to it."""

    name: str
    ways: tuple[Way, ...]
    neuron: Part
    feedback: Part | None = None


@dataclass(frozen=True)
class BlockJob:
    """A network's blocks, each after its source, and the frames of each input (column, row, channel, frame)."""

    frames: Mapping[str, IntArray]
    blocks: tuple[Block, ...]

    @property
    def steps(self) -> int:
        return next(iter(self.frames.values())).shape[-1]


def block_job(network: Network, frames: Mapping[str, IntArray]) -> BlockJob:
    """``network`` and its checked frames for Lava. Raises NetworkError naming the layer that it has no process for."""
    blocks = []
    for layer in network.layers:
        try:
            if layer.neuron is not None:
                blocks.append(_block(network, layer))
        except NetworkError as error:
            raise NetworkError(f"layer {layer.name!r}: {error}") from None
    return BlockJob({name: in_lava_order(array) for name, array in frames.items()}, tuple(blocks))


def write_jobs(folder: Path, jobs: Sequence[BlockJob], simulated: bool) -> None:
    """Write what the worker is to do. simulated: in Lava's runtime, not model by model in one process."""
    arrays: dict[str, npt.NDArray] = {}
    described = []
    for index, job in enumerate(jobs):
        arrays |= {f"{index}/frames/{name}": values for name, values in job.frames.items()}
        blocks = [asdict(block) for block in job.blocks]
        for block in blocks:
            for role, part in _parts(block):
                for key, value in list(part["parameters"].items()):
                    if isinstance(value, np.ndarray):
                        arrays[f"{index}/{block['name']}/{role}/{key}"] = part["parameters"].pop(key)
        described.append(blocks)
    (folder / _ARRAYS).write_bytes(npz_bytes(arrays))
    (folder / _DESCRIPTION).write_text(json.dumps({"simulated": simulated, "jobs": described}))


def read_jobs(folder: Path) -> tuple[list[BlockJob], bool]:
    """What ``write_jobs`` wrote."""
    description = json.loads((folder / _DESCRIPTION).read_text())
    grouped: dict[str, dict[str, npt.NDArray]] = {}
    for key, values in read_npz(folder / _ARRAYS).items():
        place, _, name = key.rpartition("/")
        grouped.setdefault(place, {})[name] = values
    jobs = []
    for index, described in enumerate(description["jobs"]):
        blocks = []
        for block in described:
            parts = {
                role: Part(part["kind"], _parameters(part, grouped, f"{index}/{block['name']}/{role}"))
                for role, part in _parts(block)
            }
            ways = tuple(
                Way(way["source"], parts.get(f"synapse{number}"), (way["spread"][0], way["spread"][1]))
                for number, way in enumerate(block["ways"])
            )
            blocks.append(Block(block["name"], ways, parts["neuron"], parts.get("feedback")))
        jobs.append(BlockJob(grouped[f"{index}/frames"], tuple(blocks)))
    return jobs, description["simulated"]


def write_states(folder: Path, outcomes: Iterable[Mapping[str, Mapping[str, IntArray]]]) -> None:
    """Write what every network's layers did, by kind: output, the variables, and activation where it was seen."""
    arrays = {
        f"{index}/{layer}/{kind}": values
        for index, outcome in enumerate(outcomes)
        for layer, kinds in outcome.items()
        for kind, values in kinds.items()
    }
    with write_whole(folder / _OUTCOME) as temporary:
        temporary.write_bytes(npz_bytes(arrays))


def read_states(folder: Path, count: int) -> list[dict[str, LayerStates]]:
    """What ``write_states`` wrote of ``count`` networks: (step, channel, height, width) by layer and kind."""
    outcomes: list[dict[str, dict[str, IntArray]]] = [{} for _ in range(count)]
    for key, values in read_npz(folder / _OUTCOME).items():
        index, layer, kind = key.split("/")
        shaped = values[:, :, None, None] if values.ndim == 2 else values.transpose(0, 3, 2, 1)
        outcomes[int(index)].setdefault(layer, {})[kind] = shaped
    return [dict(outcome) for outcome in outcomes]


def _parts(block: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The processes of a block as a dictionary, by their role."""
    synapses = [(f"synapse{number}", way["synapse"]) for number, way in enumerate(block["ways"])]
    found = [("neuron", block["neuron"]), *synapses, ("feedback", block["feedback"])]
    return [(role, part) for role, part in found if part is not None]


def _parameters(part: Mapping[str, Any], grouped: Mapping[str, Mapping[str, npt.NDArray]], place: str) -> Parameters:
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in part["parameters"].items()}
    return plain | dict(grouped.get(place, {}))


def _block(network: Network, layer: Layer) -> Block:
    if isinstance(layer.synapse, Correlation):
        raise NetworkError("is a correlation without its template: call Network.programmed first")
    assert layer.neuron is not None
    shape: tuple[int, ...] = network.shape(layer.name)[::-1]
    source, synapse, feedback = _behind_flattening(network, layer.inputs[0]), layer.synapse, None
    if isinstance(synapse, Recurrent):
        feedback = _dense(synapse.feedback, message_bits(network.range(layer.inputs[0])))
        synapse = synapse.forward
    if source is not None and isinstance(synapse, (Dense, Direct)):
        check_source_sends(network, source)
        part = None
        if isinstance(synapse, Dense):
            part, shape = _dense(synapse, message_bits(network.range(source))), shape[-1:]
        ways: tuple[Way, ...] = (Way(source, part),)
    else:
        ways = _convolutions(network, layer, synapse)
    return Block(layer.name, ways, _neuron(layer.neuron, shape, network.depth(layer.name)), feedback)


def _behind_flattening(network: Network, name: str) -> str | None:
    """The input or layer with neurons behind ``name``, where nothing but Flattens lies between."""
    wires = {layer.name: layer for layer in network.layers if layer.neuron is None}
    while name in wires and isinstance(wires[name].synapse, Flatten):
        name = wires[name].inputs[0]
    return None if name in wires else name


def _convolutions(network: Network, layer: Layer, synapse: Synapse) -> tuple[Way, ...]:
    """A Conv for each way that leads to the layer."""
    if isinstance(synapse, Direct) or isinstance(layer.synapse, Recurrent):
        raise NetworkError(f"a {type(layer.synapse).__name__} of up-sampled or joined layers is not laid out for Lava")
    if isinstance(synapse, Dense) and (synapse.delay.any() or synapse.weight_bits is not None):
        raise NetworkError("delays and truncated weights on joined layers are not laid out for Lava")
    ways = []
    for branch in branches(network, layer, MAX_INT8):
        conv = asdict(lava_synapse(network, branch))
        source, spread = conv.pop("source"), conv.pop("spread")
        ways.append(Way(source, Part("Conv", conv | {"num_message_bits": conv.pop("message_bits")}), spread))
    return tuple(ways)


def _dense(synapse: Dense, bits: int) -> Part:
    low, high = int(synapse.weight.min()), int(synapse.weight.max())
    mixed = low < 0 < high
    width = synapse.weight_bits
    if width is None:
        width = 9
        if low < -limits.WEIGHT_MAX and not mixed:
            raise NetworkError(f"Lava's Dense clips a weight of {low} among negative ones to -{limits.WEIGHT_MAX}")
    parameters = {
        "weights": synapse.weight,
        "weight_exp": synapse.weight_exponent,
        # Nine bits are one more than single-sign weights have; there Lava would shift by a negative number.
        "num_weight_bits": width if mixed else min(width, 8),
        "num_message_bits": bits,
    }
    if not synapse.delay.any():
        return Part("Dense", parameters)
    delays = np.broadcast_to(synapse.delay, synapse.weight.shape).astype(np.int64)  # Lava takes no other integers
    return Part("DelayDense", {**parameters, "delays": delays, "max_delay": limits.DELAY_MAX})


def _neuron(neuron: Neuron, shape: tuple[int, ...], depth: int) -> Part:
    bias = np.broadcast_to(neuron.bias if neuron.bias.size else np.zeros(shape[-1], np.int32), shape).copy()
    if isinstance(neuron, Sigma):
        return Part("Sigma", {"shape": shape})
    if not isinstance(neuron, (LIF, Accumulator)):
        exponents = {"spike_exp": neuron.spike_exponent, "state_exp": neuron.state_exponent}
        common = {"shape": shape, "vth": int(neuron.threshold), **exponents}
        if isinstance(neuron, Delta):
            return Part("Delta", common)
        return Part("SigmaDelta", {**common, "bias": bias, "act_mode": int(neuron.relu)})
    if isinstance(neuron, Accumulator):
        neuron = LIF(limits.READOUT_THRESHOLD, neuron.bias)
    if neuron.refractory:
        raise NetworkError("Lava's fixed-point LIF has no refractory period")
    common = {
        "shape": shape,
        "bias_mant": bias,
        "bias_exp": int(neuron.bias_exponent),
        "vth": int(neuron.threshold),
        "du": int(neuron.current_decay) - 1,  # the model adds one (``ds_offset``)
        "dv": int(neuron.voltage_decay),
    }
    if neuron.reset_interval is None:
        return Part("LIF", common)
    # Lava counts steps from 1, and the layer's first frame arrives ``depth`` steps late.
    reset = {"reset_interval": int(neuron.reset_interval), "reset_offset": int(neuron.reset_offset) + depth + 1}
    return Part("LIFReset", {**common, **reset})
