"""The exact engine: runs a Network in integers, with the same bits as Lava's fixed-point processes.

A run is a function of the network and its frames over time. Time is the network's own: a layer answers a frame at the
step at which the frame enters, and only states, delays and feedback (one step) reach over steps. Lava is late by one
step for every synapse on the way; ``trace`` with ``pipelined`` says exactly what Lava's variables hold at each of its
steps, before the first frame arrives included, which is what biases see of it.

Every run is one of a compiled network. ``compile`` makes one to keep; the functions here keep those of the last few
networks that they were given.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from netx import Network, NetworkError
from sim.compiled import Compiled, Trace, compile, compile_to_trace, frames_together
from sim.frames import checked_frames
from sim.kernels import Choice, ExactType
from sim.recording import Recording

__all__ = [
    "Compiled",
    "Trace",
    "choices",
    "compile",
    "frames_together",
    "run",
    "run_batch",
    "run_in_parts",
    "trace",
]

_KEPT = 4
"""Compiled networks that are kept, the last ones used: so many are run in turn, and none is large for long."""

_kept: OrderedDict[tuple[object, ...], Compiled] = OrderedDict()


def run(network: Network, frames: Mapping[str, npt.ArrayLike], *, strict: bool = False) -> Recording:
    """Run ``network`` on one frame a time step and record every spike, membrane voltage and message.

    frames: for each input integers within its range, shape (frame, channel, height, width); equal frame counts.
    strict: refuse whatever only a simulator would let pass, see ``sim.strict_limits``.
    Neurons start at rest; those with memory carry it from frame to frame.
    Raises NetworkError, naming input or layer, when frames do not fit, a correlation has not been programmed, a sum
    leaves 32 bits, or, where ``strict``, the chip's ranges are left.
    """
    return _recorder(network, strict, _count(network, frames)).run(frames)


def run_batch(network: Network, frames: Mapping[str, npt.ArrayLike], *, strict: bool = False) -> list[Recording]:
    """As ``run`` for several independent sequences: frames of shape (sequence, frame, channel, height, width)."""
    return _recorder(network, strict, _count(network, frames, sequences=True)).run_batch(frames)


def run_in_parts(
    network: Network,
    frames: Mapping[str, npt.ArrayLike],
    size: int,
    *,
    strict: bool = False,
    types: ExactType | None = None,
    device: str = "cpu",
) -> Iterator[Recording]:
    """As ``run``, ``size`` frames at a time; the recordings joined are the same. What is done is kept by the caller.

    types, device: as ``compile`` takes them.
    """
    frames = checked_frames(network, frames)
    count = min(size, len(next(iter(frames.values()))))
    return _recorder(network, strict, count, types, device).run_in_parts(frames, size)


def choices(network: Network, *, types: ExactType | None = None, device: str = "cpu") -> tuple[Choice, ...]:
    """What ``run`` computes the sums of each layer in, and why; of its last call where a measured rate decides."""
    for kept in reversed(_kept.values()):
        if kept.network is network and kept.record and kept.device == device and kept.types == types:
            return kept.choices
    return _recorder(network, False, 1, types, device).choices


def trace(network: Network, frames: Mapping[str, npt.ArrayLike], *, pipelined: bool = False) -> dict[str, Trace]:
    """As ``run``, and every variable of every layer at every step.

    pipelined: every synapse answers a step late, as in Lava. A layer of depth d (``Network.depth``) then answers frame
    t at step t + d and has seen d steps without input before the first; append as many frames of zeros to see it all.
    """
    return compile_to_trace(network, pipelined=pipelined).traced(frames)


def _count(network: Network, frames: Mapping[str, npt.ArrayLike], sequences: bool = False) -> int:
    """Frames that are given, of all sequences together; what is wrong with them is said where they are run."""
    try:
        given = np.shape(frames[network.inputs[0].name])
    except (KeyError, ValueError):  # no such input, or lists of several lengths
        given = ()
    return math.prod(given[: 1 + sequences])


def _recorder(
    network: Network, strict: bool, frames: int, types: ExactType | None = None, device: str = "cpu"
) -> Compiled:
    """``network``, compiled to record everything, ``frames`` at a time if they are few."""
    if strict and (types is not None or device != "cpu"):
        raise NetworkError("strict runs watch every value: they go without types and devices of choice")
    batch = max(1, min(frames, frames_together(network)))
    # By identity: to compare all weights would take longer than many a run. The network is held, and its id with it.
    key = (id(network), strict, batch, types, device)
    if key not in _kept:
        _kept[key] = compile(network, record=True, batch=batch, types=types, device=device, strict=strict)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key]
