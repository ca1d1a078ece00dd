"""Real frames for a network: a file of arrays, or a folder of pictures or arrays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from netx import FormatError, Input, Network
from pipeline.core.task import SequenceRun
from pipeline.datasets.images import SUFFIXES, in_order, read_frame
from sim import engine
from sim.frame_files import read_input
from sim.recording import Recording

_ARRAYS = (".npy", ".npz")


def read_frames(path: Path, network: Network) -> dict[str, npt.NDArray]:
    """The frames of every input of ``network``: (frame, channel, height, width).

    path: an .npy or .npz file as ``monospike simulate`` reads it; or a folder of such files, one after another, or of
    pictures, for a network of one input: they are taken in the order of the numbers in their names, shrunk or enlarged
    to its size, and spread over its range of values.
    Raises FormatError, naming the file, where there are no frames, NetworkError where they do not fit.
    """
    if not path.is_dir():
        return _not_empty(read_input(path, network, None, False), path)
    files = in_order(file for file in path.iterdir() if file.suffix.lower() in (*SUFFIXES, *_ARRAYS))
    if not files:
        kinds = ", ".join((*SUFFIXES, *_ARRAYS))
        raise FormatError(f"{path}: holds no frames: there is no file that ends in {kinds}")
    arrays = [file for file in files if file.suffix.lower() in _ARRAYS]
    if arrays and len(arrays) < len(files):
        raise FormatError(f"{path}: holds both pictures and arrays; leave one kind")
    if arrays:
        parts = [_not_empty(read_input(file, network, None, False), file) for file in arrays]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if len(network.inputs) > 1:
        names = ", ".join(source.name for source in network.inputs)
        raise FormatError(
            f"{path}: pictures are for one input, the network has {names}: give an .npz with an array each, or have a "
            "model follow a target through pictures with --sequence"
        )
    [source] = network.inputs
    return {source.name: np.stack([_as_input(file, source) for file in files])}


def watched(run: SequenceRun) -> tuple[Network, dict[str, npt.NDArray], Recording]:
    """The network that ran at every frame of a sequence, what entered it, and what it did, on the exact engine."""
    [passage] = run.at_every_frame
    inputs = dict(passage.inputs(slice(None)))
    return passage.network, inputs, engine.run(passage.network, inputs)


def _not_empty(frames: dict[str, npt.NDArray], path: Path) -> dict[str, npt.NDArray]:
    for name, values in frames.items():
        if len(values) == 0:
            raise FormatError(f"{path}: holds no frame for input {name!r}")
    return frames


def _as_input(file: Path, source: Input) -> npt.NDArray[np.int32]:
    """A picture in the input's size: its 256 levels spread evenly over the integers of the input's range."""
    picture = read_frame(file)
    if source.shape.channel not in (1, 3):
        raise FormatError(f"{file}: a picture has 1 or 3 channels, input {source.name!r} has {source.shape.channel}")
    if source.shape.channel == 1:
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    size = (source.shape.width, source.shape.height)
    fitted = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], source.shape.channel)
    levels = source.range.high - source.range.low + 1
    return (source.range.low + (fitted.astype(np.int64) * levels >> 8)).transpose(2, 0, 1).astype(np.int32)
