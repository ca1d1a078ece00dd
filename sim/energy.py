"""From counts to joules: the energies of a chip's file (``sim.hardware``), applied as the file says.

Estimates are of dynamic energy alone, and good for comparing networks, not for sizing a battery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from netx import MonospikeError
from sim.activity import Activity, LayerActivity
from sim.hardware import Profile, Term, chip_names, load_chip

_JOULE = 1e-12
"""Joules in a picojoule."""


class Energy(NamedTuple):
    """Three estimates in joules; what each covers is the profile's ``scope``."""

    low: float
    typical: float
    high: float


@dataclass(frozen=True)
class Price:
    """What one frame costs under one profile.

    joules: mean over the frames, float64, shape (layer, term, estimate), estimates in the order of Energy.
    ann: the same network as a conventional one, None where the profile has no such terms.
    unpriced: operations per frame that the profile has no energy for.
    """

    profile: Profile
    layers: tuple[str, ...]
    terms: tuple[str, ...]
    joules: npt.NDArray[np.float64]
    ann: Energy | None
    unpriced: Mapping[str, float]

    @property
    def total(self) -> Energy:
        """Joules per frame."""
        return _energy(self.joules)

    def by_layer(self) -> dict[str, Energy]:
        """Joules per frame of each layer."""
        return {name: _energy(self.joules[i]) for i, name in enumerate(self.layers)}

    def by_term(self) -> dict[str, Energy]:
        """Joules per frame of each term."""
        return {name: _energy(self.joules[:, i]) for i, name in enumerate(self.terms)}


def profile_names() -> tuple[str, ...]:
    """Names of the chips of the package by which energy can be reckoned."""
    return tuple(name for name in chip_names() if load_chip(name).estimate is not None)


def load_profile(name: str | Path) -> Profile:
    """How energy is reckoned on the chip called ``name``, or in the YAML file at the path ``name``.

    Raises MonospikeError when no chip is called so or no energies are known of it, FormatError when the file is wrong.
    """
    profile = load_chip(name).profile
    if profile is None:
        known = ", ".join(profile_names())
        raise MonospikeError(f"{name}: has no energies to reckon with; there are some in {known}")
    return profile


def price(activity: Activity, profile: Profile) -> Price:
    """What a frame of ``activity`` costs under ``profile``."""
    joules = np.array([[_term(profile, term, layer) for term in profile.terms] for layer in activity.layers])
    ann = np.array([[_term(profile, term, layer) for term in profile.ann] for layer in activity.layers])
    return Price(
        profile=profile,
        layers=tuple(layer.layer for layer in activity.layers),
        terms=tuple(term.name for term in profile.terms),
        joules=joules,
        ann=_energy(ann) if profile.ann else None,
        unpriced={count: activity.mean(count) for count in profile.unpriced},
    )


def _term(profile: Profile, term: Term, layer: LayerActivity) -> Energy:
    joules = profile.constants[term.constant].picojoules * _JOULE
    counts = (0.0 if count is None else layer.mean(count) for count in (term.low, term.typical, term.high))
    return Energy(*(joules * count for count in counts))


def _energy(joules: npt.NDArray[np.float64]) -> Energy:
    """Sum over every axis but the last, which holds the three estimates."""
    return Energy(*(float(value) for value in joules.reshape(-1, 3).sum(axis=0)))
