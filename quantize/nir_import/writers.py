"""How each framework's files are to be read, so that the graph does what the framework did.

NIR's nodes say less than a framework does in a step, and writers fill them in differently: ``READINGS`` has what each
one means. A reading turns the nodes into those of the scheme in ``quantize.nir_import.neurons`` and adds the ``Rules``
that no file states. Sources are the frameworks' own, in the version named; spikes are held against them in
``tests/quantize/test_writers.py`` and, with the frameworks themselves, in ``tests/peers``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from netx.nir_edges import Edge
from netx.nir_graph import NirGraph, NirNode
from quantize.nir_import.neurons import SPIKING, Reset, Rules
from quantize.nir_import.operators import Float
from quantize.nir_import.time_step import IN_STEPS, NODES_IN_TIME, one_number, rate_of, rockpool_step, times, values_of

Writer: TypeAlias = Literal["spikingjelly", "norse", "rockpool", "mlx-snn", "spyx", "sinabs", "snntorch"]
WRITERS: tuple[Writer, ...] = get_args(Writer)

Gain: TypeAlias = Literal["whole", "scaled"]
GAINS: tuple[Gain, ...] = get_args(Gain)

_NORSE_STEP, _NORSE_SCALED_STEP = 1e-3, 1e-6
"""Seconds. norse 1.1.0 steps by 1e-3, and ``to_nir(..., dt=1e-3)`` multiplies every time constant by its dt."""

_NORSE_SHORT = 5e-4
"""Seconds: networks that norse steps by 1e-3 have longer time constants; in its files, shorter ones are scaled."""


@dataclass(frozen=True)
class Choices:
    """What the user says of neurons, instead of the writer's defaults; None: nothing.

    gain: whether what arrives is added whole, or scaled by the step over the time constant.
    """

    reset: Reset | None = None
    fires_at_threshold: bool | None = None
    several: bool | None = None
    gain: Gain | None = None


NO_CHOICES = Choices()


@dataclass(frozen=True)
class Reading:
    """How one framework's files are read.

    rules: of all its neurons; kinds: of single kinds instead. node: a node as the scheme here has to have it, of the
    file's one and the time step. step: seconds, where the file shows them, and how. edges: those that are meant. gain:
    what the file leaves open of it, None where it is stated. lost: what the framework does and no file of it says.
    """

    writer: Writer
    version: str
    source: str
    rules: Rules
    node: Callable[[NirNode, float], NirNode]
    step: Callable[[NirGraph], tuple[float, str] | None]
    lost: str
    kinds: Mapping[str, Rules] = field(default_factory=dict)
    edges: Callable[[NirGraph], tuple[Edge, ...]] = lambda graph: graph.edges

    def applied(self, graph: NirGraph, dt: float) -> NirGraph:
        """The graph that the framework ran, in the terms of the scheme here."""
        nodes = {name: self.node(node, dt) for name, node in graph.nodes.items()}
        return replace(graph, nodes=nodes, edges=self.edges(graph))


def rules_of(graph: NirGraph, reading: Reading | None, choices: Choices) -> dict[str, Rules]:
    """For every node that spikes what it does beyond what the graph says."""
    result = {}
    for name, node in graph.nodes.items():
        if node.kind in SPIKING:
            rules = Rules() if reading is None else reading.kinds.get(node.kind, reading.rules)
            result[name] = _chosen(rules, choices)
        elif reading is not None and reading.rules.start != "zero" and node.kind in NODES_IN_TIME:
            result[name] = Rules(start=reading.rules.start)
    return result


def _chosen(rules: Rules, choices: Choices) -> Rules:
    reset = rules.reset if choices.reset is None else choices.reset
    fires = rules.fires_at_threshold if choices.fires_at_threshold is None else choices.fires_at_threshold
    several = rules.several if choices.several is None else choices.several
    return replace(rules, reset=reset, fires_at_threshold=fires, several=several)


def with_gain(graph: NirGraph, gain: Gain | None, dt: float) -> NirGraph:
    """The graph with what arrives at neurons added whole, or scaled by dt over the time constant; None: as it is."""
    if gain is None:
        return graph
    nodes = {name: _whole(node, dt) if gain == "whole" else _scaled(node) for name, node in graph.nodes.items()}
    return replace(graph, nodes=nodes)


def _whole(node: NirNode, dt: float) -> NirNode:
    """What arrives is added to the current, and the current to the voltage: r = tau / dt, w_in = tau_syn / dt."""
    if node.kind in ("LIF", "LI"):
        return _with(node, r=values_of(node, "tau") / dt)
    if node.kind in ("CubaLIF", "CubaLI"):
        return _with(node, r=values_of(node, "tau_mem") / dt, w_in=values_of(node, "tau_syn") / dt)
    return node


def _scaled(node: NirNode) -> NirNode:
    """What arrives is scaled by dt / tau each time: r and w_in of one."""
    if node.kind in ("LIF", "LI"):
        return _with(node, r=np.ones(()))
    return _with(node, r=np.ones(()), w_in=np.ones(())) if node.kind in ("CubaLIF", "CubaLI") else node


def rate_as_gain(node: NirNode, dt: float) -> NirNode:
    """An integrator whose r is 1 / dt, the rate of NIR's equation, with the gain of one that each step then has."""
    if node.kind not in ("IF", "I") or not _are(values_of(node, "r") * dt, 1):
        return node
    return _with(node, r=np.ones_like(values_of(node, "r")))


