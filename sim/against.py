"""A recording held against another simulator's results, as far as those go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import LIF, Network
from sim.cause import rearranged
from sim.nir_data import NirData
from sim.recording import Recording

OTHER = "the file"
"""How the other simulator is called."""


@dataclass(frozen=True)
class Against:
    """What was compared, by layer: number of values, spikes and voltages. first: where they part, in words, or None.
    left_out: layers of which the file says nothing. unvaried: those that agree and whose spikes
    say nothing, and why."""

    compared: Mapping[str, int]
    differing: Mapping[str, int]
    first: str | None
    left_out: tuple[str, ...]
    unvaried: Mapping[str, str]

    @property
    def identical(self) -> bool:
        """True when nothing differs."""
        return self.first is None


def compare_with(network: Network, recording: Recording, data: NirData) -> Against:
    """Every spike, message and voltage that ``data`` holds against ``recording``, without tolerance, layer by layer.

    Arrays have the same shapes (``sim.nir_data.read_nir_data`` sees to it).
    """
    compared: dict[str, int] = {}
    differing: dict[str, int] = {}
    first = None
    left_out = []
    for name in recording.membranes:
        pairs = [
            (what, ours[name], theirs[name])
            for what, ours, theirs in (
                ("spike", recording.spikes, data.spikes),
                ("message", recording.messages, data.messages),
                ("membrane voltage", recording.membranes, data.voltages),
            )
            if name in ours and name in theirs
        ]
        if not pairs:
            left_out.append(name)
            continue
        compared[name] = sum(ours.size for _, ours, _ in pairs)
        differing[name] = sum(int((ours != theirs).sum()) for _, ours, theirs in pairs)
        if first is None and differing[name]:
            what, ours, theirs = next(pair for pair in pairs if (pair[1] != pair[2]).any())
            first = _divergence(network, recording, name, what, ours, theirs)
    still = {name: why for name, why in recording.unvaried().items() if name in data.spikes and not differing[name]}
    return Against(compared, differing, first, tuple(left_out), still)


def _divergence(
    network: Network, recording: Recording, name: str, what: str, ours: npt.NDArray, theirs: npt.NDArray
) -> str:
    frame, channel, row, column = place = tuple(int(i) for i in np.argwhere(ours != theirs)[0])
    voltage = int(recording.membranes[name][place])
    cause = rearranged(ours.astype(np.float64), theirs.astype(np.float64), frame, (recording.engine, OTHER))
    neuron = network.layer(name).neuron
    if not cause and isinstance(neuron, LIF) and what == "spike":
        cause = f"another membrane voltage, or another threshold than {neuron.threshold}"
        if voltage == neuron.threshold:
            cause = f"threshold tie: the membrane equals the threshold {voltage}, and {OTHER} fires at equality"
    return (
        f"layer {name!r}, neuron (channel {channel}, row {row}, column {column}), frame {frame}: {what}: "
        f"{recording.engine} {ours[place]:g}, {OTHER} {theirs[place]:g}; membrane voltage {voltage}"
        + (f". Likely cause: {cause}" if cause else "")
    )
