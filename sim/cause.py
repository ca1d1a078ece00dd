"""Why two engines part at a neuron: guesses that the numbers themselves bear out, most telling first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from netx import LIF, Conv2d, Network, limits
from sim.recording import Recording

Place = tuple[int, int, int, int]
_WRAP = 1 << (limits.STATE_BITS - limits.STATE_SHIFT)


def likely_cause(
    network: Network,
    frames: Mapping[str, npt.ArrayLike],
    name: str,
    reference: Recording,
    other: Recording,
    place: Place,
) -> str:
    """In words, why ``other`` differs from ``reference`` in layer ``name``, the first one in which it does.

    place: (frame, channel, row, column) of the first neuron that differs.
    """
    layer = network.layer(name)
    expected, got = reference.membranes[name].astype(np.int64), other.membranes[name].astype(np.int64)
    if np.array_equal(expected, got):
        threshold = layer.neuron.threshold if isinstance(layer.neuron, LIF) else 0
        if expected[place] == threshold:
            return f"threshold tie: the membrane equals the threshold {threshold}, and one engine fires at equality"
        return f"another threshold: the membranes agree, but {other.engine} decides differently (expected {threshold})"
    if moved := rearranged(expected, got, place[0], (reference.engine, other.engine)):
        return moved
    difference = got - expected
    if not (difference % _WRAP).any():
        return f"overflow: the membranes differ by a multiple of {_WRAP}, so one engine wrapped at 24 bits"
    if max(abs(int(expected[place])), abs(int(got[place]))) > limits.ACTIVATION_MAX:
        return f"overflow: the membrane is beyond {limits.ACTIVATION_MAX}, where 24-bit engines saturate"
    return _synaptic(network, frames, name, reference, difference, place)


def rearranged(expected: npt.NDArray, got: npt.NDArray, frame: int, engines: tuple[str, str]) -> str:
    """In words, how ``got`` is ``expected`` at other frames or in another order of axes; empty when it is neither.

    Arrays of shape (frame, channel, row, column) with the first difference in ``frame``; engines: who gave them.
    """
    if shift := _delay(expected, got):
        when = "before" if shift > 0 else "later"
        return f"delay: {engines[1]} gives what {engines[0]} gave {abs(shift)} frame(s) {when}"
    if turned := _axes(expected[frame], got[frame]):
        return f"axis order: {engines[1]} agrees once {turned}"
    return ""


def _delay(expected: npt.NDArray[np.int64], got: npt.NDArray[np.int64]) -> int:
    """Frames by which ``got`` lags (positive) or leads, when a lag of up to 4 explains all of it; else 0."""
    for lag in (1, 2, 3, 4):
        if len(expected) > lag + 1:
            if np.array_equal(got[lag:], expected[:-lag]):
                return lag
            if np.array_equal(got[:-lag], expected[lag:]):
                return -lag
    return 0


def _axes(expected: npt.NDArray[np.int64], got: npt.NDArray[np.int64]) -> str:
    """How to turn ``got`` (channel, row, column) so that it equals ``expected``, in words; empty when nothing does."""
    turns = {
        "rows and columns are swapped": got.transpose(0, 2, 1),
        "rows are reversed": got[:, ::-1],
        "columns are reversed": got[:, :, ::-1],
        "rows and columns are reversed": got[:, ::-1, ::-1],
        "channels are reversed": got[::-1],
    }
    for words, turned in turns.items():
        if np.array_equal(turned, expected):
            return words
    if np.array_equal(np.sort(got, axis=None), np.sort(expected, axis=None)):
        return "its values are re-ordered"
    return ""


def _synaptic(
    network: Network,
    frames: Mapping[str, npt.ArrayLike],
    name: str,
    reference: Recording,
    difference: npt.NDArray[np.int64],
    place: Place,
) -> str:
    """A bias, one weight, or several, told from how the difference of one channel follows the layer's input."""
    channel, here = place[1], difference[:, place[1]]
    synapse = network.layer(name).synapse
    if (here == here.flat[0]).all():
        return f"another bias: every membrane of channel {channel} is off by {int(here.flat[0]):+d}"
    if isinstance(synapse, Conv2d):
        values = _layer_input(network, frames, name, reference)
        per_group = synapse.weight.shape[1]
        group = channel // (synapse.weight.shape[0] // synapse.groups)
        padding = [(0, 0), (0, 0), *((p, p) for p in synapse.padding)]
        padded = np.pad(values.astype(np.int64), padding)
        for tap in np.ndindex(per_group, *synapse.kernel):
            seen = _tap_input(padded, synapse, group * per_group + tap[0], tap[1:], here.shape[1:])
            at = (seen != 0) & (here != 0)
            if not at.any():
                continue
            delta, rest = divmod(int(here[at][0]), int(seen[at][0]))
            if rest == 0 and np.array_equal(here, delta * seen):
                i, row, column = tap
                return (
                    f"another weight: weight[out {channel}, in {i}, row {row}, column {column}] is off by {delta:+d} "
                    f"(expected {int(synapse.weight[channel, i, row, column])})"
                )
    largest = int(np.abs(here).max())
    if largest <= 1:
        return "rounding: the membranes differ by at most one weight unit"
    channels = int((difference != 0).any(axis=(0, 2, 3)).sum())
    return (
        f"other weights or other inputs: {channels} of {difference.shape[1]} channels differ, channel {channel} by up "
        f"to {largest}; compare the two files' weights of this layer, their rounding and their exponent"
    )


def _layer_input(
    network: Network, frames: Mapping[str, npt.ArrayLike], name: str, reference: Recording
) -> npt.NDArray[np.integer]:
    source = network.layer(name).inputs[0]
    if source in frames:
        return np.asarray(frames[source])
    if source in reference.spikes:
        return reference.spikes[source]
    return reference.membranes[source]


def _tap_input(
    padded: npt.NDArray[np.int64], synapse: Conv2d, channel: int, tap: tuple[int, ...], size: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """What one kernel weight is multiplied with at every output position: (frame, row, column)."""
    row, column = (tap[axis] * synapse.dilation[axis] for axis in (0, 1))
    return padded[
        :,
        channel,
        row : row + (size[0] - 1) * synapse.stride[0] + 1 : synapse.stride[0],
        column : column + (size[1] - 1) * synapse.stride[1] + 1 : synapse.stride[1],
    ]
