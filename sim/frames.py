"""Frames on their way into an engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from netx import Input, Network, NetworkError
from netx.arrays import IntArray


def checked_frames(network: Network, frames: Mapping[str, npt.ArrayLike]) -> dict[str, IntArray]:
    """The frames of every input of ``network``, int32, shape (frame, channel, height, width).

    Raises NetworkError, naming the input, when frames are missing, differ in number, do not fit, or are not integers
    within the input's range.
    """
    return {name: _plain(value) for name, value in narrow_frames(network, frames).items()}


def narrow_frames(network: Network, frames: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[np.integer]]:
    """As ``checked_frames``, but integers of 8 bits stay as they are, in memory too.

    Raises NetworkError, naming the input, when frames are missing, differ in number, do not fit, or are not integers
    within the input's range.
    """
    values = {source.name: _checked(source, frames) for source in network.inputs}
    counts = {name: len(value) for name, value in values.items()}
    if len(set(counts.values())) != 1:
        raise NetworkError(f"inputs differ in their number of frames: {counts}")
    return values


def checked_batches(network: Network, frames: Mapping[str, npt.ArrayLike]) -> dict[str, IntArray]:
    """As ``checked_frames`` for several sequences: shape (sequence, frame, channel, height, width)."""
    shapes = {}
    for source in network.inputs:
        shape = _array(source, frames.get(source.name, ())).shape
        if len(shape) != 5:
            raise NetworkError(f"input {source.name!r}: shape is {shape}, expected (sequence, frame, {source.shape})")
        shapes[source.name] = shape[:2]
    if len(set(shapes.values())) != 1:
        raise NetworkError(f"inputs differ in their number of sequences and frames: {shapes}")
    flat = {
        source.name: np.reshape(frames[source.name], (-1, *np.shape(frames[source.name])[2:]))
        for source in network.inputs
    }
    return {
        name: value.reshape(*shapes[name], *value.shape[1:]) for name, value in checked_frames(network, flat).items()
    }


def _checked(source: Input, frames: Mapping[str, npt.ArrayLike]) -> npt.NDArray[np.integer]:
    if source.name not in frames:
        raise NetworkError(f"no frames were given for input {source.name!r}")
    array = _array(source, frames[source.name])
    if array.ndim != 4 or array.shape[1:] != source.shape or len(array) == 0:
        raise NetworkError(f"input {source.name!r}: frames have shape {array.shape}, expected (frame, {source.shape})")
    if array.dtype.kind not in "biuf":
        raise NetworkError(f"input {source.name!r}: frames of type {array.dtype}, expected integers")
    if np.issubdtype(array.dtype, np.inexact):
        whole = np.isfinite(array) & (array == np.floor(array))
        if not whole.all():
            raise NetworkError(f"input {source.name!r}: frames hold {array[~whole].flat[0]}, expected integers")
    if array.min() < source.range.low or array.max() > source.range.high:
        raise NetworkError(f"input {source.name!r}: frames hold {array.min()}..{array.max()}, expected {source.range}")
    eight_bits = array.dtype in (np.int8, np.uint8) and array.flags.writeable and min(array.strides) > 0
    return array if eight_bits else _plain(array)


def _array(source: Input, frames: npt.ArrayLike) -> npt.NDArray:
    try:
        return np.asarray(frames)
    except ValueError:
        raise NetworkError(f"input {source.name!r}: frames are lists of several lengths, and no array") from None


def _plain(array: npt.NDArray) -> IntArray:
    plain = np.ascontiguousarray(array, dtype=np.int32)
    # An axis of length one may keep a negative stride, which torch does not take.
    return plain if min(plain.strides) > 0 else plain.copy()
