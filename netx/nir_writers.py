"""Who wrote a NIR graph, by the marks that frameworks leave, and what they mean where it is not what the graph says.

The equations of NIR are one thing, what a framework computes another: some add their input whole where the equation
takes ``dt / tau`` of it, some count time in steps. Each mark was seen in files of these versions: spikingjelly
2.0.0, norse 1.1.0, rockpool 3.1.0, mlx-snn 0.5.0, spyx 1.0.0, sinabs 3.1.3, snnTorch 1.0.0; their spikes on the same
frames were compared with those of the graph. A mark is a likelihood and no proof: the file may mean what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from netx.nir_graph import NEURONS, SPIKING, TIMES, NirGraph, NirNode

DEFAULT_STEP = 1e-4
"""Seconds: what snnTorch 1.0.0 writes its decays for (``export_nir.py``), and spikingjelly 2.0.0 unless it is told."""

_CLOSE = 1e-4
"""Relative: time constants and gains are stored as float32, and computed from each other before."""

_LONG = 1.0
"""Seconds: no neuron's time constant is so long, so that it counts steps."""


@dataclass(frozen=True)
class Mark:
    """What frameworks leave in a graph. name: short, of small letters and hyphens. writers: who does. means: what their
    neurons compute, and what the graph says instead. mend: what to do. source: where it was seen."""

    name: str
    writers: tuple[str, ...]
    means: str
    mend: str
    source: str


@dataclass(frozen=True)
class Recognised:
    """A mark that a graph has. nodes: which have it. says: what was seen there. step: seconds of a time step that the
    mark speaks of, where it does."""

    mark: Mark
    nodes: tuple[str, ...]
    says: str
    step: float | None = None


def recognised(graph: NirGraph, *marks: Mark) -> list[Recognised]:
    """Which of ``marks``, of all where none is named, ``graph`` has.

    Parameters of its nodes may be infinite, and missing where they could not be read.
    """
    neurons = {name: node for name, node in graph.nodes.items() if node.kind in NEURONS}
    wanted = [(mark, check) for mark, check in _CHECKS if not marks or mark in marks]
    return [found for mark, check in wanted for found in check(mark, graph, neurons)]


def implied_step(graph: NirGraph) -> float | None:
    """Seconds for which all leaky neurons have a gain of one, ``tau / r``; None where there is no such, or r is 1.

    snnTorch, spikingjelly (decay_input=False) and mlx-snn write ``r = tau / dt``: what arrives is added whole.
    """
    ratios = []
    for node in graph.nodes.values():
        tau, r = node.numbers("tau"), node.numbers("r")
        if node.kind not in ("LIF", "LI") or tau is None or r is None:
            continue
        if tau.shape != r.shape or not (r > 0).all() or not np.isfinite(tau).all() or not np.isfinite(r).all():
            return None
        if _are(r, 1):
            return None
        ratios.append((tau.astype(np.float64) / r).ravel())
    if not ratios:
        return None
    every = np.concatenate(ratios)
    step = float(np.median(every)) if every.size else 0.0
    return step if step > 0 and np.allclose(every, step, rtol=_CLOSE, atol=0) else None


def step_of(graph: NirGraph) -> float:
    """Seconds of a time step: what the file says, else what its gains imply, else ``DEFAULT_STEP``."""
    return graph.dt or implied_step(graph) or DEFAULT_STEP


Neurons: TypeAlias = Mapping[str, NirNode]
_Check: TypeAlias = Callable[[Mark, NirGraph, Neurons], Iterator[Recognised]]


def _integrators_by_rate(mark: Mark, graph: NirGraph, neurons: Neurons) -> Iterator[Recognised]:
    found = {
        name: r for name, node in neurons.items() if node.kind in ("IF", "I") and (r := node.numbers("r")) is not None
    }
    rates = np.concatenate([r.ravel().astype(np.float64) for r in found.values()]) if found else np.zeros(0)
    if not rates.size or not np.isfinite(rates).all() or not _are(rates, float(rates[0])) or rates[0] < 100:
        return
    step = 1 / float(rates[0])
    if graph.dt is None or np.isclose(graph.dt, step, rtol=_CLOSE):
        yield Recognised(mark, tuple(found), f"r is {rates[0]:g} in every integrator, which is 1 / {step:g} s", step)


