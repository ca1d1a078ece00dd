"""Rules about what sinabs 3.1.3 makes of a graph."""

from __future__ import annotations

from collections.abc import Iterator

from netx.lint.finding import Family, Severity, Trouble
from netx.lint.nir_view import NirNode, steady
from netx.lint.reader_kinds import refuse_others

NODE: Family[NirNode] = Family()

_SINABS = "sinabs 3.1.3 nir.py"
_TIME_STEP = 1e-4
"""Of the files that monospike writes: a neuron with this ``tau`` remembers nothing, however its time is counted."""

_TAKES = ("Input", "Output", "Affine", "Conv1d", "Conv2d", "LI", "IF", "LIF", "SumPool2d", "Flatten")

refuse_others(NODE, "sinabs", _TAKES, _SINABS)


@NODE.rule(
    "sinabs-time-in-steps",
    Severity.WARNING,
    "sinabs counts tau in steps and keeps exp(-1 / tau) of the voltage; a tau in seconds forgets at once, and what "
    "arrives is not multiplied by r dt / tau.",
    "Write tau in steps and fold the gain into the weights, or set tau_mem after loading.",
    f"{_SINABS}: tau_mem=node.tau; sinabs 3.1.3 layers/lif.py: exp(-1 / tau_mem)",
    "sinabs",
    refused=True,
)
def _sinabs_time(node: NirNode) -> Iterator[Trouble]:
    tau = node.raw.numbers("tau")
    if node.kind in ("LIF", "LI") and tau is not None and tau.size and tau.max() < 1 and not steady(tau, _TIME_STEP):
        yield "tau", f"is {tau.flat[0]:g} s"


@NODE.rule(
    "sinabs-subtracts",
    Severity.WARNING,
    "sinabs subtracts the threshold from a neuron that fires, whatever v_reset says, and ignores r.",
    "Set reset_fn to MembraneReset() after loading; fold r into the weights.",
    f"{_SINABS}: IAFSqueeze(...); sinabs 3.1.3 layers/iaf.py: reset_fn=MembraneSubtract()",
    "sinabs",
)
def _sinabs_reset(node: NirNode) -> Iterator[Trouble]:
    tau, r = node.raw.numbers("tau"), node.raw.numbers("r")
    if node.kind == "IF" or (node.kind == "LIF" and not steady(tau, _TIME_STEP)):
        yield "type", f"is {node.kind}, which keeps what is left above the threshold"
    if node.kind == "IF" and r is not None and r.size and not steady(r, 1):
        yield "r", f"is {r.flat[0]:g}"


@NODE.rule(
    "sinabs-shaped-parameters",
    Severity.WARNING,
    "sinabs fails over LIF and LI nodes whose v_leak has more than one axis: ValueError.",
    "Use IF nodes for it, or flat layers.",
    f"{_SINABS}: any(node.v_leak) of an array",
    "sinabs",
    refused=True,
)
def _sinabs_shape(node: NirNode) -> Iterator[Trouble]:
    leak = node.raw.numbers("v_leak")
    if node.kind in ("LIF", "LI") and leak is not None and leak.ndim > 1:
        yield "v_leak", f"has shape {leak.shape}"


@NODE.rule(
    "sinabs-several-spikes",
    Severity.WARNING,
    "sinabs's neurons fire when the voltage equals the threshold, and as often in one step as it holds the threshold.",
    "Set spike_fn to SingleSpike after loading, and put thresholds between the values that sums can take.",
    "sinabs 3.1.3 activation/spike_generation.py: MultiSpike is the default",
    "sinabs",
)
def _sinabs_spikes(node: NirNode) -> Iterator[Trouble]:
    if node.kind in ("IF", "LIF"):
        yield "type", f"is {node.kind}"
