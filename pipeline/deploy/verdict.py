"""What comes of comparing engines, on one network or on many: a value, JSON values, and lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netx import LIF, Network
from sim.compare import Comparison, Divergence, LayerComparison
from sim.recording import unvaried

_AXES = ("channel", "row", "column")


@dataclass(frozen=True)
class Verdict:
    """A comparison of all layers on all frames, and where files hold another network than the one that was compared.

    stand_ins: by engine, the layers in which a faster model of ours stood in for the engine's own. spiking: layers that
    send spikes.
    """

    comparison: Comparison
    file_differences: tuple[str, ...] = ()
    stand_ins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spiking: frozenset[str] = frozenset()

    @property
    def identical(self) -> bool:
        """True when no spike, no membrane voltage and no file differs anywhere."""
        return self.comparison.identical and not self.file_differences

    def to_json(self) -> dict[str, Any]:
        """JSON values: the report's ``verification``."""
        values = comparison_values(self.comparison)
        return {
            "identical": self.identical,
            **values,
            "file_differences": list(self.file_differences),
            "stand_ins": {engine: list(layers) for engine, layers in self.stand_ins.items()},
        }

    def message(self) -> str:
        """One line when all is identical, and one for each layer whose spikes say nothing; else where and why not."""
        layers, engines = self.comparison.layers, ", ".join(self.comparison.engines)
        values = sum(layer.compared for layer in layers)
        compared = f"{len(layers)} layers, {self.comparison.frames} frames, {values:,} neurons"
        if self.identical:
            total = f"identical in {engines}: {compared}, {sum(layer.spikes for layer in layers):,} spikes"
            still = {one.name: unvaried(one.spikes, one.compared) for one in layers if one.name in self.spiking}
            return "\n".join([total, *(f"{name}: {why}" for name, why in still.items() if why is not None)])
        lines = [f"NOT identical in {engines}: {compared}", *self.file_differences]
        first = self.comparison.first_divergence
        if first is None:
            return "\n".join([*lines, "no neuron shows it on these frames"])
        at = ", ".join(f"{axis} {value}" for axis, value in zip(_AXES, first.neuron, strict=True))
        voltages = ", ".join(f"{engine} {value}" for engine, value in first.membranes.items())
        return "\n".join(
            [
                *lines,
                f"first in layer {first.layer!r}, neuron ({at}), frame {first.frame}",
                f"membrane voltages: {voltages}",
                f"likely cause: {first.cause}",
            ]
        )


def spiking_layers(networks: Iterable[Network]) -> frozenset[str]:
    """Names of the layers that send spikes."""
    return frozenset(layer.name for network in networks for layer in network.layers if isinstance(layer.neuron, LIF))


def joined(comparisons: Iterable[Comparison]) -> Comparison:
    """Comparisons of the same engines as one; counts of layers of the same name add up, the first divergence is the
    first one's that has any."""
    parts = list(comparisons)
    layers: dict[str, LayerComparison] = {}
    for layer in (layer for part in parts for layer in part.layers):
        layers[layer.name] = _sum(layers[layer.name], layer) if layer.name in layers else layer
    first = next((part.first_divergence for part in parts if part.first_divergence), None)
    return Comparison(parts[0].engines, sum(part.frames for part in parts), tuple(layers.values()), first)


def _sum(a: LayerComparison, b: LayerComparison) -> LayerComparison:
    differing = {engine: count + b.differing_by_engine[engine] for engine, count in a.differing_by_engine.items()}
    counts = (a.spikes + b.spikes, a.compared + b.compared, a.differing + b.differing)
    return LayerComparison(a.name, *counts, differing)


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """JSON values, which ``comparison_of`` reads."""
    first = comparison.first_divergence
    return {
        "frames": comparison.frames,
        "engines": list(comparison.engines),
        "layers": [
            {
                "name": layer.name,
                "spikes": layer.spikes,
                "values": layer.compared,
                "differing": layer.differing,
                "differing_by_engine": dict(layer.differing_by_engine),
            }
            for layer in comparison.layers
        ],
        "first_divergence": None if first is None else _divergence_values(first),
    }


def comparison_of(values: Mapping[str, Any]) -> Comparison:
    """What ``comparison_values`` has made JSON values of, but for the spikes at the first divergence.

    Raises KeyError, TypeError, ValueError or AttributeError where they are something else.
    """
    layers = tuple(
        LayerComparison(
            str(layer["name"]),
            int(layer["spikes"]),
            int(layer["values"]),
            int(layer["differing"]),
            {str(engine): int(count) for engine, count in layer["differing_by_engine"].items()},
        )
        for layer in values["layers"]
    )
    first = values["first_divergence"]
    if first is not None:
        channel, row, column = (first["neuron"][axis] for axis in _AXES)
        first = Divergence(first["layer"], first["frame"], (channel, row, column), first["values"], {}, first["cause"])
    return Comparison(tuple(map(str, values["engines"])), int(values["frames"]), layers, first)


def _divergence_values(first: Divergence) -> dict[str, Any]:
    return {
        "layer": first.layer,
        "neuron": dict(zip(_AXES, first.neuron, strict=True)),
        "frame": first.frame,
        "values": dict(first.membranes),
        "cause": first.cause,
    }
