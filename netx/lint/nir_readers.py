"""Rules about what one reader of NIR makes of a graph: each names the reader, and what its source says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from netx.lint.finding import Family, Severity, Trouble
from netx.lint.nir_view import NEURONS, TIMES, NirGraph, NirNode, steady
from netx.lint.raw import nonzero

GRAPH: Family[NirGraph] = Family()
NODE: Family[NirNode] = Family()

READERS = ("norse", "snntorch", "sinabs", "nirtorch", "lava")
"""Whose traps are known: norse 1.1.0, snnTorch 1.0.0, sinabs 3.1.3, nirtorch 2.6 and lava-dl 0.6.0."""

_NORSE = "norse 1.1.0 torch/utils/import_nir.py"
_SNNTORCH = "snnTorch 1.0.0 import_nir.py"
_SINABS = "sinabs 3.1.3 nir.py"
_NIRTORCH = "nirtorch 2.6"
_SNNTORCH_DT, _NORSE_DT = 1e-4, 1e-3
_TIME_STEP = 1e-4
"""Of the files that monospike writes: a neuron with this ``tau`` remembers nothing, however its time is counted."""

_TAKES = {
    "norse": ("Input", "Output", "Affine", "Linear", "Conv2d", "Flatten", "IF", "LIF", "CubaLIF", "SumPool2d"),
    "snntorch": (
        *("Input", "Output", "NIRGraph", "Affine", "Linear", "Conv1d", "Conv2d", "Flatten"),
        *("AvgPool2d", "SumPool2d", "IF", "LIF", "CubaLIF"),
    ),
    "sinabs": ("Input", "Output", "Affine", "Conv1d", "Conv2d", "LI", "IF", "LIF", "SumPool2d", "Flatten"),
}
"""The kinds of nodes that each reader has a module for, with those of nirtorch that snnTorch falls back on."""


def _refuses(reader: str, source: str) -> None:
    @NODE.rule(
        f"{reader}-node-not-read",
        Severity.WARNING,
        f"{reader} has no module for this kind of node: it fails over it, or leaves it out without a word.",
        f"Use {', '.join(_TAKES[reader])}.",
        source,
        reader,
        refused=True,
    )
    def _check(node: NirNode) -> Iterator[Trouble]:
        if node.kind not in _TAKES[reader]:
            yield "type", f"is {node.kind}"


_refuses("norse", _NORSE)
_refuses("snntorch", _SNNTORCH)
_refuses("sinabs", _SINABS)


@GRAPH.rule(
    "nirtorch-several-inputs",
    Severity.WARNING,
    "nirtorch, on which norse, snnTorch and sinabs build, runs graphs of one input and one output.",
    "Write each stretch between inputs and branches to a file of its own; monospike's folders are such.",
    f"{_NIRTORCH}; neuromorphs/NIRTorch issue 30",
    "nirtorch",
    refused=True,
)
def _several(graph: NirGraph) -> Iterator[Trouble]:
    for kind in ("Input", "Output"):
        if len(found := graph.of_kind(kind)) > 1:
            yield "nodes", f"hold {len(found)} of kind {kind}: {', '.join(node.name for node in found)}"


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
        if values is not None and values.size and 0 < (least := values.min()) < np.float32(_NORSE_DT):
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
        yield "padding", f"is {padding.tolist()}"


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


@NODE.rule(
    "snntorch-time-step",
    Severity.WARNING,
    "snnTorch takes a time step of 1e-4 s, whatever the file was made for: time constants and gains change.",
    "Write time constants for a step of 1e-4 s: one of 1e-4 s forgets at once.",
    f"{_SNNTORCH}: dt = 1e-4",
    "snntorch",
    refused=True,
)
def _snntorch_step(node: NirNode) -> Iterator[Trouble]:
    for name in TIMES:
        values = node.raw.numbers(name) if node.kind in ("LIF", "CubaLIF") else None
        r = node.raw.numbers("r")
        if values is None or not values.size or steady(values, _SNNTORCH_DT):
            continue
        # A leaky neuron's gain, r * dt / tau, may be one all the same.
        gained = node.kind == "LIF" and r is not None and r.shape == values.shape
        if not (gained and r is not None and np.allclose(r * _SNNTORCH_DT, values)):
            yield name, f"is {values.flat[0]:g} s, and snnTorch's step is {_SNNTORCH_DT:g} s"


@NODE.rule(
    "snntorch-neuron-refused",
    Severity.WARNING,
    "snnTorch refuses leak voltages, and thresholds that differ within a layer; it makes an IF leak.",
    "Fold v_leak into the bias; use one threshold and biases instead; use a LIF.",
    _SNNTORCH,
    "snntorch",
    refused=True,
)
def _snntorch_neuron(node: NirNode) -> Iterator[Trouble]:
    leak, threshold = node.raw.numbers("v_leak"), node.raw.numbers("v_threshold")
    if node.kind in ("LIF", "CubaLIF") and leak is not None and leak.any():
        yield "v_leak", f"is {nonzero(leak):g}"
    if node.kind in ("IF", "LIF", "CubaLIF") and threshold is not None and np.unique(threshold).size > 1:
        yield "v_threshold", f"has {np.unique(threshold).size} values"
    if node.kind == "IF":
        yield "type", "is IF, which becomes a Leaky with a beta of 0.9"


@NODE.rule(
    "snntorch-cuba-gain",
    Severity.WARNING,
    "snnTorch refuses a CubaLIF whose r is not tau_mem / 1e-4.",
    "Move the gain into w_in or the weights.",
    _SNNTORCH,
    "snntorch",
    refused=True,
)
def _snntorch_cuba(node: NirNode) -> Iterator[Trouble]:
    r, tau = node.raw.numbers("r"), node.raw.numbers("tau_mem")
    if node.kind != "CubaLIF" or r is None or tau is None or r.shape != tau.shape or not r.size:
        return
    if not np.allclose(r, tau / _SNNTORCH_DT):
        yield "r", f"is {r.flat[0]:g}"


@GRAPH.rule(
    "snntorch-recurrence-refused",
    Severity.WARNING,
    "snnTorch fails over recurrent graphs, its own too: nirtorch 2.6 builds no state for what it makes of the loop.",
    "Load each stretch between loops, or build RSynaptic or RLeaky by hand from the nodes.",
    f"{_SNNTORCH}, import_from_nir; {_NIRTORCH} nir_interpreter.py: AttributeError",
    "snntorch",
    refused=True,
)
def _snntorch_loop(graph: NirGraph) -> Iterator[Trouble]:
    if tangled := graph.tangled():
        yield f"nodes/{min(tangled)}", "is part of a loop, or behind one"


@NODE.rule(
    "snntorch-nested-neurons",
    Severity.WARNING,
    "By the order of the nodes' names, nirtorch 2.6 builds no state for a graph within a graph, and snnTorch fails.",
    "Write the nodes of the inner graph into the outer one.",
    f"{_NIRTORCH} nir_interpreter.py: AttributeError",
    "snntorch",
    refused=True,
)
def _snntorch_nested(node: NirNode) -> Iterator[Trouble]:
    nodes = node.raw.member("nodes") if node.kind == "NIRGraph" else None
    for name in nodes.names() if nodes is not None else ():
        inner = nodes.member(name) if nodes is not None else None
        if inner is not None and inner.text("type") in NEURONS:
            yield f"nodes/{name}", f"is {inner.text('type')}"
            return


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


@NODE.rule(
    "nirtorch-affine-bias",
    Severity.WARNING,
    "nirtorch's own map for Affine sets the bias on the wrong object: a random one stays.",
    "Load with norse or snnTorch, or give nirtorch.nir_to_torch a map of your own.",
    f"{_NIRTORCH} nir_interpreter.py",
    "nirtorch",
)
def _affine(node: NirNode) -> Iterator[Trouble]:
    bias = node.raw.numbers("bias")
    if node.kind == "Affine" and bias is not None and bias.any():
        yield "bias", f"is {nonzero(bias):g}"


@NODE.rule(
    "nir-grouped-convolution",
    Severity.WARNING,
    "All readers, and nir's own type check, take the second size of the weights for the number of input channels.",
    "Write groups as block-diagonal kernels of one group, as monospike does.",
    "nir 1.0.8 nir/ir/conv.py; norse, snnTorch, sinabs: in_channels=weight.shape[1]",
    refused=True,
)
def _grouped(node: NirNode) -> Iterator[Trouble]:
    groups = node.raw.number("groups")
    if node.kind in ("Conv1d", "Conv2d") and groups is not None and groups > 1:
        yield "groups", f"is {groups:g}"


@NODE.rule(
    "nir-kernel-not-square",
    Severity.WARNING,
    "nir's type check takes the height of a kernel for its width, and refuses the graph.",
    "Fill the kernel up with zeros to a square, as monospike does.",
    "nir 1.0.8 nir/ir/conv.py",
)
def _square(node: NirNode) -> Iterator[Trouble]:
    weight = node.raw.numbers("weight")
    if node.kind == "Conv2d" and weight is not None and weight.ndim == 4 and weight.shape[2] != weight.shape[3]:
        yield "weight", f"has kernels of {weight.shape[2]}x{weight.shape[3]}"


@NODE.rule(
    "nir-flatten-and-batch",
    Severity.WARNING,
    "NIR counts the axes of a Flatten without the batch, norse and snnTorch with it: one of them flattens the batch.",
    "Use an Affine layer behind a convolution whose output is 1x1, or a convolution as large as its input.",
    "nir 1.0.8 nir/ir/flatten.py; norse, snnTorch: torch.nn.Flatten(start_dim, end_dim)",
    refused=True,
)
def _flatten(node: NirNode) -> Iterator[Trouble]:
    if node.kind == "Flatten":
        yield "start_dim", f"is {node.raw.number('start_dim')}"


@NODE.rule(
    "nir-keeps-state",
    Severity.NOTE,
    "An IF keeps what it does not fire: readers differ in whether the next frame starts from it.",
    "For frames that do not belong together, use a LIF whose tau is the time step, or reset between frames.",
    "norse 1.1.0: the caller carries the state; sinabs 3.1.3: the module keeps it",
)
def _keeps(node: NirNode) -> Iterator[Trouble]:
    if node.kind in ("IF", "I"):
        yield "type", f"is {node.kind}"


@NODE.rule(
    "nir-to-be-quantised",
    Severity.NOTE,
    "The weights are no whole numbers within -256..255: they have to be quantised before a chip can hold them.",
    "monospike import quantises them and says what it costs.",
    "netx.limits",
    "lava",
)
def _quantised(node: NirNode) -> Iterator[Trouble]:
    weight = node.raw.numbers("weight")
    if weight is None or not weight.size or node.kind not in ("Affine", "Linear", "Conv1d", "Conv2d"):
        return
    with np.errstate(invalid="ignore"):
        bad = ~((weight == np.floor(weight)) & (np.abs(weight) <= 256))
    if bad.any():
        yield "weight", f"holds {weight.flat[int(np.argmax(bad.ravel()))]:g}"


@NODE.rule(
    "nir-threshold-tie",
    Severity.WARNING,
    "The threshold is a whole number, which a sum of whole weights can equal; readers differ in whether it fires then.",
    "Put the threshold half a unit higher, as monospike does.",
    "norse, snnTorch: >; sinabs 3.1.3, SLAYER from 4096 on: >=",
)
def _tie(node: NirNode) -> Iterator[Trouble]:
    threshold, r = node.raw.numbers("v_threshold"), node.raw.numbers("r")
    if node.kind not in ("IF", "LIF") or threshold is None or not threshold.size or not steady(r, 1):
        return
    if (threshold == np.floor(threshold)).all() and (np.abs(threshold) > 1).all():
        yield "v_threshold", f"is {threshold.flat[0]:g}"
