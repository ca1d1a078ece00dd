"""What passes between the caller and the process that runs Lava: plain arrays and JSON in the job's folder.

Shapes here are Lava's, (column, row, channel); ``in_lava_order`` and ``in_torch_order`` translate.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from netx.files import write_whole
from netx.npz import npz_bytes, read_npz
from netx.types import Pair

IntArray = npt.NDArray[np.int32]

ConvModel: TypeAlias = Literal["stock", "fast", "proven"]
"""Who computes convolutions in Lava's Conv processes: Lava's own model, sim.lava.conv's with the same bits, or Lava's
own where it is soon done and elsewhere ours, which each process first holds against Lava's own in this very run."""

_SOON = 1 << 22
"""Multiplications of one step that Lava's own model does in some milliseconds."""
_CALL = 1 << 14
"""Multiplications that take as long as scipy's ``convolve2d``, called for each pair of channels, takes beside them."""

_DESCRIPTION, _ARRAYS, _OUTCOME, _PROGRESS = "job.json", "job.npz", "outcome.npz", "progress"


@dataclass(frozen=True)
class LavaNeuron:
    """A stock ``LIF`` process. bias: shape (channel,). threshold in weight units; the decays in 1/4096."""

    bias: IntArray
    bias_exponent: int
    threshold: int
    current_decay: int
    voltage_decay: int


def is_wide(weight: Sequence[int], message: Sequence[int]) -> bool:
    """Whether Lava's own convolution takes long: for each pair of channels a kernel slides over all columns and rows,
    whatever the stride (lava-nc 0.10.0 ``proc/conv/utils.py``).

    weight: shape (out channel, column, row, in channel / groups). message: shape (column, row, channel).
    """
    outs, *kernel, ins = weight
    return outs * ins * (math.prod(kernel) * message[0] * message[1] + _CALL) > _SOON


@dataclass(frozen=True)
class LavaSynapse:
    """One stock ``Conv`` process in its own terms.

    source: name of the layer or input it reads, of shape input_shape (column, row, channel).
    weight: shape (out channel, column, row, in channel / groups), the kernel flipped: Lava's is a true convolution.
    stride, padding, dilation: (column, row).
    message_bits: 0 when the source sends spikes, the width of its integers otherwise.
    spread: (rows, columns) of its outputs that lie in its channels, see ``in_place``.
    """

    source: str
    input_shape: tuple[int, int, int]
    weight: IntArray
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    message_bits: int
    spread: Pair = (1, 1)


@dataclass(frozen=True)
class LavaLayer:
    """The ``LIF`` process of a layer, and the synapses whose currents add up in it."""

    name: str
    synapses: tuple[LavaSynapse, ...]
    neuron: LavaNeuron


@dataclass(frozen=True)
class NetPart:
    """A ``.net`` file that holds a chain of layers, loaded by lava-dl's own netx.

    layers: their names, in the file's order and without its input layer. source: name of the input, or of a layer of
    an earlier part, that it reads. message_bits: 0 when the source sends spikes, the width of its integers otherwise.
    """

    path: Path
    layers: tuple[str, ...]
    source: str
    message_bits: int = 0


@dataclass(frozen=True)
class LavaJob:
    """Layers or parts, each after its source, and the frames of each input (column, row, channel, frame).

    conv: the model of every Conv process. hold: steps for which each frame is there.
    """

    frames: Mapping[str, IntArray]
    layers: tuple[LavaLayer, ...] = ()
    parts: tuple[NetPart, ...] = ()
    conv: ConvModel = "stock"
    hold: int = 1

    @property
    def frame_count(self) -> int:
        return next(iter(self.frames.values())).shape[-1]


@dataclass(frozen=True)
class LayerOutcome:
    """What Lava did with one layer, every array of shape (frame, column, row, channel) or broadcastable to it.

    activation: what the synapse sent to the neurons, in weight units.
    spikes: 0 or 1. voltage: the membrane voltage of a layer that never spikes, in 1/64 weight unit, and None otherwise.
    bias: what the neurons add, in 1/64 weight unit. current_decay, voltage_decay in 1/4096.
    stand_in: whether a model of ours stood in for Lava's own Conv.
    """

    activation: IntArray
    spikes: IntArray
    voltage: IntArray | None
    bias: IntArray
    current_decay: int
    voltage_decay: int
    stand_in: bool = False


