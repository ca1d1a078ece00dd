"""Runs exported ``.nir`` files in stock norse, which knows nothing of this project's integers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import torch

from netx import LIF, WIRES, FormatError, Layer, MonospikeError, Network, NetworkError
from netx.bundle import Part, load, parts
from netx.headroom import largest_sum
from netx.nir_file import TIME_STEP, neuron_node, synapse_node
from sim.frames import checked_frames
from sim.recording import Recording
from sim.wires import wired

_FLOAT32_EXACT = 1 << 24
"""norse computes in float32: integers are exact below."""


class NorseError(MonospikeError):
    """norse is not installed, or what it computed are no exact integers."""


def run(path: Path, frames: Mapping[str, npt.ArrayLike]) -> Recording:
    """Run the ``.nir`` file, or the folder of them, that ``netx.bundle.save`` wrote; all frames as one batch.

    frames: for each input integers within its range, shape (frame, channel, height, width); equal frame counts.
    Spikes are those of norse's LIF cells; membranes are what their convolution feeds them, which is the membrane
    voltage before reset because the cells' time constant is the time step. Raises FormatError for a bad file,
    NetworkError when frames do not fit or a correlation is not programmed, and NorseError when norse is missing or its
    numbers are not exact.
    """
    norse = _norse()
    network = load(path)
    if network.correlations():
        name = network.correlations()[0].name
        raise NetworkError(f"{path}: layer {name!r} is a correlation: save the network that Network.programmed returns")
    _check_exact(network)
    values = {name: torch.from_numpy(array).float() for name, array in checked_frames(network, frames).items()}
    chains = {part.layers[0]: part for part in parts(path)}
    outputs: dict[str, npt.NDArray] = {}
    for layer in network.layers:
        if isinstance(layer.synapse, WIRES) and all(name in values for name in layer.inputs):
            values[layer.name] = wired(layer.synapse, [values[name] for name in layer.inputs])
        elif layer.name in chains:
            part = chains[layer.name]
            cache = _run_part(norse, part, values[part.source])
            outputs |= {name: value.numpy() for name, value in cache.items()}
            values[part.layers[-1]] = _sent(network.layer(part.layers[-1]), cache)
    return _recording(network, outputs, len(next(iter(values.values()))))


def _norse() -> ModuleType:
    try:
        import norse.torch
    except ImportError as error:
        raise NorseError(f"norse is not installed ({error}): pip install 'monospike[norse]'") from None
    return norse.torch


def _check_exact(network: Network) -> None:
    for layer in network.layers:
        if layer.neuron is None:
            continue
        worst = largest_sum(network, layer.name)
        if worst >= _FLOAT32_EXACT:
            raise NorseError(f"layer {layer.name!r}: sums may reach {worst}, and norse's float32 is exact below 2^24")


def _run_part(norse: ModuleType, part: Part, values: torch.Tensor) -> dict[str, torch.Tensor]:
    """The output of every node of one file for a batch of frames (frame, channel, height, width)."""
    if part.file.suffix != ".nir":
        raise FormatError(f"{part.file}: norse reads .nir files only")
    graph = nir.read(part.file)
    with warnings.catch_warnings(), torch.no_grad():
        # norse 1.1.0 still builds its graphs with nirtorch.load.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        _, state = norse.from_nir(graph, dt=TIME_STEP)(values)
    cache: dict[str, Any] = state.cache
    return {name: value.detach() for name, value in cache.items() if value is not None}


def _sent(layer: Layer, cache: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return cache[neuron_node(layer.name) if isinstance(layer.neuron, LIF) else synapse_node(layer.name)]


def _recording(network: Network, outputs: Mapping[str, npt.NDArray], frames: int) -> Recording:
    spikes: dict[str, npt.NDArray[np.uint8]] = {}
    membranes: dict[str, npt.NDArray[np.int32]] = {}
    for layer in network.layers:
        if layer.neuron is None:
            continue
        shape = (frames, *network.shape(layer.name))
        membranes[layer.name] = _whole(layer.name, outputs[synapse_node(layer.name)]).reshape(shape)
        if isinstance(layer.neuron, LIF):
            spikes[layer.name] = _binary(layer.name, outputs[neuron_node(layer.name)]).reshape(shape)
    return Recording("norse", spikes, membranes)


def _whole(name: str, values: npt.NDArray) -> npt.NDArray[np.int32]:
    whole = np.isfinite(values) & (values == np.round(values))
    if not whole.all():
        raise NorseError(f"layer {name!r}: norse's membrane holds {values[~whole].flat[0]}, which is no integer")
    return values.astype(np.int32)


def _binary(name: str, values: npt.NDArray) -> npt.NDArray[np.uint8]:
    binary = (values == 0) | (values == 1)
    if not binary.all():
        raise NorseError(f"layer {name!r}: norse's spikes hold {values[~binary].flat[0]}, expected 0 or 1")
    return values.astype(np.uint8)
