"""Rules about what norse 1.1.0 makes of a graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from netx.lint.finding import Family, Severity, Trouble
from netx.lint.nir_view import NEURONS, TIMES, NirGraph, NirNode, steady
from netx.lint.raw import nonzero
from netx.lint.reader_kinds import refuse_others

GRAPH: Family[NirGraph] = Family()
NODE: Family[NirNode] = Family()

_NORSE = "norse 1.1.0 torch/utils/import_nir.py"
_NORSE_DT = 1e-3
_TAKES = ("Input", "Output", "Affine", "Linear", "Conv2d", "Flatten", "IF", "LIF", "CubaLIF", "SumPool2d")

refuse_others(NODE, "norse", _TAKES, _NORSE)


@NODE.rule(
    "norse-time-step",
    Severity.WARNING,
    "A time constant is shorter than the time step that norse assumes unless it is told another: the state overshoots.",
    "Call norse.torch.from_nir(graph, dt=...) with the file's own time step.",
    f"{_NORSE}: dt=0.001",
    "norse",
)
def _norse_step(node: NirNode) -> Iterator[Trouble]:
    for name in TIMES:
        values = node.raw.numbers(name) if node.kind in NEURONS else None
        if values is not None and values.size and 0 < (least := np.float32(values.min())) < np.float32(_NORSE_DT):
            yield name, f"is {least:g} s, and norse's default dt is {_NORSE_DT:g} s"


@GRAPH.rule(
    "norse-default-time-step",
    Severity.WARNING,
    "norse takes a time step of 1e-3 s unless it is told another, whatever the file says.",
    "Call norse.torch.from_nir(graph, dt=...) with the file's own time step.",
    f"{_NORSE}: dt=0.001",
    "norse",
)
def _norse_default(graph: NirGraph) -> Iterator[Trouble]:
    slow = [node for node in graph.of_kind("LIF", "LI", "CubaLIF", "CubaLI") if _remembers(node)]
    if slow and graph.dt != _NORSE_DT:
        says = "says nothing of a time step" if graph.dt is None else f"says {graph.dt:g} s"
        yield f"nodes/{slow[0].name}", f"keeps state, and the file {says}"


def _remembers(node: NirNode) -> bool:
    """Whether a time constant is so long that norse's default step does not make it forget, or overshoot, at once."""
    times = [values for name in TIMES if (values := node.raw.numbers(name)) is not None and values.size]
    return any(values.max() > np.float32(_NORSE_DT) for values in times)


@NODE.rule(
    "norse-cuba-leaks-twice",
    Severity.WARNING,
    "norse gives the leak voltage of a CubaLIF to its current, too, which then never settles at zero.",
    "Fold v_leak into the bias.",
    f"{_NORSE}: LIBoxParameters(v_leak=...)",
    "norse",
    refused=True,
)
def _norse_leak(node: NirNode) -> Iterator[Trouble]:
    leak = node.raw.numbers("v_leak")
    if node.kind == "CubaLIF" and leak is not None and leak.any():
        yield "v_leak", f"is {nonzero(leak):g}"


@NODE.rule(
    "norse-reset-ignored",
    Severity.WARNING,
    "norse resets to 0, whatever v_reset says, and ignores r of a LIF or IF.",
    "Fold v_reset into the threshold and r into the weights.",
    _NORSE,
    "norse",
    refused=True,
)
def _norse_reset(node: NirNode) -> Iterator[Trouble]:
    reset, r = node.raw.numbers("v_reset"), node.raw.numbers("r")
    if node.kind in ("IF", "LIF", "CubaLIF") and reset is not None and reset.any():
        yield "v_reset", f"is {nonzero(reset):g}"
    if node.kind in ("IF", "LIF") and r is not None and r.size and not steady(r, 1):
        yield "r", f"is {r.flat[0]:g}"


@NODE.rule(
    "norse-sum-pool-padding",
    Severity.WARNING,
    "norse ignores the padding of a sum pool.",
    "Pad with a convolution, or do not pad.",
    _NORSE,
    "norse",
    refused=True,
)
def _norse_pool(node: NirNode) -> Iterator[Trouble]:
    padding = node.raw.numbers("padding")
    if node.kind == "SumPool2d" and padding is not None and padding.any():
        yield "padding", f"is {padding}"


@NODE.rule(
    "norse-linear-swapped",
    Severity.WARNING,
    "norse's Linear has its sizes the wrong way round; its weights are set afterwards.",
    "Write an Affine node with a bias of zeros.",
    f"{_NORSE}: Linear(weight.shape[-2], weight.shape[-1])",
    "norse",
)
def _norse_linear(node: NirNode) -> Iterator[Trouble]:
    weight = node.raw.numbers("weight")
    if node.kind == "Linear" and weight is not None and weight.ndim == 2 and weight.shape[0] != weight.shape[1]:
        yield "weight", f"has shape {weight.shape}"
