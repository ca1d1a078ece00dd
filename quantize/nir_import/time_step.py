"""The time step of a file that does not say it: what its time constants and gains show of it.

snnTorch 1.0.0 (``export_nir.py``), mlx-snn 0.5.0 (``nir_utils.py``) and spikingjelly 2.0.0 without ``decay_input``
(``nir_exchange/to_nir.py``) write r = tau / dt, spikingjelly's IF r = 1 / dt, and rockpool 3.1.0
(``nn/modules/torch/nir.py``) r = tau exp(-dt / tau) / dt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from netx.nir_graph import NirGraph, NirNode
from quantize.nir_import.operators import Float

DEFAULT_DT = 1e-4
"""Seconds. What snnTorch 1.0.0 writes its decays for (``export_nir.py``), and what the NIR paper's networks assume."""

NODES_IN_TIME = ("LIF", "LI", "CubaLIF", "CubaLI")
"""Kinds with time constants and a gain r."""

IN_STEPS = 1.0
"""Seconds: no network's time constants are all as long as this, so that they are no seconds but steps."""

_SAME = 1e-4
"""Relative: how far float32 parameters and what they were computed from may leave numbers that are one."""


def values_of(node: NirNode, name: str, default: float | None = None) -> Float:
    """A parameter in double precision."""
    return np.asarray(node.values.get(name, default), np.float64)


def times(graph: NirGraph) -> list[Float]:
    """All time constants of the graph's neurons, positive ones."""
    names = ("tau", "tau_mem", "tau_syn")
    taus = [
        values_of(node, name)
        for node in graph.nodes.values()
        if node.kind in NODES_IN_TIME
        for name in names
        if name in node.values
    ]
    return [tau for tau in taus if tau.size and (tau > 0).all()]


def one_number(graph: NirGraph, of: Callable[[Float, Float], Float]) -> float | None:
    """What ``of(tau, r)`` of the membranes is, where it is one positive, round number in the whole graph, and no time
    constant is shorter; None otherwise."""
    found = []
    for node in graph.nodes.values():
        if node.kind in NODES_IN_TIME:
            tau, r = values_of(node, "tau_mem" if node.kind.startswith("Cuba") else "tau"), values_of(node, "r")
            if tau.size not in (1, r.size) and r.size != 1:
                return None
            found.append(np.ravel(of(tau.ravel(), r.ravel())))
    return _round(np.concatenate(found), graph) if found else None


def _round(values: Float, graph: NirGraph) -> float | None:
    """The one number that all ``values`` are, where it has two digits at most."""
    first = float(np.median(values))
    if not np.isfinite(values).all() or not first > 0 or not np.allclose(values, first, rtol=_SAME, atol=0):
        return None
    rounded = float(f"{first:.1e}")
    if abs(rounded - first) > _SAME * first or any((tau < rounded * (1 - _SAME)).any() for tau in times(graph)):
        return None
    return rounded


def rate_of(graph: NirGraph, strict: bool = True) -> tuple[float, str] | None:
    """The step at which every gain is that of what arrives whole, tau / r or 1 / r of IF, and how it shows; None where
    there is none, or where all gains are one, which is no rate. strict: that no gain is one where another is not."""
    rates = [1 / values_of(node, "r").ravel() for node in graph.nodes.values() if node.kind == "IF"]
    rates = [rate for rate in rates if not np.allclose(rate, 1)]
    in_time = [node for node in graph.nodes.values() if node.kind in NODES_IN_TIME]
    if not all(_is_one(node) for node in in_time):
        telling = {name: node for name, node in graph.nodes.items() if strict or not _is_one(node)}
        step = one_number(replace(graph, nodes=telling), lambda tau, r: tau / r)
        if step is None or any(not np.allclose(rate, step, rtol=_SAME, atol=0) for rate in rates):
            return None
        return step, "tau / r is that in all layers, as snnTorch, mlx-snn and spikingjelly write it"
    step = _round(np.concatenate(rates), graph) if rates else None
    # A gain above one is common, a step of a tenth of a second is not.
    return None if step is None or step > 0.1 else (step, "1 / r of every IF, as spikingjelly writes it")


def _is_one(node: NirNode) -> bool:
    return node.kind in NODES_IN_TIME and bool(np.allclose(values_of(node, "r"), 1))


def rockpool_step(graph: NirGraph) -> float | None:
    """The dt at which all r are tau exp(-dt / tau) / dt: with u = dt / tau, u exp(u) = 1 / r."""

    def step(tau: Float, r: Float) -> Float:
        u = np.log1p(1 / r)  # near enough for Newton's method to be exact in a few steps
        for _ in range(20):
            u = u - (u * np.exp(u) - 1 / r) / (np.exp(u) * (1 + u))
        return np.asarray(tau * u)

    return one_number(graph, step)


def time_step(graph: NirGraph, asked: float | None, reading: tuple[float, str] | None) -> tuple[float, str]:
    """Seconds and where they are from: asked for, in the file's metadata, of the reading, shown by gains, the default.

    asked: positive. reading: what the file shows where its writer is known.
    """
    if asked is not None:
        return asked, "as asked for"
    if graph.dt is not None:
        return graph.dt, "from the file's metadata"
    if reading is not None:
        return reading
    shown = rate_of(graph)
    if shown is not None and abs(shown[0] / DEFAULT_DT - 1) > _SAME:
        return shown
    return DEFAULT_DT, "the default: the file does not say"