def _current_added_whole(mark: Mark, graph: NirGraph, neurons: Neurons) -> Iterator[Recognised]:
    cuba = {name: node for name, node in neurons.items() if node.kind in ("CubaLIF", "CubaLI")}
    gains = [node.numbers("w_in") for node in cuba.values()]
    if not cuba or not all(gain is None or _are(gain, 1) for gain in gains):
        return
    step = step_of(graph)
    slow = [name for name, node in cuba.items() if _longest(node, "tau_syn") > step * (1 + _CLOSE)]
    if slow:
        longest = max(_longest(cuba[name], "tau_syn") for name in slow)
        yield Recognised(
            mark, tuple(slow), f"w_in is 1 in every CubaLIF, and tau_syn {longest:g} s at a step of {step:g} s"
        )


def _times_of_norses_step(mark: Mark, graph: NirGraph, neurons: Neurons) -> Iterator[Recognised]:
    timed = {name: longest for name, node in neurons.items() if (longest := max(_longest(node, t) for t in TIMES)) > 0}
    gains = [node.numbers("r") for name, node in neurons.items() if name in timed]
    short = bool(timed) and max(timed.values()) < DEFAULT_STEP * (1 - _CLOSE)
    if short and graph.dt is None and all(gain is not None and _are(gain, 1) for gain in gains):
        yield Recognised(mark, tuple(timed), f"the longest time constant is {max(timed.values()):g} s", 1e-6)


def _gain_of_step(mark: Mark, graph: NirGraph, _: Neurons) -> Iterator[Recognised]:
    step, assumed = implied_step(graph), graph.dt or DEFAULT_STEP
    if step is not None and step < _LONG and not np.isclose(step, assumed, rtol=_CLOSE):
        names = tuple(name for name, node in graph.nodes.items() if node.kind in ("LIF", "LI"))
        said = "the file says" if graph.dt else "the default is"
        yield Recognised(mark, names, f"tau / r is {step:g} s in every LIF, and {said} {assumed:g} s", step)


def _steps_with_gain_lost(mark: Mark, graph: NirGraph, neurons: Neurons) -> Iterator[Recognised]:
    found = tuple(
        name
        for name, node in neurons.items()
        if node.kind in ("LIF", "LI") and _shortest(node, "tau") >= _LONG and _are(node.numbers("r"), 1)
    )
    if found and graph.dt != 1:
        longest = max(_longest(graph.nodes[name], "tau") for name in found)
        yield Recognised(mark, found, f"tau is {longest:g}, in steps, and r 1", 1.0)


def _gain_of_beta(mark: Mark, _: NirGraph, neurons: Neurons) -> Iterator[Recognised]:
    found = []
    for name, node in neurons.items():
        tau, r = node.numbers("tau"), node.numbers("r")
        if node.kind != "LIF" or tau is None or r is None or tau.shape != r.shape or not tau.size:
            continue
        if np.isfinite(tau).all() and (tau > _LONG).all() and np.allclose(r, 1 - 1 / tau, rtol=_CLOSE, atol=0):
            found.append(name)
    if found:
        yield Recognised(mark, tuple(found), "r is 1 - 1 / tau, with tau in steps", 1.0)


def _reset_of_all_zero(mark: Mark, graph: NirGraph, neurons: Neurons) -> Iterator[Recognised]:
    spiking = {name: node for name, node in neurons.items() if node.kind in SPIKING}
    resets = [node.numbers("v_reset") for node in spiking.values()]
    if not spiking or not all(reset is not None and not reset.any() for reset in resets):
        return
    step = step_of(graph)
    slow = tuple(
        name
        for name, node in spiking.items()
        if node.kind == "IF" or max(_longest(node, "tau"), _longest(node, "tau_mem")) > step * (1 + _CLOSE)
    )
    if slow:
        yield Recognised(mark, slow, "v_reset is 0 everywhere, and voltages outlive a step")


def _never_leaks(mark: Mark, _: NirGraph, neurons: Neurons) -> Iterator[Recognised]:
    found = tuple(name for name, node in neurons.items() if any(np.isposinf(_longest(node, time)) for time in TIMES))
    if found:
        yield Recognised(mark, found, "a time constant is infinite")


def _are(values: npt.NDArray | None, expected: float) -> bool:
    """Whether there are ``values``, and all are ``expected``, as float32 knows it."""
    return values is not None and values.size > 0 and bool(np.allclose(values, expected, rtol=_CLOSE, atol=0))


def _longest(node: NirNode, name: str) -> float:
    """The largest value of a parameter; 0 where there is none."""
    values = node.numbers(name)
    return 0.0 if values is None or not values.size else float(values.max())


