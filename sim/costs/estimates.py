"""The three estimates: which count and which constant each takes."""

from __future__ import annotations

from sim.hardware import Operation, Priced

ESTIMATES = ("low", "typical", "high")


def counted(priced: Priced, estimate: int) -> Operation | None:
    """The count that an estimate takes, None where it leaves the operation out: 0 is low, 1 typical, 2 high."""
    chosen = (priced.low, None, priced.high)[estimate]
    if chosen == "none":
        return None
    return priced.count if chosen is None else chosen


def ranged(low: float | None, typical: float, high: float | None) -> tuple[float, float, float]:
    """A constant's three values; where no range is known, all are the typical one."""
    return typical if low is None else low, typical, typical if high is None else high
