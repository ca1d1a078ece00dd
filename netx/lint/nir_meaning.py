"""Rules about what a graph means, whoever reads it: marks of its writer, and sums that can equal a threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from netx.lint.finding import Family, Severity, Trouble
from netx.nir_graph import IDENTITY, NirGraph, NirNode
from netx.nir_writers import MARKS, Mark, recognised, step_of

FLAT: Family[NirGraph] = Family()

_FINE = 1 << 12
"""Weights are multiples of one power of two, by training or rounding, if their largest is so many of them or fewer."""

_EXACT = 1e-6
"""How near to a power of two a gain is one: r, dt and tau are stored as float32."""

_PASSING = (IDENTITY, "Flatten", "Output", "Delay")
"""Kinds that hand on the values that they read."""

_USUAL = ("subtracting",)
"""Marks that nearly every file has."""


def _marked(mark: Mark) -> Callable[[NirGraph], Iterator[Trouble]]:
    def check(graph: NirGraph) -> Iterator[Trouble]:
        for found in recognised(graph, mark):
            more = f" (and {len(found.nodes) - 1} more)" if len(found.nodes) > 1 else ""
            yield graph.places.get(found.nodes[0], "node"), f"{found.says}{more}"

    return check


for _mark in MARKS:
    FLAT.rule(
        f"nir-written-by-{_mark.name}",
        Severity.NOTE if _mark.name in _USUAL else Severity.WARNING,
        _mark.means,
        _mark.mend,
        _mark.source,
    )(_marked(_mark))


@FLAT.rule(
    "nir-threshold-tie",
    Severity.WARNING,
    "Weights, bias and threshold are multiples of one power of two, so that a sum can equal the threshold exactly; "
    "readers differ in whether it fires then.",
    "Put the threshold half a unit higher where ties are not to fire, as monospike does, or half a unit lower.",
    "above only: norse 1.1.0, snnTorch 1.0.0; also when equal: sinabs 3.1.3, spikingjelly 2.0.0, SLAYER from 4096 on",
)
def _tie(graph: NirGraph) -> Iterator[Trouble]:
    before: dict[str, list[str]] = {}
    for source, target in graph.edges:
        before.setdefault(target, []).append(source)
    step = step_of(graph)
    for name, node in graph.nodes.items():
        gain = _gain(node, step)
        threshold, reset = node.numbers("v_threshold"), node.numbers("v_reset")
        if gain is None or threshold is None or not threshold.size or not np.isfinite(threshold).all():
            continue
        unit = _unit(graph, before, name, gain)
        lowest = 0.0 if reset is None or not reset.size or not np.isfinite(reset).all() else float(reset.flat[0])
        tied = (threshold % unit == 0) | ((threshold - lowest) % unit == 0) if unit else np.zeros(1, np.bool_)
        if tied.any():
            place = graph.places.get(name, "node")
            yield (
                f"{place}/v_threshold",
                f"is {threshold.flat[int(np.argmax(tied))]:g}, a multiple of {unit:g}, as all sums are",
            )


def _gain(node: NirNode, step: float) -> float | None:
    """What a neuron adds of what arrives, where that is one power of two for all of a layer; None where it is not."""
    r, tau, leak = node.numbers("r"), node.numbers("tau"), node.numbers("v_leak")
    if node.kind not in ("IF", "LIF") or r is None or not r.size or (leak is not None and leak.any()):
        return None
    gains = np.asarray(r, np.float64)
    if node.kind == "LIF":
        if tau is None or tau.shape != r.shape or not ((tau > 0) & np.isfinite(tau)).all():
            return None
        gains = gains * step / tau
    first = float(gains.flat[0])
    if not np.isfinite(gains).all() or first <= 0 or np.ptp(gains) > _EXACT * first:
        return None
    power = float(2.0 ** np.round(np.log2(first)))
    return power if abs(first / power - 1) < _EXACT else None


def _unit(graph: NirGraph, before: dict[str, list[str]], name: str, gain: float) -> float | None:
    """The largest number that all sums of spikes over the weights of ``name`` are multiples of; None where it is none
    that matters, because weights are as fine as floating point."""
    values: list[npt.NDArray] = []
    waiting, seen = list(before.get(name, [])), set()
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        node = graph.nodes[source]
        if node.kind in _PASSING:
            waiting += before.get(source, [])
            continue
        found = [node.numbers(key) for key in ("weight", "bias", "scale")]
        values += [one.ravel() for one in found if one is not None and one.size]
        if node.kind == "AvgPool2d" and (kernel := node.numbers("kernel_size")) is not None and kernel.size:
            area = float(np.prod(kernel.astype(np.float64))) ** (2 / kernel.size)
            values.append(np.array([1 / max(area, 1.0)]))
        elif all(one is None for one in found):
            values.append(np.ones(1))  # spikes or pixels as they are
    if not values or any(not np.isfinite(one).all() for one in values):
        return None
    most = max(float(np.abs(one).max()) for one in values)
    if not 0 < most < 2.0**60:
        return None
    scale = _FINE * 2.0 ** -np.ceil(np.log2(most))
    whole = [one.astype(np.float64) * scale for one in values]
    if any((one != np.floor(one)).any() for one in whole):
        return None
    divisor = np.gcd.reduce([int(np.gcd.reduce(np.abs(one).astype(np.int64))) for one in whole])
    return float(divisor / scale * gain)
