"""From counts to joules: named tables of energies per operation, each constant with its source.

A profile is a YAML file in ``sim/profiles``. It names what each of its three estimates covers, so that a number in a
report can be traced to counts and constants without reading code. Its terms are summed::

    energy[estimate] = sum over terms of (count named by the term for this estimate) * (the term's constant)

Estimates are of dynamic energy alone, and good for comparing networks, not for sizing a battery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netx import FormatError, MonospikeError
from sim.activity import Activity, Count, LayerActivity

_FOLDER = Path(__file__).parent / "profiles"
_JOULE = 1e-12
"""Joules in a picojoule."""

Text: TypeAlias = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Constant(_Section):
    """Energy of one operation. ``read``: whether ``source`` itself was read, or a text that quotes it (``via``)."""

    picojoules: float = Field(ge=0, allow_inf_nan=False)
    operation: Text
    source: Text
    read: Literal["first-hand", "second-hand"]
    via: Text | None = None

    @model_validator(mode="after")
    def _says_where(self) -> Constant:
        if self.read == "second-hand" and self.via is None:
            raise ValueError("a constant read second-hand needs `via`, the text in which it was read")
        return self


class Scope(_Section):
    """In words, what each estimate covers."""

    low: Text
    typical: Text
    high: Text


class Term(_Section):
    """One constant, and for each estimate the count it is multiplied with; none where the estimate leaves it out."""

    name: Text
    constant: str
    low: Count | None = None
    typical: Count | None = None
    high: Count | None = None


class Profile(_Section):
    """A table of energies and how it is applied.

    ann: the same for a conventional network of the same shape, where the table has what it takes.
    unpriced: counts that the table has no energy for; they are reported instead.
    """

    title: Text
    source: Text
    scope: Scope
    note: Text
    constants: Mapping[str, Constant] = Field(min_length=1)
    terms: list[Term] = Field(min_length=1)
    ann: list[Term] = []
    unpriced: list[Count] = []

    @model_validator(mode="after")
    def _terms_use_the_constants(self) -> Profile:
        used = {term.constant for term in (*self.terms, *self.ann)}
        if unknown := sorted(used - set(self.constants)):
            raise ValueError(f"terms use constants that are not there: {', '.join(unknown)}")
        if unused := sorted(set(self.constants) - used):
            raise ValueError(f"no term uses these constants: {', '.join(unused)}")
        return self


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
    """Names of the profiles that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def load_profile(name: str | Path) -> Profile:
    """The profile called ``name``, or the one in the YAML file at the path ``name``.

    Raises MonospikeError when no profile is called so, FormatError when the file is not a profile.
    """
    path = name if isinstance(name, Path) else _FOLDER / f"{name}.yaml"
    if isinstance(name, str) and name not in profile_names():
        raise MonospikeError(f"no energy profile is called {name!r}; there are {', '.join(profile_names())}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FormatError(f"{path}: cannot be read as YAML ({error})") from None
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        raise FormatError(f"{path}: is not an energy profile\n  " + "\n  ".join(problems)) from None


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