def in_place(values: Any, spread: Sequence[int]) -> Any:
    """Sums of a sub-pixel convolution (column, row, channel, of which ``spread`` rows and columns are places of the
    output) at their places: (column, row, channel). values: an array, or a port of Lava's, which has the same methods.
    """
    if tuple(spread) == (1, 1):
        return values
    (columns, rows, channels), (down, across) = values.shape, spread
    apart = values.reshape((columns, rows, channels // (down * across), down, across))
    placed = apart.transpose([0, 4, 1, 3, 2])
    return placed.reshape((columns * across, rows * down, channels // (down * across)))


def in_lava_order(frames: IntArray) -> IntArray:
    """(frame, channel, row, column) as (column, row, channel, frame)."""
    return np.ascontiguousarray(frames.transpose(3, 2, 1, 0))


def in_torch_order(frames: npt.NDArray) -> npt.NDArray:
    """(frame, column, row, channel) as (frame, channel, row, column)."""
    return np.ascontiguousarray(frames.transpose(0, 3, 2, 1))


def write_job(folder: Path, job: LavaJob) -> None:
    """Write ``job`` to its folder."""
    arrays = {f"frames/{name}": frames for name, frames in job.frames.items()}
    layers = [dataclasses.asdict(layer) for layer in job.layers]
    for layer in layers:
        for index, synapse in enumerate(layer["synapses"]):
            arrays[f"weight/{layer['name']}/{index}"] = synapse.pop("weight")
        arrays[f"bias/{layer['name']}"] = layer["neuron"].pop("bias")
    parts = [dataclasses.asdict(part) | {"path": str(part.path.resolve())} for part in job.parts]
    (folder / _ARRAYS).write_bytes(npz_bytes(arrays))
    (folder / _DESCRIPTION).write_text(
        json.dumps({"layers": layers, "parts": parts, "conv": job.conv, "hold": job.hold})
    )


def read_job(folder: Path) -> LavaJob:
    """What ``write_job`` wrote."""
    description = json.loads((folder / _DESCRIPTION).read_text())
    arrays = read_npz(folder / _ARRAYS)
    layers = []
    for layer in description["layers"]:
        name = layer["name"]
        neuron = LavaNeuron(bias=arrays[f"bias/{name}"], **layer["neuron"])
        synapses = []
        for index, synapse in enumerate(layer["synapses"]):
            pairs = {key: tuple(synapse[key]) for key in ("input_shape", "stride", "padding", "dilation", "spread")}
            synapses.append(LavaSynapse(**synapse | pairs | {"weight": arrays[f"weight/{name}/{index}"]}))
        layers.append(LavaLayer(name, tuple(synapses), neuron))
    parts = [
        NetPart(Path(part["path"]), tuple(part["layers"]), part["source"], part["message_bits"])
        for part in description["parts"]
    ]
    frames = {key.removeprefix("frames/"): value for key, value in arrays.items() if key.startswith("frames/")}
    return LavaJob(frames, tuple(layers), tuple(parts), description["conv"], description["hold"])


def write_outcome(folder: Path, outcome: Mapping[str, LayerOutcome]) -> None:
    """Write what every layer did, whole or not at all."""
    arrays = {
        f"{name}/{field.name}": np.asarray(value)
        for name, layer in outcome.items()
        for field in dataclasses.fields(layer)
        if (value := getattr(layer, field.name)) is not None
    }
    with write_whole(folder / _OUTCOME) as temporary:
        temporary.write_bytes(npz_bytes(arrays))


def read_outcome(folder: Path) -> dict[str, LayerOutcome]:
    """What ``write_outcome`` wrote, in the same order."""
    arrays = read_npz(folder / _OUTCOME)
    names = dict.fromkeys(key.partition("/")[0] for key in arrays)
    return {
        name: LayerOutcome(
            activation=arrays[f"{name}/activation"],
            spikes=arrays[f"{name}/spikes"],
            voltage=arrays.get(f"{name}/voltage"),
            bias=arrays[f"{name}/bias"],
            current_decay=int(arrays[f"{name}/current_decay"]),
            voltage_decay=int(arrays[f"{name}/voltage_decay"]),
            stand_in=bool(arrays[f"{name}/stand_in"]),
        )
        for name in names
    }


def write_progress(folder: Path, frames: int) -> None:
    """Say that ``frames`` frames have left the last layer."""
    draft = folder / f"{_PROGRESS}.new"
    draft.write_text(str(frames))
    draft.replace(folder / _PROGRESS)


def read_progress(folder: Path) -> int | None:
    """How many frames have left the last layer; None before the simulation has started."""
    try:
        return int((folder / _PROGRESS).read_text())
    except FileNotFoundError:
        return None
