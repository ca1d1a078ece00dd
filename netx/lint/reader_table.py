"""What norse 1.1.0, snnTorch 1.0.0 and sinabs 3.1.3 make of a graph: a table of traps, a row each.

A row says when a node is one: with the small checks below, which most rows share, or with one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from netx.lint.finding import Family, Severity, Trouble
from netx.lint.nir_view import of_kind, steady, tangled
from netx.lint.raw import nonzero
from netx.nir_graph import NEURONS, TIMES, StoredGraph, StoredNode

GRAPH: Family[StoredGraph] = Family()
NODE: Family[StoredNode] = Family()

_NORSE = "norse 1.1.0 torch/utils/import_nir.py"
_SNNTORCH = "snnTorch 1.0.0 import_nir.py"
_SINABS = "sinabs 3.1.3 nir.py"
_NIRTORCH = "nirtorch 2.6 nir_interpreter.py"

_NORSE_DT, _SNNTORCH_DT = 1e-3, 1e-4
_TIME_STEP = 1e-4
"""Of the files that monospike writes: a neuron with this ``tau`` remembers nothing, however its time is counted."""

_ENDS = ("Input", "Output")
_READS = {
    "norse": (*_ENDS, "Affine", "Linear", "Conv2d", "Flatten", "IF", "LIF", "CubaLIF", "SumPool2d"),
    # With those of nirtorch that snnTorch falls back on.
    "snntorch": (
        *(*_ENDS, "NIRGraph", "Affine", "Linear", "Conv1d", "Conv2d", "Flatten"),
        *("AvgPool2d", "SumPool2d", "IF", "LIF", "CubaLIF"),
    ),
    "sinabs": (*_ENDS, "Affine", "Conv1d", "Conv2d", "LI", "IF", "LIF", "SumPool2d", "Flatten"),
}
"""The kinds that each has a module for."""

_Check = Callable[[StoredNode], Iterable[Trouble]]


@dataclass(frozen=True)
class _Row:
    """One trap of one reader. check: its troubles in a node. refused: it cannot be cured by how the reader is used."""

    name: str
    summary: str
    mend: str
    source: str
    check: _Check
    refused: bool = True


def _unread(kinds: tuple[str, ...]) -> _Check:
    """Nodes of other kinds."""
    return lambda node: [("type", f"is {node.kind}")] if node.kind not in kinds else []


def _nonzero(name: str, *kinds: str) -> _Check:
    """Nodes of these kinds with a parameter that is not zero everywhere."""

    def check(node: StoredNode) -> Iterator[Trouble]:
        values = node.numbers(name)
        if node.kind in kinds and values is not None and values.any():
            yield name, f"is {nonzero(values):g}"

    return check


def _not_one(name: str, *kinds: str) -> _Check:
    """Nodes of these kinds with a parameter that is not one everywhere."""

    def check(node: StoredNode) -> Iterator[Trouble]:
        values = node.numbers(name)
        if node.kind in kinds and values is not None and values.size and not steady(values, 1):
            yield name, f"is {values.flat[0]:g}"

    return check


def _any(*checks: _Check) -> _Check:
    """All that any of ``checks`` finds."""
    return lambda node: [trouble for check in checks for trouble in check(node)]


def _below_norses_step(node: StoredNode) -> Iterator[Trouble]:
    for name in TIMES:
        values = node.numbers(name) if node.kind in NEURONS else None
        if values is not None and values.size and 0 < (least := np.float32(values.min())) < np.float32(_NORSE_DT):
            yield name, f"is {least:g} s, and norse's default dt is {_NORSE_DT:g} s"


def _swapped(node: StoredNode) -> Iterator[Trouble]:
    weight = node.numbers("weight")
    if node.kind == "Linear" and weight is not None and weight.ndim == 2 and weight.shape[0] != weight.shape[1]:
        yield "weight", f"has shape {weight.shape}"


def _other_step(node: StoredNode) -> Iterator[Trouble]:
    r = node.numbers("r")
    for name in TIMES:
        values = node.numbers(name) if node.kind in ("LIF", "CubaLIF") else None
        if values is None or not values.size or steady(values, _SNNTORCH_DT):
            continue
        # A leaky neuron's gain, r * dt / tau, may be one all the same.
        gained = node.kind == "LIF" and r is not None and r.shape == values.shape
        if not (gained and r is not None and np.allclose(r * _SNNTORCH_DT, values)):
            yield name, f"is {values.flat[0]:g} s, and snnTorch's step is {_SNNTORCH_DT:g} s"


def _thresholds_differ(node: StoredNode) -> Iterator[Trouble]:
    threshold = node.numbers("v_threshold")
    if node.kind in ("IF", "LIF", "CubaLIF") and threshold is not None and np.unique(threshold).size > 1:
        yield "v_threshold", f"has {np.unique(threshold).size} values"
    if node.kind == "IF":
        yield "type", "is IF, which becomes a Leaky with a beta of 0.9"


def _cuba_gain(node: StoredNode) -> Iterator[Trouble]:
    r, tau = node.numbers("r"), node.numbers("tau_mem")
    if node.kind != "CubaLIF" or r is None or tau is None or r.shape != tau.shape or not r.size:
        return
    if not np.allclose(r, tau / _SNNTORCH_DT):
        yield "r", f"is {r.flat[0]:g}"


def _nested_neurons(node: StoredNode) -> Iterator[Trouble]:
    inner = of_kind(node.graph, *NEURONS) if node.graph is not None else []
    if inner:
        yield f"nodes/{inner[0].name}", f"is {inner[0].kind}"


def _in_seconds(node: StoredNode) -> Iterator[Trouble]:
    tau = node.numbers("tau")
    if node.kind in ("LIF", "LI") and tau is not None and tau.size and tau.max() < 1 and not steady(tau, _TIME_STEP):
        yield "tau", f"is {tau.flat[0]:g} s"


def _keeps_the_rest(node: StoredNode) -> Iterator[Trouble]:
    if node.kind == "IF" or (node.kind == "LIF" and not steady(node.numbers("tau"), _TIME_STEP)):
        yield "type", f"is {node.kind}, which keeps what is left above the threshold"


def _shaped_leak(node: StoredNode) -> Iterator[Trouble]:
    leak = node.numbers("v_leak")
    if node.kind in ("LIF", "LI") and leak is not None and leak.ndim > 1:
        yield "v_leak", f"has shape {leak.shape}"


def _fires_several(node: StoredNode) -> Iterator[Trouble]:
    if node.kind in ("IF", "LIF"):
        yield "type", f"is {node.kind}"


def _has_reset(node: StoredNode) -> Iterator[Trouble]:
    if node.kind in ("IF", "LIF", "CubaLIF") and "v_reset" in node.members:
        yield "v_reset", "is there"


_TELL_NORSE = "Call norse.torch.from_nir(graph, dt=...) with the file's own time step."

_ROWS: dict[str, tuple[_Row, ...]] = {
    "norse": (
        _Row(
            "time-step",
            "A time constant is shorter than the time step that norse assumes unless it is told another: the state "
            "overshoots.",
            _TELL_NORSE,
            f"{_NORSE}: dt=0.001",
            _below_norses_step,
            refused=False,
        ),
        _Row(
            "cuba-leaks-twice",
            "norse gives the leak voltage of a CubaLIF to its current, too, which then never settles at zero.",
            "Fold v_leak into the bias.",
            f"{_NORSE}: LIBoxParameters(v_leak=...)",
            _nonzero("v_leak", "CubaLIF"),
        ),
        _Row(
            "reset-ignored",
            "norse resets to 0, whatever v_reset says, and ignores r of a LIF or IF.",
            "Fold v_reset into the threshold and r into the weights.",
            _NORSE,
            _any(_nonzero("v_reset", "IF", "LIF", "CubaLIF"), _not_one("r", "IF", "LIF")),
        ),
        _Row(
            "sum-pool-padding",
            "norse ignores the padding of a sum pool.",
            "Pad with a convolution, or do not pad.",
            _NORSE,
            _nonzero("padding", "SumPool2d"),
        ),
        _Row(
            "linear-swapped",
            "norse's Linear has its sizes the wrong way round; its weights are set afterwards.",
            "Write an Affine node with a bias of zeros.",
            f"{_NORSE}: Linear(weight.shape[-2], weight.shape[-1])",
            _swapped,
            refused=False,
        ),
    ),
    "snntorch": (
        _Row(
            "time-step",
            "snnTorch takes a time step of 1e-4 s, whatever the file was made for: time constants and gains change.",
            "Write time constants for a step of 1e-4 s: one of 1e-4 s forgets at once.",
            f"{_SNNTORCH}: dt = 1e-4",
            _other_step,
        ),
        _Row(
            "neuron-refused",
            "snnTorch refuses leak voltages, and thresholds that differ within a layer; it makes an IF leak.",
            "Fold v_leak into the bias; use one threshold and biases instead; use a LIF.",
            _SNNTORCH,
            _any(_nonzero("v_leak", "LIF", "CubaLIF"), _thresholds_differ),
        ),
        _Row(
            "cuba-gain",
            "snnTorch refuses a CubaLIF whose r is not tau_mem / 1e-4.",
            "Move the gain into w_in or the weights.",
            _SNNTORCH,
            _cuba_gain,
        ),
        _Row(
            "nested-neurons",
            "By the order of the nodes' names, nirtorch 2.6 builds no state for a graph within a graph, and snnTorch "
            "fails.",
            "Write the nodes of the inner graph into the outer one.",
            f"{_NIRTORCH}: AttributeError",
            _nested_neurons,
        ),
    ),
    "sinabs": (
        _Row(
            "time-in-steps",
            "sinabs counts tau in steps and keeps exp(-1 / tau) of the voltage; a tau in seconds forgets at once, and "
            "what arrives is not multiplied by r dt / tau.",
            "Write tau in steps and fold the gain into the weights, or set tau_mem after loading.",
            f"{_SINABS}: tau_mem=node.tau; sinabs 3.1.3 layers/lif.py: exp(-1 / tau_mem)",
            _in_seconds,
        ),
        _Row(
            "subtracts",
            "sinabs subtracts the threshold from a neuron that fires, whatever v_reset says, and ignores r.",
            "Set reset_fn to MembraneReset() after loading; fold r into the weights.",
            f"{_SINABS}: IAFSqueeze(...); sinabs 3.1.3 layers/iaf.py: reset_fn=MembraneSubtract()",
            _any(_keeps_the_rest, _not_one("r", "IF")),
            refused=False,
        ),
        _Row(
            "shaped-parameters",
            "sinabs fails over LIF and LI nodes whose v_leak has more than one axis: ValueError.",
            "Use IF nodes for it, or flat layers.",
            f"{_SINABS}: any(node.v_leak) of an array",
            _shaped_leak,
        ),
        _Row(
            "several-spikes",
            "sinabs's neurons fire when the voltage equals the threshold, and as often in one step as it holds the "
            "threshold.",
            "Set spike_fn to SingleSpike after loading, and put thresholds between the values that sums can take.",
            "sinabs 3.1.3 activation/spike_generation.py: MultiSpike is the default",
            _fires_several,
            refused=False,
        ),
        _Row(
            "old-nir",
            "sinabs 3.1.3 installs nir 1.0.4, which fails over neurons with a v_reset: TypeError.",
            "Leave v_reset out where it is 0, which all readers take for it, or install nir 1.0.8 beside sinabs.",
            "sinabs 3.1.3 requirements: nir<=1.0.4; nir 1.0.4 and 1.0.5 ir/neuron.py: no v_reset",
            _has_reset,
            refused=False,
        ),
    ),
}

for _reader, _rows in _ROWS.items():
    _kinds = _READS[_reader]
    NODE.rule(
        f"{_reader}-node-not-read",
        Severity.WARNING,
        f"{_reader} has no module for this kind of node: it fails over it, or leaves it out without a word.",
        f"Use {', '.join(_kinds)}.",
        {"norse": _NORSE, "snntorch": _SNNTORCH, "sinabs": _SINABS}[_reader],
        _reader,
        refused=True,
    )(_unread(_kinds))
    for _row in _rows:
        NODE.rule(
            f"{_reader}-{_row.name}", Severity.WARNING, _row.summary, _row.mend, _row.source, _reader, _row.refused
        )(_row.check)


@GRAPH.rule(
    "norse-default-time-step",
    Severity.WARNING,
    "norse takes a time step of 1e-3 s unless it is told another, whatever the file says.",
    _TELL_NORSE,
    f"{_NORSE}: dt=0.001",
    "norse",
)
def _norse_default(graph: StoredGraph) -> Iterator[Trouble]:
    slow = [node for node in of_kind(graph, "LIF", "LI", "CubaLIF", "CubaLI") if _remembers(node)]
    if slow and graph.dt != _NORSE_DT:
        says = "says nothing of a time step" if graph.dt is None else f"says {graph.dt:g} s"
        yield f"nodes/{slow[0].name}", f"keeps state, and the file {says}"


def _remembers(node: StoredNode) -> bool:
    """Whether a time constant is so long that norse's default step does not make it forget, or overshoot, at once."""
    times = [values for name in TIMES if (values := node.numbers(name)) is not None and values.size]
    return any(values.max() > np.float32(_NORSE_DT) for values in times)


@GRAPH.rule(
    "snntorch-recurrence-refused",
    Severity.WARNING,
    "snnTorch fails over recurrent graphs, its own too: nirtorch 2.6 builds no state for what it makes of the loop.",
    "Load each stretch between loops, or build RSynaptic or RLeaky by hand from the nodes.",
    f"{_SNNTORCH}, import_from_nir; {_NIRTORCH}: AttributeError",
    "snntorch",
    refused=True,
)
def _snntorch_loop(graph: StoredGraph) -> Iterator[Trouble]:
    if loop := tangled(graph):
        yield f"nodes/{min(loop)}", "is part of a loop, or behind one"
