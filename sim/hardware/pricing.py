"""How a chip's energies become the joules of a frame: terms of a count and a constant, summed::

    energy[estimate] = sum over terms of (count named by the term for this estimate) * (the term's constant)

The file names what each of its three estimates covers, so that a number in a report can be traced to counts and
constants without reading code.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from sim.activity import Count
from sim.hardware.facts import Constant, Section, Text


class Scope(Section):
    """In words, what each estimate covers."""

    low: Text
    typical: Text
    high: Text


class Term(Section):
    """One constant, and for each estimate the count it is multiplied with; none where the estimate leaves it out."""

    name: Text
    constant: str
    low: Count | None = None
    typical: Count | None = None
    high: Count | None = None


class Estimate(Section):
    """How a chip's energies are applied.

    ann: the same for a conventional network of the same shape, where the file has what it takes.
    unpriced: counts that the file has no energy for; they are reported instead.
    """

    scope: Scope
    note: Text
    terms: list[Term]
    ann: list[Term] = Field(default_factory=list)
    unpriced: list[Count] = Field(default_factory=list)

    def used(self) -> set[str]:
        """Names of the constants that its terms use."""
        return {term.constant for term in (*self.terms, *self.ann)}


class Profile(Estimate):
    """An estimate together with the constants that it uses."""

    title: Text
    source: Text
    constants: Mapping[str, Constant]
