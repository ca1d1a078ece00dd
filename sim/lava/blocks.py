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
    Concat,
    Conv2d,
    Delta,
    Dense,
    Direct,
    Flatten,
    Layer,
    Network,
    NetworkError,
    Neuron,
    Pool,
    Recurrent,
    Sigma,
    limits,
)
from netx.arrays import IntArray
from netx.files import write_whole
from netx.lowering import lowered
from netx.npz import read_npz
from sim.lava.job import in_lava_order
from sim.lava.plan import MAX_INT8, check_sizes, check_source_sends, message_bits, source_of

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
class Block:
    """One layer. source: the input or layer it reads. synapse: None where the neurons read their source at once.

    feedback: what feeds the layer's own spikes back to it.
    """

    name: str
    source: str
    neuron: Part
    synapse: Part | None = None
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
            elif not isinstance(layer.synapse, Flatten):
                raise NetworkError(f"Lava has no {type(layer.synapse).__name__}")
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
            for role in ("neuron", "synapse", "feedback"):
                for key, value in list((block[role] or {}).get("parameters", {}).items()):
                    if isinstance(value, np.ndarray):
                        arrays[f"{index}/{block['name']}/{role}/{key}"] = block[role]["parameters"].pop(key)
        described.append(blocks)
    np.savez(folder / _ARRAYS, **arrays)
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
        blocks = [
            Block(
                block["name"],
                block["source"],
                **{
                    role: Part(
                        block[role]["kind"], _parameters(block[role], grouped, f"{index}/{block['name']}/{role}")
                    )
                    for role in ("neuron", "synapse", "feedback")
                    if block[role] is not None
                },
            )
            for block in described
        ]
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
    with write_whole(folder / _OUTCOME) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read_states(folder: Path, count: int) -> list[dict[str, LayerStates]]:
    """What ``write_states`` wrote of ``count`` networks: (step, channel, height, width) by layer and kind."""
    outcomes: list[dict[str, dict[str, IntArray]]] = [{} for _ in range(count)]
    for key, values in read_npz(folder / _OUTCOME).items():
        index, layer, kind = key.split("/")
        shaped = values[:, :, None, None] if values.ndim == 2 else values.transpose(0, 3, 2, 1)
        outcomes[int(index)].setdefault(layer, {})[kind] = shaped
    return [dict(outcome) for outcome in outcomes]


def _parameters(part: Mapping[str, Any], grouped: Mapping[str, Mapping[str, npt.NDArray]], place: str) -> Parameters:
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in part["parameters"].items()}
    return plain | dict(grouped.get(place, {}))


def _block(network: Network, layer: Layer) -> Block:
    source, flattened = source_of(network, layer)
    check_source_sends(network, source)
    synapse, feedback = layer.synapse, None
    bits = message_bits(network.range(source))
    shape: tuple[int, ...] = network.shape(layer.name)[::-1]
    if isinstance(synapse, Recurrent):
        feedback = _dense(synapse.feedback, bits)
        synapse = synapse.forward
    part = None
    if isinstance(synapse, Dense):
        part, shape = _dense(synapse, bits), shape[-1:]
    elif isinstance(synapse, (Conv2d, Pool)):
        part = _conv(network, lowered(synapse, network.shape(source), flattened, MAX_INT8), source, bits)
    elif not isinstance(synapse, Direct) or isinstance(synapse, Concat):
        raise NetworkError("is a correlation without its template: call Network.programmed first")
    assert layer.neuron is not None
    return Block(layer.name, source, _neuron(layer.neuron, shape, network.depth(layer.name)), part, feedback)


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


def _conv(network: Network, conv: Conv2d, source: str, bits: int) -> Part:
    check_sizes(conv)
    return Part(
        "Conv",
        {
            "weight": np.ascontiguousarray(conv.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)),
            "input_shape": network.shape(source)[::-1],
            "stride": conv.stride[::-1],
            "padding": conv.padding[::-1],
            "dilation": conv.dilation[::-1],
            "groups": conv.groups,
            "num_message_bits": bits,
        },
    )


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
