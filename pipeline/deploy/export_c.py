"""A network as C source with golden frames from the exact engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from netx import Network, NetworkError
from netx.arrays import IntArray
from netx.c_source import Golden, GoldenPart, write_c
from sim import engine
from sim.drawn_frames import draw_frames
from sim.frame_files import read_input
from sim.programming import programmed
from sim.recording import Recording


def export_c(network: Network, path: Path, frames: Path | None, count: int, seed: int) -> None:
    """Write ``network`` as C source to the folder ``path``.

    frames: a file of golden frames as ``monospike simulate`` reads it, of which the first ``count`` are taken; None
    draws them from ``seed``. Raises FormatError or NetworkError as ``netx.c_source.write_c`` and the engine do.
    """
    if frames is None:
        values, origin = dict(draw_frames(network, count, seed)), f"drawn from seed {seed}"
    else:
        read = read_input(frames, network, None, lava_order=False)
        values = {name: np.asarray(array[:count], np.int32) for name, array in read.items()}
        origin = f"from {frames.name}"
    try:
        golden = golden_of(network, values, origin)
    except NetworkError as error:
        advice = "" if frames else "; name frames that it can run with --frames"
        raise NetworkError(f"the golden frames cannot be run: {error}{advice}") from None
    write_c(network, path, golden)


def golden_of(network: Network, frames: Mapping[str, IntArray], origin: str) -> Golden:
    """The exact engine on ``frames``; a template is the first frame of its input."""
    if not network.correlations():
        return Golden(_part(frames, engine.run(network, frames)), origin=origin)
    templates = network.template_network()
    first = {source.name: frames[source.name][:1] for source in templates.inputs}
    held = {name: np.repeat(first[name], len(array), 0) if name in first else array for name, array in frames.items()}
    searching, rest = programmed(network, held)
    moving = {name: np.asarray(array) for name, array in rest.items()}
    return Golden(_part(moving, engine.run(searching, moving)), _part(first, engine.run(templates, first)), origin)


def _part(frames: Mapping[str, IntArray], recording: Recording) -> GoldenPart:
    outputs = {
        name: recording.spikes.get(name, recording.messages.get(name, membrane))
        for name, membrane in recording.membranes.items()
    }
    return GoldenPart(frames, outputs, recording.membranes)
