"""Rules about graphs that several readers of NIR run otherwise than they say, or nirtorch, on which most build.

What a single one does stands in ``reader_table``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from netx.lint.finding import Family, Severity, Trouble
from netx.lint.nir_view import number, of_kind
from netx.lint.raw import nonzero
from netx.nir_graph import StoredGraph, StoredNode

GRAPH: Family[StoredGraph] = Family()
NODE: Family[StoredNode] = Family()

READERS = ("norse", "snntorch", "sinabs", "nirtorch", "lava")
"""Whose traps are known: norse 1.1.0, snnTorch 1.0.0, sinabs 3.1.3, nirtorch 2.6 and lava-dl 0.6.0."""

_NIRTORCH = "nirtorch 2.6"


@GRAPH.rule(
    "nirtorch-several-inputs",
    Severity.WARNING,
    "nirtorch, on which norse, snnTorch and sinabs build, runs graphs of one input and one output.",
    "Write each stretch between inputs and branches to a file of its own; monospike's folders are such.",
    f"{_NIRTORCH}; neuromorphs/NIRTorch issue 30",
    "nirtorch",
    refused=True,
)
def _several(graph: StoredGraph) -> Iterator[Trouble]:
    for kind in ("Input", "Output"):
        if len(found := of_kind(graph, kind)) > 1:
            yield "nodes", f"hold {len(found)} of kind {kind}: {', '.join(node.name for node in found)}"


@NODE.rule(
    "nirtorch-affine-bias",
    Severity.WARNING,
    "nirtorch's own map for Affine sets the bias on the wrong object: a random one stays.",
    "Load with norse or snnTorch, or give nirtorch.nir_to_torch a map of your own.",
    f"{_NIRTORCH} nir_interpreter.py",
    "nirtorch",
)
def _affine(node: StoredNode) -> Iterator[Trouble]:
    bias = node.numbers("bias")
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
def _grouped(node: StoredNode) -> Iterator[Trouble]:
    groups = number(node, "groups")
    if node.kind in ("Conv1d", "Conv2d") and groups is not None and groups > 1:
        yield "groups", f"is {groups:g}"


@NODE.rule(
    "nir-kernel-not-square",
    Severity.WARNING,
    "nir's type check takes the height of a kernel for its width, and refuses the graph.",
    "Fill the kernel up with zeros to a square, as monospike does.",
    "nir 1.0.8 nir/ir/conv.py",
)
def _square(node: StoredNode) -> Iterator[Trouble]:
    weight = node.numbers("weight")
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
def _flatten(node: StoredNode) -> Iterator[Trouble]:
    if node.kind == "Flatten":
        yield "start_dim", f"is {number(node, 'start_dim')}"


@NODE.rule(
    "nir-keeps-state",
    Severity.NOTE,
    "An IF keeps what it does not fire: readers differ in whether the next frame starts from it.",
    "For frames that do not belong together, use a LIF whose tau is the time step, or reset between frames.",
    "norse 1.1.0: the caller carries the state; sinabs 3.1.3: the module keeps it",
)
def _keeps(node: StoredNode) -> Iterator[Trouble]:
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
def _quantised(node: StoredNode) -> Iterator[Trouble]:
    weight = node.numbers("weight")
    if weight is None or not weight.size or node.kind not in ("Affine", "Linear", "Conv1d", "Conv2d"):
        return
    with np.errstate(invalid="ignore"):
        bad = ~((weight == np.floor(weight)) & (np.abs(weight) <= 256))
    if bad.any():
        yield "weight", f"holds {weight.flat[int(np.argmax(bad.ravel()))]:g}"
