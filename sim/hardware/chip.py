"""A chip's file, checked: ``sim/hardware/NAME.yaml`` of the package, or a user's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from netx import FormatError, MonospikeError
from netx.text_files import read_yaml
from sim.hardware.facts import Constant, Latency, Limits, Measured, Mesh, Packing, Section, Text
from sim.hardware.mapped import MappedCosts
from sim.hardware.pricing import Estimate, Profile

_FOLDER = Path(__file__).parent
_HARDWARE = ("limits", "mesh", "packing")
"""What is the same in two files about one chip; ``same_hardware_as: NAME`` takes it from a file of the package."""


class Chip(Section):
    """What is known about a chip. A section is empty or None where nothing is published.

    limits, mesh, packing: what networks are mapped by; all three or none.
    energies, latencies: of one operation each, by name. measured: figures of whole systems.
    estimate: how the energies are applied to the counts of ``sim.activity``, which know no cores.
    mapped: how energies and latencies are applied to the counts of every core.
    """

    title: Text
    source: Text
    limits: Limits | None = None
    mesh: Mesh | None = None
    packing: Packing | None = None
    energies: Mapping[str, Constant] = {}
    latencies: Mapping[str, Latency] = {}
    measured: list[Measured] = Field(default_factory=list)
    estimate: Estimate | None = None
    mapped: MappedCosts | None = None

    @model_validator(mode="after")
    def _parts_agree(self) -> Chip:
        given = [name for name in _HARDWARE if getattr(self, name) is not None]
        if given and len(given) < len(_HARDWARE):
            missing = ", ".join(sorted(set(_HARDWARE) - set(given)))
            raise ValueError(
                f"a chip that networks are mapped on needs all of {', '.join(_HARDWARE)}; missing: {missing}"
            )
        if self.limits is not None and self.mesh is not None:
            sites = self.mesh.columns * self.mesh.rows * self.mesh.cores_per_tile
            if sites != self.limits.cores.value:
                raise ValueError(f"the mesh has {sites} cores, but limits.cores is {self.limits.cores.value}")
        if self.estimate is not None:
            if not self.estimate.terms:
                raise ValueError("estimate.terms: is empty")
            if unknown := sorted(self.estimate.used() - set(self.energies)):
                raise ValueError(f"terms use constants that are not there: {', '.join(unknown)}")
        if self.mapped is not None:
            if self.limits is None:
                raise ValueError(f"mapped: needs {', '.join(_HARDWARE)}, by which a network comes onto cores")
            for kind, used in (("energies", self.mapped.energies()), ("latencies", self.mapped.latencies())):
                if unknown := sorted(used - set(getattr(self, kind))):
                    raise ValueError(f"mapped uses {kind} that are not there: {', '.join(unknown)}")
        return self

    @property
    def profile(self) -> Profile | None:
        """The estimate with the energies it uses; None where the file has none."""
        if self.estimate is None:
            return None
        used = self.estimate.used()
        constants = {name: constant for name, constant in self.energies.items() if name in used}
        return Profile(title=self.title, source=self.source, constants=constants, **dict(self.estimate))


def chip_names() -> tuple[str, ...]:
    """Names of the chips that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def load_chip(name: str | Path) -> Chip:
    """The chip called ``name``, or the one in the YAML file at the path ``name``.

    A string that ends in ``.yaml`` or ``.yml`` is a path too. Raises MonospikeError when no chip is called so,
    FormatError with file and key when the file does not describe one.
    """
    if isinstance(name, str) and name.endswith((".yaml", ".yml")):
        name = Path(name)
    if isinstance(name, str) and name not in chip_names():
        raise MonospikeError(f"no chip is called {name!r}; there are {', '.join(chip_names())}, or a file NAME.yaml")
    path = name if isinstance(name, Path) else _FOLDER / f"{name}.yaml"
    content = _with_shared_hardware(read_yaml(path) if isinstance(name, Path) else _packaged(name), path)
    if not isinstance(content, dict):
        raise FormatError(f"{path}: is not a description of a chip: expected keys and values, such as 'title: My chip'")
    try:
        return Chip.model_validate(content)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise FormatError(f"{path}: is not a description of a chip\n  " + "\n  ".join(problems)) from None


@cache
def _packaged(name: str) -> Any:
    """What stands in a file of the package, to be left as it is; a run asks several times for each of its chips."""
    return read_yaml(_FOLDER / f"{name}.yaml")


def _with_shared_hardware(content: Any, path: Path) -> Any:
    if not isinstance(content, dict) or "same_hardware_as" not in content:
        return content
    own = {key: value for key, value in content.items() if key != "same_hardware_as"}
    name = content["same_hardware_as"]
    if name not in chip_names():
        raise FormatError(f"{path}: same_hardware_as: {name!r} is none of {', '.join(chip_names())}")
    other = _packaged(name)
    return {key: other[key] for key in _HARDWARE if key in other} | own
