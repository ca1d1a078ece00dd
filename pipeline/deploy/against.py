"""``monospike verify NET --against FILE``: the exact engine held against another simulator's results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx import MonospikeError
from netx.foreign import shown
from netx.types import Shape
from pipeline.core.progress import Progress
from pipeline.deploy.simulation import Mode, simulate
from pipeline.model_zoo.networks import read_network
from sim.against import Against, compare_with
from sim.frame_files import read_input
from sim.nir_data import check_data, read_nir_data
from sim.programming import programmed


def verify_against(
    path: Path, file: Path, source: Path | None, input_shape: Shape | None, progress: Progress
) -> Against:
    """Run the network ``path`` and compare it with the NIRData in ``file``.

    source: frames, as ``monospike simulate`` reads them; None takes the inputs that ``file`` holds. input_shape: of a
    ``.net`` file that does not say it. Raises FormatError
    and NetworkError for what does not fit, MonospikeError where there are no frames.
    """
    network = read_network(path, input_shape=input_shape)
    frames: Mapping[str, npt.NDArray]
    if source is None:
        inputs = read_nir_data(file, network).inputs
        missing = [one.name for one in network.inputs if one.name not in inputs]
        if missing:
            raise MonospikeError(f"{file}: does not hold what input {missing[0]!r} was given: name it with --input")
        frames = inputs
    else:
        frames = read_input(source, network, None, lava_order=False)
    network, frames = programmed(network, frames)
    data = read_nir_data(file, network, len(np.asarray(next(iter(frames.values())))))
    check_data(file, data)
    result = simulate(network, frames, Mode(), progress)
    if result.recording is None or result.done < result.frames:
        raise SystemExit(130)
    return compare_with(network, result.recording, data)


def said(against: Against, file: Path) -> list[str]:
    """The result for the user, a line each."""
    lines = []
    for name, count in against.compared.items():
        lines.append(f"{shown(name, longest=40):16} {count:,} values, {against.differing[name]:,} differ")
    if against.left_out:
        lines.append(f"{file} says nothing of {', '.join(against.left_out)}")
    lines += [f"{name}: {why}: that its spikes agree means nothing" for name, why in against.unvaried.items()]
    if against.first is None:
        return [*lines, f"identical: {sum(against.compared.values()):,} values of {len(against.compared)} layers"]
    return [*lines, f"NOT identical; first in {against.first}"]
