"""What a layer reads through wires, as convolutions of the layers behind them. No Lava in here.

Several layers side by side are a convolution of each, whose currents add up in the neurons: Lava's stock processes take
any number of inputs. A convolution of an up-sampled map is one of the map itself that computes all outputs between two
strides as channels of one pixel (sub-pixel convolution, arXiv:1609.05158), which are then moved to their places on the
way to the neurons: no weight is lost, no step is added, and no process is needed that Lava does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx import Concat, Flatten, Layer, Network, NetworkError, Upsample
from netx.arrays import IntArray
from netx.headroom import largest_sum
from netx.limits import STATE_BITS
from netx.lowering import MAX_ELEMENTS, lowered
from netx.types import Pair


@dataclass(frozen=True)
class Branch:
    """A convolution of ``source``, an input or a layer with neurons.

    weight: shape (out channel, in channel / groups, height, width), not flipped; may be beyond 8 bits, since where
    copies of a value meet their weights are added. Pairs are (height, width).
    spread: rows and columns of outputs that lie in the channels: channel ``(c * rows + row) * columns + column``.
    """

    source: str
    weight: IntArray
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    spread: Pair = (1, 1)

    @property
    def kernel(self) -> Pair:
        """(height, width)."""
        return self.weight.shape[2], self.weight.shape[3]


@dataclass(frozen=True)
class _Leaf:
    """Something behind the wires that a layer reads, and the wires, its own first."""

    source: str
    wires: tuple[Flatten | Upsample, ...] = ()

    @property
    def flattened(self) -> bool:
        return any(isinstance(wire, Flatten) for wire in self.wires)


def branches(network: Network, layer: Layer, max_groups: int) -> list[Branch]:
    """The convolutions of which the activation of ``layer`` is the sum.

    Raises NetworkError where there are none with the same bits.
    """
    read, flattened = layer.inputs[0], False
    while (wire := _wire(network, read)) is not None and isinstance(wire.synapse, Flatten):
        read, flattened = wire.inputs[0], True
    shape = network.shape(read)
    leaves = _leaves(network, read)
    alone = len(leaves) == 1
    conv = lowered(layer.synapse, shape, flattened, max_groups if alone else 1)
    if alone and not leaves[0].wires:
        return [Branch(leaves[0].source, conv.weight, conv.stride, conv.padding, conv.dilation, conv.groups)]
    if largest_sum(network, layer.name) >= 1 << (STATE_BITS - 1):
        raise NetworkError("its sums may leave 24 bits, which Lava wraps branch by branch: narrow its inputs")
    found, first = [], 0
    output = network.shape(layer.name)
    for leaf in leaves:
        count = _channels(network, leaf)
        weight = conv.weight if alone else conv.weight[:, first : first + count]
        first += count
        branch = Branch(leaf.source, weight, conv.stride, conv.padding, conv.dilation, conv.groups)
        if leaf.flattened:
            found.append(_unflattened(network, leaf, branch))
        else:
            ups = [wire for wire in leaf.wires if isinstance(wire, Upsample)]
            found.append(_sub_pixel(branch, network.shape(leaf.source)[1:], ups, output[1:]) if ups else branch)
    return found


def _wire(network: Network, name: str) -> Layer | None:
    """The layer called ``name`` where it is a wire."""
    if any(source.name == name for source in network.inputs):
        return None
    layer = network.layer(name)
    return layer if layer.neuron is None else None


def _leaves(network: Network, name: str, wires: tuple[Flatten | Upsample, ...] = ()) -> list[_Leaf]:
    layer = _wire(network, name)
    if layer is None:
        return [_Leaf(name, wires)]
    if isinstance(layer.synapse, Concat):
        return [leaf for source in layer.inputs for leaf in _leaves(network, source, wires)]
    assert isinstance(layer.synapse, (Flatten, Upsample))
    return _leaves(network, layer.inputs[0], (layer.synapse, *wires))


def _channels(network: Network, leaf: _Leaf) -> int:
    shape = network.shape(leaf.source)
    for wire in leaf.wires:
        shape = wire.output_shape((shape,))
    return shape.channel


def _unflattened(network: Network, leaf: _Leaf, branch: Branch) -> Branch:
    """The same of what is not flattened: a kernel as large as the map."""
    if any(isinstance(wire, Upsample) for wire in leaf.wires):
        raise NetworkError(f"reads {leaf.source!r} up-sampled and flattened, of which Lava's form is not known here")
    if branch.kernel != (1, 1) or branch.padding != (0, 0) or branch.groups != 1:
        raise NetworkError("convolves what is flat: make it a Dense layer, or do not flatten")
    shape = network.shape(leaf.source)
    return Branch(leaf.source, branch.weight.reshape(-1, *shape), (1, 1), (0, 0), (1, 1), 1)


@dataclass(frozen=True)
class _Axis:
    """One axis of a sub-pixel convolution. taps: shape (place between strides, tap of the convolution of the up-sampled
    map, tap of the kernel), one where they are the same."""

    taps: npt.NDArray[np.int64]
    stride: int
    padding: int


def _sub_pixel(branch: Branch, source: Sequence[int], ups: Sequence[Upsample], output: Sequence[int]) -> Branch:
    """The convolution ``branch`` of a map that ``ups`` make larger, as one of the map itself."""
    rows, columns = (
        _axis(
            source[axis],
            output[axis],
            [(up.factor[axis], up.zeros) for up in ups],
            (branch.kernel[axis], branch.stride[axis], branch.padding[axis], branch.dilation[axis]),
        )
        for axis in (0, 1)
    )
    spread = (len(rows.taps), len(columns.taps))
    out, ins = branch.weight.shape[:2]
    if out * ins * math.prod(spread) * rows.taps.shape[2] * columns.taps.shape[2] > MAX_ELEMENTS:
        raise NetworkError(f"its sub-pixel kernels are more than {MAX_ELEMENTS} weights")
    across = np.tensordot(branch.weight.astype(np.int64), columns.taps, axes=(3, 1))  # o i t x l
    weight = np.tensordot(across, rows.taps, axes=(2, 1))  # o i x l y k
    weight = weight.transpose(0, 4, 2, 1, 5, 3).reshape(-1, ins, rows.taps.shape[2], columns.taps.shape[2])
    stride, padding = (rows.stride, columns.stride), (rows.padding, columns.padding)
    return Branch(branch.source, weight.astype(np.int32), stride, padding, (1, 1), branch.groups, spread)


def _axis(size: int, outputs: int, ups: Sequence[tuple[int, bool]], window: tuple[int, int, int, int]) -> _Axis:
    """size, outputs: of the map and of the convolution. ups: (factor, zeros). window: kernel, stride, padding and
    dilation.

    Output ``places * n + place`` reads through each tap the value ``stride * n + offset`` of the map, or none; offsets
    and places follow from n = 0.
    """
    kernel, step, padding, dilation = window
    factor = math.prod(one for one, _ in ups)
    places = factor // math.gcd(factor, step)
    if outputs % places:
        raise NetworkError(
            f"its {outputs} rows or columns are no multiple of {places}, in which Lava's form of up-sampling comes: "
            "choose padding or trailing zeros (torch's output_padding) so that they are"
        )
    stride, count = places * step // factor, outputs // places
    reads = np.arange(places)[:, None] * step + np.arange(kernel) * dilation - padding
    silent = np.zeros(reads.shape, bool)
    for one, zeros in reversed(ups):
        silent |= zeros & (reads % one != 0)
        reads = reads // one
    low, high = (int(end(reads[~silent], initial=0)) for end in (np.min, np.max))
    # Lava pads both ends alike: a wider kernel takes off again what is too much.
    before = -low
    while size + 2 * before - stride * (count - 1) < high + before + 1:
        before += 1
    width = max(high + before + 1, size + 2 * before - stride * count + 1)
    hits = reads[:, :, None] + before == np.arange(width)
    return _Axis((hits & ~silent[:, :, None]).astype(np.int64), stride, before)
