"""A network on a chip, and what real frames cost there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Named
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import MonospikeError, Network
from sim.costs import Cost, count_operations, price_mapped
from sim.hardware import Chip, load_chip
from sim.mapping import Mapping, map_network
from sim.mapping.placement import place
from sim.mapping.traffic import messages, rates
from sim.recording import Recording


@dataclass(frozen=True)
class Question:
    """What is asked of a chip.

    name: by which the chip was called. chips: that there are. place: put cores that talk to each other close together.
    seed: of the placements tried. steps: time steps that a frame takes. step_seconds: a measured time of a step.
    """

    name: str
    chip: Chip
    chips: int = 1
    place: bool = False
    seed: int = 0
    steps: int = 1
    step_seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """The answer. frames: time steps that were counted. warnings: what a reader should know of it, in words."""

    question: Question
    mapping: Mapping
    cost: Cost
    frames: int
    warnings: tuple[str, ...]


def make_plans(
    network: Network, frames: Named[str, npt.ArrayLike], recording: Recording, chips: Sequence[str]
) -> list[Plan]:
    """A plan for one of each of ``chips``, which are names or files NAME.yaml, cores placed by traffic.

    Raises as ``make_plan`` and ``load_chip`` do, and MonospikeError where two chips have one name: their files would be
    the same.
    """
    if len({chip_name(chip) for chip in chips}) < len(chips):
        raise MonospikeError(f"chips: two have the same name; rename one of the files ({', '.join(chips)})")
    asked = [Question(chip_name(chip), load_chip(chip), place=True) for chip in chips]
    return [make_plan(network, frames, recording, question) for question in asked]


def chip_name(chip: str) -> str:
    """By what a chip is called in results: its name, or that of its file."""
    return chip.removesuffix(".yaml").removesuffix(".yml").rpartition("/")[2]


def make_plan(
    network: Network,
    frames: Named[str, npt.ArrayLike],
    recording: Recording,
    question: Question,
    tried: Callable[[int], None] = lambda _: None,
) -> Plan:
    """Map ``network``, place it, and price what it did with ``frames``, according to ``recording``.

    network: without an unprogrammed correlation. tried: as for ``sim.mapping.placement.place``. Raises MonospikeError
    when the chip is not described well enough, when the time steps are no multiple of a frame's, or when no layer has a
    core; NetworkError where the frames do not fit.
    """
    chip = question.chip
    mapping = map_network(network, chip, question.name, question.chips)
    assert chip.mesh is not None
    assert chip.packing is not None
    if not mapping.cores:
        broken = "; ".join(map(str, mapping.violations))
        raise MonospikeError(f"{question.name}: not one layer fits on a core: {broken}")
    if recording.frames % question.steps:
        raise MonospikeError(
            f"there are {recording.frames} time steps, which is no multiple of the {question.steps} that a frame takes"
        )
    if question.place:
        traffic = messages(network, mapping, rates(network, recording), chip.packing)
        mapping = place(mapping, traffic, chip.mesh, question.seed, tried)
    cost = cost_on(chip, mapping, network, frames, recording, question.steps, question.step_seconds)
    return Plan(question, mapping, cost, recording.frames, tuple(_warnings(frames, cost)))


def cost_on(
    chip: Chip,
    mapping: Mapping,
    network: Network,
    frames: Named[str, npt.ArrayLike],
    recording: Recording,
    steps: int = 1,
    step_seconds: float | None = None,
) -> Cost:
    """Price what a mapped ``network`` did with ``frames``; all as for ``make_plan`` and ``Question``."""
    assert chip.mesh is not None, "what is mapped has a mesh and a packing"
    assert chip.packing is not None
    operations = count_operations(network, frames, recording, mapping, chip.mesh, chip.packing)
    depth = max(network.depth(name) for name in network.outputs)
    return price_mapped(operations, chip, depth, steps, step_seconds)


def _warnings(frames: Named[str, npt.ArrayLike], cost: Cost) -> list[str]:
    found, operations, mapping = [], cost.operations, cost.operations.mapping
    silent = [name for name, values in frames.items() if not np.any(np.asarray(values))]
    if silent:
        found.append(f"every value of input {silent[0]!r} is zero: these are the costs of a network that sees nothing")
    elif operations.per_frame("spikes") == 0 and operations.per_frame("graded_synops") == 0:
        found.append("no neuron spiked in any frame: these are the costs of an idle network; are the frames right?")
    if left_out := [layer.name for layer in mapping.layers if not layer.cores]:
        found.append(f"layers that do not fit on a core are not counted: {', '.join(left_out)}")
    if cost.priced and operations.per_frame("graded_synops") and "graded_synops" in cost.unpriced:
        found.append(
            "synaptic operations of messages that carry numbers (such as pixels) have no published cost here: they are "
            "counted, and are missing from energy and time"
        )
    if cost.chips > 1:
        found.append(
            "a message between chips is reckoned as one more tile: nothing is published of the links between them"
        )
    if not cost.priced:
        found.append("no energy of an operation is published for this chip: operations are counted, not priced")
    if cost.step is None:
        found.append("no duration of an operation is published for this chip: give a measured --step-time")
    if cost.costs.static is None:
        found.append("no static power is known of this chip: the energies are dynamic ones")
    elif cost.step is None:
        found.append("static energy needs the time of a step, which is not known")
    return found
