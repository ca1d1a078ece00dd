"""Frames of a network from files of arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx import FormatError, Network, NetworkError
from netx.npz import read_npz


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
