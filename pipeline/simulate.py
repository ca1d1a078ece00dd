"""``monospike simulate``: a network's file and an input's file in, a recording out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx import FormatError, Network, NetworkError
from netx.bundle import load
from netx.net_file import read_net
from netx.npz import read_npz
from pipeline.progress import Progress
from pipeline.weights import CHECKPOINT, checkpoint_path, has_network, network_path
from sim import engine
from sim.kernels import ExactType
from sim.recording import Recording

_VALUES_A_PART = 1 << 25
"""Neurons times frames that are run at a time: some hundred MiB, and a second or so between two looks at Ctrl-C."""


@dataclass(frozen=True)
class Simulated:
    """What was run. frames: how many there were to run; fewer are recorded when it was interrupted."""

    network: Network
    recording: Recording | None
    frames: int

    @property
    def done(self) -> int:
        """Frames that were run."""
        return 0 if self.recording is None else self.recording.frames


def read_network(path: Path, layers: int | None = None, reset: int | None = None) -> Network:
    """The network in a ``.net`` or ``.nir`` file or a folder of them, or that of a model: packaged, or a checkpoint.

    layers: only as many of the groups of a lava-dl ``.net`` file. reset: frames after which LIF neurons forget.
    Raises FormatError, with the file and the place in it, NetworkError for an impossible ``reset``, MonospikeError for
    a model that has no network of integers.
    """
    is_name = len(path.parts) == 1 and not path.suffix and not path.exists()
    if is_name or path.suffix == CHECKPOINT:
        network = _of_model(str(path))
    else:
        network = read_net(path, layers=layers) if path.suffix == ".net" else load(path)
    return network if reset is None else network.with_reset(reset)


def _of_model(name: str) -> Network:
    if Path(name).suffix != CHECKPOINT and has_network(name):
        return load(network_path(name))
    # Imported here because it loads what trains models, which networks from files do without.
    from pipeline.search.subject import open_subject

    return open_subject(checkpoint_path(name)).network()


def read_input(path: Path, network: Network, steps: int | None, lava_order: bool) -> dict[str, npt.NDArray]:
    """The frames of every input: an ``.npy`` for the only one, or an ``.npz`` with an array for each, by name.

    An array is (frame, channel, height, width), or one frame, which is then held for all ``steps``; what is flat may
    leave its last axes out. lava_order: it is (column, row, channel, step) instead, or (channel, step).
    Raises FormatError for what is no such file, NetworkError for what does not fit.
    """
    arrays = _arrays(path, network)
    return {
        source.name: _shaped(arrays[source.name], tuple(source.shape), source.name, steps, lava_order)
        for source in network.inputs
        if source.name in arrays
    }


def programmed(network: Network, frames: Mapping[str, npt.NDArray]) -> tuple[Network, Mapping[str, npt.NDArray]]:
    """A Siamese network with its correlations programmed for the template in ``frames``, and the other frames.

    Any other network comes back as it is. Raises NetworkError when there is more than one template.
    """
    if not network.correlations():
        return network, frames
    templates = network.template_network()
    names = [source.name for source in templates.inputs]
    for name in names:
        if (frames[name] != frames[name][:1]).any():
            raise NetworkError(f"input {name!r}: the network is programmed for one target; give one frame of it")
    spikes = engine.run(templates, {name: frames[name][:1] for name in names}).spikes
    searching = network.programmed({name: spikes[name][0] for name in templates.outputs})
    return searching, {source.name: frames[source.name] for source in searching.inputs}


@dataclass(frozen=True)
class How:
    """How to run. strict: refuse what only a simulator lets pass. types, device: as ``sim.fused.compile`` says."""

    strict: bool = False
    types: ExactType | None = None
    device: str = "cpu"


def simulate(network: Network, frames: Mapping[str, npt.ArrayLike], how: How, progress: Progress) -> Simulated:
    """Run the engine, part by part, until the frames are done or the user interrupts it.

    Raises NetworkError when the frames do not fit or, where ``strict``, the chip's ranges are left.
    """
    total = max((len(np.asarray(array)) for array in frames.values()), default=0)
    neurons = sum(network.shape(layer.name).size for layer in network.layers)
    parts: list[Recording] = []
    with progress.task("frames", total) as task:
        try:
            size = max(_VALUES_A_PART // neurons, 1)
            for part in engine.run_in_parts(
                network, frames, size, strict=how.strict, types=how.types, device=how.device
            ):
                parts.append(part)
                task.reach(sum(part.frames for part in parts))
        except KeyboardInterrupt:
            progress.say(f"interrupted after {sum(part.frames for part in parts)} of {total} frames")
    return Simulated(network, Recording.joined(parts) if parts else None, total)


def sums(network: Network, how: How) -> list[str]:
    """What the sums of every layer are computed in, and why, a line each."""
    chosen = () if how.strict else engine.choices(network, types=how.types, device=how.device)
    if not chosen:
        return ["sums in float32, or float64 where what arrives may need it: the network is run step by step"]
    return [f"{one.layer:16} sums in {one.type}, at most {one.bound}: {one.reason}" for one in chosen]


def summary(simulated: Simulated) -> list[str]:
    """Spikes, messages or read-outs of every layer, a line each."""
    if simulated.recording is None:
        return []
    lines = []
    for name, membrane in simulated.recording.membranes.items():
        shape = simulated.network.shape(name)
        if name in simulated.recording.spikes:
            spikes = simulated.recording.spikes[name]
            said = f"{int(spikes.sum())} spikes, {spikes.mean():.2%} of neurons and frames"
        elif name in simulated.recording.messages:
            said = f"{np.count_nonzero(simulated.recording.messages[name])} messages"
        else:
            said = f"read-out {membrane.min()}..{membrane.max()}"
        lines.append(f"{name:16} {shape!s:>14}  {said}")
    return lines


def _arrays(path: Path, network: Network) -> dict[str, npt.NDArray]:
    arrays = read_npz(path)
    if path.suffix != ".npz":
        arrays = dict(zip([network.inputs[0].name], arrays.values(), strict=True))
    if missing := [source.name for source in network.inputs if source.name not in arrays]:
        raise FormatError(f"{path}: holds {', '.join(arrays) or 'nothing'}, but there is an input {missing[0]!r}")
    return arrays


def _fits(frames: npt.NDArray, shape: tuple[int, ...]) -> bool:
    """True for whole frames of ``shape``, flat or not."""
    return frames.shape[1:] in (shape, (int(np.prod(shape)),))


def _shaped(array: npt.NDArray, shape: tuple[int, ...], name: str, steps: int | None, lava_order: bool) -> npt.NDArray:
    """(frame, channel, height, width), of ``steps`` frames where that is given."""
    given = array.shape
    if lava_order:
        array = array.transpose()
    size = int(np.prod(shape))
    # A single frame, all of it or flat, has as many values as the input; then come any number of frames.
    if array.size == size and array.ndim in (1, 3):
        array = array[None]
    if not _fits(array, shape):
        order = "(column, row, channel, step)" if lava_order else "(frame, channel, height, width)"
        advice = (
            f"; it fits {'without' if lava_order else 'with'} --lava-order" if _fits(array.transpose(), shape) else ""
        )
        raise NetworkError(f"input {name!r}: shape {given} does not fit {shape} as {order}{advice}")
    array = array.reshape(len(array), *shape)
    if steps is None or steps == len(array):
        return array
    if len(array) == 1:
        return np.broadcast_to(array, (steps, *shape))
    if steps > len(array):
        raise NetworkError(f"input {name!r}: has {len(array)} frames, fewer than the {steps} steps asked for")
    return array[:steps]
