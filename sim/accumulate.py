"""Exact sums of synapses: what arrives at the neurons, as Lava's ports carry it.

Convolutions and products run in floating point on integers, which is exact while no partial sum can reach the
mantissa's end: below 2^24 in float32, below 2^53 in float64. Which one is used follows from the layer's proven bound.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from netx import Conv2d, Dense, NetworkError, Pool, limits
from netx.arrays import IntArray

_FLOAT32_EXACT, _FLOAT64_EXACT = 1 << 24, 1 << 53
_INT32_MAX = limits.GRADED_MAX


def accumulate(
    synapse: Conv2d | Dense | Pool,
    values: torch.Tensor,
    largest: int,
    look: Callable[[torch.Tensor], None] | None = None,
) -> torch.Tensor:
    """Activation in weight units of every frame: int32, shape (frame, channel, height, width).

    values: integers of any type, shape (frame, channel, height, width), none above ``largest`` in magnitude.
    look: called with the sums before they wrap.
    Sums of Conv2d and Pool wrap at 24 bits as in Lava's Conv (lava-nc 0.10.0 ``proc/conv/utils.py``,
    ``signed_clamp``); a Dense does not wrap. Raises NetworkError where a sum may leave 53 bits or does leave 32, which
    Lava would lose in ways of its own.
    """
    exponent = 0 if isinstance(synapse, Pool) else synapse.weight_exponent
    bound = largest * _largest_gain(synapse)
    total = _sum(synapse, values, _exact_type(bound))
    if bound << max(exponent, 0) > _INT32_MAX:
        total = total.to(torch.int64) << max(exponent, 0)
        _check_32_bits(total)
    else:
        total = total.to(torch.int32) << max(exponent, 0)
    total = total >> max(-exponent, 0)
    if look is not None:
        look(total)
    if not isinstance(synapse, Dense) and bound << max(exponent, 0) >= 1 << (limits.STATE_BITS - 1):
        half = 1 << (limits.STATE_BITS - 1)
        total = torch.remainder(total.to(torch.int64) + half, 2 * half) - half
    return total.to(torch.int32)


def delayed(synapse: Dense) -> dict[int, Dense]:
    """The synapses of each delay that occurs, as Dense layers without delay whose other weights are zero."""
    delays = np.broadcast_to(synapse.delay, synapse.weight.shape)
    weight = synapse.effective_weight
    return {
        int(delay): Dense(np.where(delays == delay, weight, 0), synapse.weight_exponent) for delay in np.unique(delays)
    }


def _sum(synapse: Conv2d | Dense | Pool, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    values = values.to(dtype)
    if isinstance(synapse, Conv2d):
        weight = _tensor(synapse.weight, dtype)
        return F.conv2d(values, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
    if isinstance(synapse, Dense):
        return (values.flatten(1) @ _tensor(synapse.effective_weight, dtype).T)[:, :, None, None]
    # Padded before, as torch's pooling takes no more padding than half a window.
    down, right = synapse.padding
    padded = F.pad(values, (right, right, down, down)) if down or right else values
    pooled = F.avg_pool2d(padded, synapse.kernel, synapse.stride, divisor_override=1)
    return pooled * synapse.weight


def _exact_type(bound: int) -> torch.dtype:
    """The narrowest type in which no partial sum can be rounded when none exceeds ``bound``."""
    if bound < _FLOAT32_EXACT:
        return torch.float32
    if bound < _FLOAT64_EXACT:
        return torch.float64
    raise NetworkError(f"its sums may reach {bound}, beyond the 53 bits in which they are exact: narrow its input")


def _largest_gain(synapse: Conv2d | Dense | Pool) -> int:
    """The largest sum of weight magnitudes over the neurons."""
    if isinstance(synapse, Pool):
        return synapse.kernel[0] * synapse.kernel[1] * synapse.weight
    # Truncated, a negative weight may be larger than it was.
    weight = synapse.effective_weight if isinstance(synapse, Dense) else synapse.weight
    magnitudes = np.abs(weight.reshape(len(weight), -1).astype(np.int64))
    return int(magnitudes.sum(axis=1).max())


def _check_32_bits(total: torch.Tensor) -> None:
    worst = int(total.abs().max())
    if worst > _INT32_MAX:
        raise NetworkError(f"a sum of {worst} leaves 32 bits, which Lava would lose: narrow its input or weights")


def _tensor(weight: IntArray, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(weight.astype(np.int32)).to(dtype)
