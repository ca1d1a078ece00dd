"""Times of two ways to do the same, measured in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measure:
    """One entry of ``bench.json``.

    ratio: what the goal is about, the median over the runs of each pair's ratio. ours_s, theirs_s: median seconds of a
    run; None where there is no such thing. runs: pairs measured. goal: in words. note: what exactly was compared.
    profile: median seconds by layer, where the time goes.
    """

    ratio: float
    ours_s: float
    theirs_s: float | None
    runs: int
    goal: str
    note: str
    profile: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pairs:
    """Seconds of two ways, run in turn as often."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ours_s(self) -> float:
        return statistics.median(self.ours)

    @property
    def theirs_s(self) -> float:
        return statistics.median(self.theirs)

    @property
    def times_faster(self) -> float:
        """Median of theirs / ours: other work on the machine slows both of a pair."""
        return statistics.median(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def times_slower(self) -> float:
        """Median of ours / theirs."""
        return statistics.median(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))

    def each(self, steps: int) -> Pairs:
        """Seconds of one of the ``steps`` that every run is made of."""
        return Pairs(tuple(s / steps for s in self.ours), tuple(s / steps for s in self.theirs))


def alternate(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    runs: int,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Pairs:
    """Seconds of ``ours`` and ``theirs``, run in turn ``runs`` times, after ``warm_up`` pairs that do not count.

    clock: ``time.process_time`` counts what the processor does for this process, whatever else it does.
    """
    pairs = [(seconds(ours, clock), seconds(theirs, clock)) for _ in range(warm_up + runs)][warm_up:]
    return Pairs(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """How long ``work`` takes."""
    start = clock()
    work()
    return clock() - start