def _whole_current(node: NirNode, dt: float) -> NirNode:
    """w_in, which the writer leaves at NIR's default of 1, for a current that gets its input whole."""
    return _with(node, w_in=values_of(node, "tau_syn") / dt) if node.kind in ("CubaLIF", "CubaLI") else node


def _rockpool_node(node: NirNode, dt: float) -> NirNode:
    """Decays of exp(-dt / tau), which apply to the current before it is added to the voltage."""
    if node.kind == "CubaLIF":
        mem, syn = (-np.expm1(-dt / values_of(node, tau)) for tau in ("tau_mem", "tau_syn"))
        return _with(node, tau_mem=dt / mem, tau_syn=dt / syn, r=1 / mem, w_in=(1 - syn) / syn)
    if node.kind in ("LIF", "LI"):
        mem = -np.expm1(-dt / values_of(node, "tau"))
        gain = 1 / mem if node.kind == "LIF" else (1 - mem) / mem
        return _with(node, tau=dt / mem, r=gain)
    return node


def _sinabs_node(node: NirNode, dt: float) -> NirNode:
    """A decay of exp(-dt / tau), and LIF's default of ``norm_input``: what arrives is scaled by what that loses."""
    if node.kind not in ("LIF", "LI"):
        return node
    lost = -np.expm1(-dt / values_of(node, "tau"))
    return _with(node, tau=dt / lost, r=np.ones(()) if node.kind == "LIF" else 1 / lost)


def _with(node: NirNode, **values: Float) -> NirNode:
    return replace(node, values={**node.values, **values})


def _tau_over_r(graph: NirGraph) -> tuple[float, str] | None:
    return rate_of(graph, strict=False)


def _norse_step(graph: NirGraph) -> tuple[float, str] | None:
    taus = times(graph)
    if not taus:
        return None
    if min(tau.min() for tau in taus) < _NORSE_SHORT:
        return _NORSE_SCALED_STEP, "norse's 1e-3 s times the dt of 1e-3 that its to_nir multiplies time constants by"
    return _NORSE_STEP, "norse's own; its to_nir was given dt=1.0, as the time constants are no shorter"


def _rockpool_step(graph: NirGraph) -> tuple[float, str] | None:
    step = rockpool_step(graph)
    return None if step is None else (step, "the one at which r is rockpool's tau exp(-dt / tau) / dt")


def _spyx_step(graph: NirGraph) -> tuple[float, str] | None:
    step = one_number(graph, lambda tau, r: tau * (1 - r))
    return (1.0, "spyx's: its files are in steps") if step is None else (step, "tau (1 - r), as spyx writes r = beta")


def _sinabs_step(graph: NirGraph) -> tuple[float, str] | None:
    return (1.0, "sinabs's: its time constants are in steps") if times(graph) else None


def _without_detour(graph: NirGraph) -> tuple[Edge, ...]:
    """spyx leads a recurrent layer's input through its recurrent weights; it adds it to what they give."""
    edges = set(graph.edges)
    loops = {
        weights: neurons
        for neurons, weights in edges
        if (weights, neurons) in edges and graph.nodes[weights].kind in ("Affine", "Linear")
        if graph.nodes[neurons].kind in SPIKING
    }
    return tuple(
        (source, loops[target]) if target in loops and source != loops[target] else (source, target)
        for source, target in graph.edges
    )


