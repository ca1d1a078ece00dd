"""From the operations of every core to joules, by unit and by layer."""

from __future__ import annotations

from collections.abc import Mapping as Named
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import MonospikeError
from sim.costs.estimates import ESTIMATES, counted, ranged
from sim.costs.operations import Operations
from sim.costs.timing import Duration, Times, step_times
from sim.energy import Energy
from sim.hardware import UNITS, Chip, MappedCosts, Unit

_JOULE = 1e-12
"""Joules in a picojoule."""


@dataclass(frozen=True)
class Cost:
    """What a network on a chip costs, time step by time step.

    costs: the part of the chip's file that was applied.
    joules: dynamic energy of a step, mean over the frames, float64, shape (core, unit, estimate), units in the order of
        UNITS.
    times: None where no latency is published. step: seconds of a time step, reckoned or given; None where neither.
    steps: time steps that a frame takes. depth: steps from its entrance to its answer, of a frame of one step.
    unpriced: counts of a frame for which the file has no energy.
    """

    chip: Chip
    costs: MappedCosts
    operations: Operations
    joules: npt.NDArray[np.float64]
    times: Times | None
    step: Duration | None
    steps: int
    depth: int
    unpriced: Named[str, float]

    @property
    def priced(self) -> bool:
        """False where nothing is known of the energy of any operation."""
        return bool(self.costs.energies())

    @property
    def chips(self) -> int:
        """Chips on which a core is used; there may be more."""
        assert self.chip.limits is not None
        return len({site // self.chip.limits.cores.value for site in self.operations.mapping.placement})

    @property
    def dynamic(self) -> Energy:
        """Joules of a frame that its operations take."""
        return self._frame(self.joules)

    @property
    def static(self) -> Energy | None:
        """Joules that the chips draw while a frame is computed; None where power or time is unknown."""
        power = self.costs.static
        if power is None or self.step is None:
            return None
        watts = (power.low or power.watts, power.watts, power.high or power.watts)
        seconds = (self.steps * one for one in self.step)
        return Energy(*(self.chips * w * s for w, s in zip(watts, seconds, strict=True)))

    @property
    def interval(self) -> Duration | None:
        """Seconds between two frames that follow each other without a pause."""
        return None if self.step is None else Duration(*(self.steps * one for one in self.step))

    @property
    def latency(self) -> Duration | None:
        """Seconds from a frame's entrance to its answer."""
        return None if self.step is None else Duration(*((self.steps + self.depth - 1) * one for one in self.step))

    def by_unit(self) -> dict[Unit, Energy]:
        """Joules of a frame in each unit."""
        return {unit: self._frame(self.joules[:, number]) for number, unit in enumerate(UNITS)}

    def by_layer(self) -> dict[str, Energy]:
        """Joules of a frame in each layer; a message is its sender's."""
        return {part.name: self._frame(self.joules[list(part.cores)]) for part in self.operations.mapping.layers}

    def by_layer_and_unit(self) -> dict[str, dict[Unit, Energy]]:
        """Joules of a frame in each unit of each layer's cores."""
        return {
            part.name: {unit: self._frame(self.joules[list(part.cores)][:, n]) for n, unit in enumerate(UNITS)}
            for part in self.operations.mapping.layers
        }

    def _frame(self, joules: npt.NDArray[np.float64]) -> Energy:
        return Energy(*(float(value) * self.steps for value in joules.reshape(-1, len(ESTIMATES)).sum(axis=0)))


def price_mapped(
    operations: Operations, chip: Chip, depth: int, steps: int = 1, step_seconds: float | None = None
) -> Cost:
    """What ``operations`` cost on ``chip``.

    depth: of the network, in layers. steps: time steps that a frame takes. step_seconds: a measured time of a step,
    taken in the place of the reckoned one. Raises MonospikeError when the chip's file has no section ``mapped``.
    """
    if chip.mapped is None:
        raise MonospikeError(
            f"{chip.title}: its file has no section 'mapped', which says how energies and latencies apply to cores; "
            "loihi1_sanafe, loihi1_davies2018 and loihi2 have one"
        )
    times = step_times(operations, chip, chip.mapped)
    step = None if times is None else times.step
    if step_seconds is not None:
        step = Duration(step_seconds, step_seconds, step_seconds)
    unpriced: dict[str, float] = {name: operations.per_frame(name) * steps for name in chip.mapped.unpriced}
    joules = _joules(operations, chip, chip.mapped)
    return Cost(chip, chip.mapped, operations, joules, times, step, steps, depth, unpriced)


def _joules(operations: Operations, chip: Chip, costs: MappedCosts) -> npt.NDArray[np.float64]:
    joules = np.zeros((len(operations.mapping.cores), len(UNITS), len(ESTIMATES)))
    for priced in costs.operations:
        if priced.energy is None:
            continue
        constant = chip.energies[priced.energy]
        for estimate, each in enumerate(ranged(constant.low, constant.picojoules, constant.high)):
            if (name := counted(priced, estimate)) is not None:
                means = operations.counts[name].mean(axis=0)
                joules[:, UNITS.index(priced.unit), estimate] += means * each * _JOULE
    if costs.accuracy is not None:
        joules /= (1 + costs.accuracy.energy, 1, 1 - costs.accuracy.energy)
    return joules