def _shortest(node: NirNode, name: str) -> float:
    values = node.numbers(name)
    return 0.0 if values is None or not values.size else float(values.min())


_CHECKS: tuple[tuple[Mark, _Check], ...] = (
    (
        Mark(
            "spikingjelly",
            ("spikingjelly",),
            "spikingjelly writes r = 1 / dt for an IF whose input is added whole. As norse and sinabs run the "
            "graph, r times the input is added at each step: ten thousand times too much.",
            "If spikingjelly wrote it, set r to 1.",
            "spikingjelly 2.0.0 export_to_nir: IFNode with r = 10000 at its dt of 1e-4",
        ),
        _integrators_by_rate,
    ),
    (
        Mark(
            "norse-rockpool-mlx-spyx",
            ("norse", "rockpool", "mlx-snn", "spyx"),
            "norse's LIFCell, rockpool's LIFTorch, mlx-snn's Synaptic and spyx's CuBaLIF add their input whole, and "
            "leave w_in at 1; by the graph only dt / tau_syn of it arrives, and the neurons are nearly silent.",
            "If one of them wrote it, set w_in to tau_syn / dt.",
            "norse 1.1.0 to_nir, rockpool 3.1.0 to_nir, mlx-snn 0.5.0, spyx 1.0.0: w_in is left at nir's default",
        ),
        _current_added_whole,
    ),
    (
        Mark(
            "norse-default-step",
            ("norse",),
            "norse's to_nir multiplies time constants by its dt, 0.001 unless it is told: 10 ms is written as 1e-05 s.",
            "If norse wrote it, read it with --dt 1e-6, norse's dt squared, or export it with to_nir(..., dt=1.0).",
            "norse 1.1.0 torch/utils/export_nir.py: dt=0.001",
        ),
        _times_of_norses_step,
    ),
    (
        Mark(
            "step-in-r",
            ("snntorch", "spikingjelly", "mlx-snn"),
            "r is tau / dt in files of snnTorch, spikingjelly (decay_input=False) and mlx-snn, so that what arrives is "
            "added whole; at another time step the gain is another.",
            "Read it with the --dt that is named.",
            "snnTorch 1.0.0 export_nir.py: r = tau / dt; spikingjelly 2.0.0 with dt=1e-3: tau 2e-3, r 2",
        ),
        _gain_of_step,
    ),
    (
        Mark(
            "sinabs",
            ("sinabs",),
            "sinabs writes tau in steps and r 1, whether its LIF normalises its input or not (norm_input); without it, "
            "what arrives is added whole, and by the graph only 1 / tau of it.",
            "If sinabs wrote it, read it with --dt 1; with norm_input=False set tau and r to 1 / (1 - exp(-1 / tau)).",
            "sinabs 3.1.3 nir.py: tau=tau_mem, r=1; layers/lif.py",
        ),
        _steps_with_gain_lost,
    ),
    (
        Mark(
            "spyx",
            ("spyx",),
            "spyx writes r = beta and tau = 1 / (1 - beta) in steps, and adds its input whole, a step late.",
            "If spyx wrote it, read it with --dt 1 and set r to tau; its spikes come a step late, and it subtracts.",
            "spyx 1.0.0 nir.py",
        ),
        _gain_of_beta,
    ),
    (
        Mark(
            "subtracting",
            ("snntorch", "sinabs", "rockpool", "spyx", "mlx-snn"),
            "v_reset is 0 in files of every writer, since nir fills it in: sinabs, rockpool, spyx, mlx-snn and "
            "snnTorch subtract the threshold unless they are told otherwise, and the file does not say.",
            "Build neurons that reset to zero before training, or compare spikes with the framework's.",
            "nir 1.0.8 nir/serialization.py; snnTorch 1.0.0 export_nir.py: v_reset zeros whatever reset_mechanism is",
        ),
        _reset_of_all_zero,
    ),
    (
        Mark(
            "snntorch-beta-one",
            ("snntorch",),
            "A time constant is infinite: neurons without a leak, which is what beta = 1 makes in snnTorch.",
            "Use a beta just below 1, or an IF neuron.",
            "snnTorch 1.0.0 export_nir.py: tau = dt / (1 - beta)",
        ),
        _never_leaks,
    ),
)

MARKS: tuple[Mark, ...] = tuple(mark for mark, _ in _CHECKS)
"""Every mark that is known."""
