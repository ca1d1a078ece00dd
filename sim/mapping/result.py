"""Where every neuron sits: the result of mapping a network on a chip, as a value that can be written and read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from netx import FormatError
from netx.files import write_whole
from sim.mapping.shapes import Box, Span

Resource: TypeAlias = Literal["neurons", "synapse_words", "axons_in", "axons_out", "neuron_groups"]
RESOURCES: tuple[Resource, ...] = get_args(Resource)
"""What a core has a limited number of."""

_VERSION = 1


@dataclass(frozen=True)
class Violation:
    """A design rule that a network breaks. where: layer, neuron or chip. mend: what would make it fit."""

    rule: str
    where: str
    mend: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.mend}"


@dataclass(frozen=True)
class Core:
    """One neurocore: the neurons of ``layer`` in ``box``, and what they take of it.

    binding: the resource of which it uses the largest part. utilisation: that part, 0 to 1 (above where a rule is
    violated).
    """

    layer: str
    box: Box
    neurons: int
    synapse_words: int
    axons_in: int
    axons_out: int
    neuron_groups: int
    binding: Resource
    utilisation: float


@dataclass(frozen=True)
class LayerCores:
    """A layer's share of the chip. cores: their numbers, none where it cannot be mapped. The counts are sums over them.

    synapse_words: in all cores together: a core that holds another part of the same image has a copy of the kernel.
    """

    name: str
    cores: tuple[int, ...]
    neurons: int
    synapse_words: int
    binding: Resource


@dataclass(frozen=True)
class Mapping:
    """A network on ``chips`` chips of one kind.

    placement: for each core the site where it sits; sites count along the tiles of a row, then by rows, then by chips.
    """

    chip: str
    chips: int
    layers: tuple[LayerCores, ...]
    cores: tuple[Core, ...]
    placement: tuple[int, ...]
    violations: tuple[Violation, ...] = ()

    @property
    def fits(self) -> bool:
        """True when no design rule is violated."""
        return not self.violations

    def of_layer(self, name: str) -> tuple[Core, ...]:
        """The cores of a layer."""
        return tuple(core for core in self.cores if core.layer == name)

    def placed(self, placement: Iterable[int]) -> Mapping:
        """The same cores at other sites."""
        return replace(self, placement=tuple(int(site) for site in placement))

    def to_json(self) -> dict[str, Any]:
        """JSON values: the summary that a planner reads first, then every core with its neurons and its site."""
        return {
            "monospike_mapping": _VERSION,
            "chip": self.chip,
            "chips": self.chips,
            "cores": len(self.cores),
            "layers": [asdict(layer) | {"cores": len(layer.cores)} for layer in self.layers],
            "violations": [asdict(violation) for violation in self.violations],
            "assignment": [
                asdict(core) | {"box": {axis: list(span) for axis, span in core.box._asdict().items()}, "site": site}
                for core, site in zip(self.cores, self.placement, strict=True)
            ],
        }

    def save(self, path: Path) -> None:
        """Write the mapping as JSON; the file appears whole or not at all."""
        with write_whole(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Mapping:
        """Read what ``save`` wrote. Raises FormatError when the file is not that."""
        try:
            return _from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FormatError(f"{path}: is not a mapping that `monospike map --out` wrote ({error})") from None


def _from_json(content: Any) -> Mapping:
    if content["monospike_mapping"] != _VERSION:
        raise ValueError(f"expected monospike_mapping: {_VERSION}")
    cores, sites = [], []
    for entry in content["assignment"]:
        box = Box(*(Span(*map(int, entry["box"][axis])) for axis in Box._fields))
        if entry["binding"] not in RESOURCES:
            raise ValueError(f"{entry['binding']!r} is no resource of a core")
        kept = {key: value for key, value in entry.items() if key not in ("box", "site")}
        cores.append(Core(box=box, **kept))
        sites.append(int(entry["site"]))
    if len(set(sites)) != len(sites):
        raise ValueError("two cores are at the same site")
    numbers: dict[str, list[int]] = {}
    for number, core in enumerate(cores):
        numbers.setdefault(core.layer, []).append(number)
    layers = tuple(
        LayerCores(**(entry | {"cores": tuple(numbers.get(entry["name"], ()))})) for entry in content["layers"]
    )
    violations = tuple(Violation(**entry) for entry in content["violations"])
    return Mapping(str(content["chip"]), int(content["chips"]), layers, tuple(cores), tuple(sites), violations)
