"""A network, mapped and placed, as files for SANA-FE."""

from __future__ import annotations

from collections.abc import Mapping as Named
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx import MonospikeError, Network
from pipeline.planning.plan import chip_name
from sim.drawn_frames import draw_frames
from sim.frame_files import read_input
from sim.hardware import load_chip
from sim.mapping import Mapping, map_network
from sim.programming import programmed
from sim.sanafe import Exported, write_sanafe


def export_sanafe(
    network: Network, path: Path, chip: str, mapping: Path | None, frames: Path | None, count: int, seed: int
) -> Exported:
    """Write ``network`` for SANA-FE to the folder ``path``.

    chip: a name or a file, as ``sim.hardware.load_chip`` takes it. mapping: what ``monospike map --out`` wrote of this
    network, placement included; None maps it anew. frames: what runs, as ``monospike simulate`` reads it, of which the
    first ``count`` are taken; None draws them from ``seed``. Raises as ``sim.sanafe.write_sanafe`` does.
    """
    values: Named[str, npt.NDArray]
    if frames is None:
        values = draw_frames(network, count, seed)
        if network.correlations():
            held = {source.name for source in network.template_network().inputs}
            values = {name: np.repeat(one[:1], len(one), 0) if name in held else one for name, one in values.items()}
    else:
        read = read_input(frames, network, None, lava_order=False)
        values = {name: array[:count] for name, array in read.items()}
    network, values = programmed(network, values)
    described = load_chip(chip)
    if mapping is None:
        mapped = map_network(network, described, chip_name(chip))
    else:
        mapped = Mapping.load(mapping)
        if mapped.chip != chip_name(chip):
            raise MonospikeError(f"{mapping}: is a mapping on {mapped.chip}, not on {chip_name(chip)}: see --chip")
    return write_sanafe(network, mapped, described, values, path)