READINGS: Mapping[Writer, Reading] = {
    reading.writer: reading
    for reading in (
        Reading(
            "spikingjelly", "2.0.0", "activation_based/nir_exchange/to_nir.py, surrogate.py (heaviside)",
            Rules(fires_at_threshold=True, start="v_reset"),
            rate_as_gain, _tau_over_r,
            "nothing: a soft reset, groups and padding modes are refused by its exporter",
        ),
        Reading(
            "norse", "1.1.0", "torch/utils/export_nir.py, functional/lif.py (lif_feed_forward_step)",
            Rules(start="v_leak"),
            _whole_current, _norse_step,
            "v_reset where it is not 0, and LIFBox's reset_method where it subtracts (--reset subtract)",
            kinds={"IF": Rules(), "Threshold": Rules()},
        ),
        Reading(
            "rockpool", "3.1.0", "nn/modules/torch/nir.py, lif_torch.py (LIFBaseTorch.forward, StepPWL)",
            Rules(fires_at_threshold=True, reset="subtract", several=True),
            _rockpool_node, _rockpool_step,
            "the bias and the recurrent weights of LIFTorch, noise, and max_spikes_per_dt (--spikes one)",
        ),
        Reading(
            "mlx-snn", "0.5.0", "nir_export.py, neurons/base.py (reset), surrogate/fast_sigmoid.py",
            Rules(fires_at_threshold=True, reset="subtract"),
            _whole_current, _tau_over_r,
            "reset_mechanism (--reset zero where it was \"zero\")",
        ),
        Reading(
            "spyx", "1.0.0", "nir.py (to_nir), nn.py, axn.py (heaviside)",
            Rules(reset="subtract-later", late=True),
            _whole, _spyx_step,
            "nothing of LIF, IF and CuBaLIF; of its recurrent layers the input is led past the recurrent weights again",
            kinds={"CubaLIF": Rules(reset="subtract", late=True), "Threshold": Rules()},
            edges=_without_detour,
        ),
        Reading(
            "sinabs", "3.1.3", "nir.py, layers/functional/lif.py, activation/spike_generation.py",
            Rules(fires_at_threshold=True, reset="subtract", several=True),
            _sinabs_node, _sinabs_step,
            "spike_fn (--spikes one for SingleSpike), reset_fn (--reset zero for MembraneReset), norm_input (--input "
            "whole for False), tau_syn and min_v_mem",
        ),
        Reading(
            "snntorch", "1.0.0", "export_nir.py, _neurons/leaky.py, _neurons/synaptic.py, surrogate.py",
            Rules(reset="subtract-later"),
            lambda node, _: node, _tau_over_r,
            "reset_mechanism and reset_delay (--reset zero, zero-later or subtract), inhibition, graded_spikes_factor",
            kinds={"Threshold": Rules()},
        ),
    )
}  # fmt: skip


def marks(graph: NirGraph, dt: float) -> tuple[str, ...]:
    """What in the file is the mark of a writer whose networks mean something else than NIR's equations, in words."""
    neurons = [node for node in graph.nodes.values() if node.kind in NODES_IN_TIME]
    found = [_mark_in_time(graph, neurons, dt)] if neurons else []
    rates = [values_of(node, "r") for node in graph.nodes.values() if node.kind == "IF"]
    if any(_are(rate * dt, 1) and not _are(rate, 1) for rate in rates):
        found.append(
            "r of IF nodes is one over the time step, as spikingjelly writes it: read as a gain of one a step; "
            "--from spikingjelly also fires at the threshold"
        )
    elif any(not _are(rate, 1) for rate in rates):
        found.append(
            "r of IF nodes is neither 1 nor one over the time step: it is the gain of each step here, as in norse and "
            "sinabs; where it is a rate, pass the --dt that it belongs to"
        )
    return tuple(mark for mark in found if mark)


def _mark_in_time(graph: NirGraph, neurons: list[NirNode], dt: float) -> str:
    """The mark in gains and time constants; empty where there is none."""
    cuba = [node for node in neurons if node.kind == "CubaLIF"]
    unit = all(_are(values_of(node, "r"), 1) for node in neurons)
    spyx = not unit and one_number(graph, lambda tau, r: tau * (1 - r)) is not None
    whole = not unit and rate_of(graph) is not None
    if unit and all(tau.min() >= IN_STEPS for tau in times(graph)):
        return "time constants are in steps, as sinabs writes them: pass --from sinabs, or --dt 1 for NIR's equations"
    if any((values_of(node, "tau_syn") > dt * 1.001).any() and _are(values_of(node, "w_in", 1.0), 1) for node in cuba):
        writer = "norse" if unit else "mlx-snn" if whole else "spyx" if spyx else "rockpool"
        return (
            f"w_in is 1 in CubaLIF nodes, as {writer} leaves it, which adds its input whole: if {writer} wrote the "
            f"file, pass --from {writer}, or its neurons get a small part of their input"
        )
    if spyx:
        return "r is 1 - dt / tau, the beta of spyx: if it wrote the file, pass --from spyx"
    if unit and any((tau < dt).any() for tau in times(graph)):
        return "time constants are shorter than a step, as in files of norse's default dt: pass --from norse"
    if whole:
        return (
            "r is tau over the time step, as snnTorch, mlx-snn and spikingjelly (decay_input=False) write it: --from "
            "snntorch, mlx-snn or spikingjelly also resets and fires as they do, which no file says"
        )
    return ""


def _are(values: Float, number: float) -> bool:
    return bool(np.allclose(values, number, rtol=1e-4, atol=0))
