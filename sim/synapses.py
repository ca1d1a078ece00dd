"""What arrives at the neurons of a layer: exact sums, shifted, wrapped as Lava's ports do it, and late as told.

Values are tensors (step * sequence, channel, height, width), all sequences of a step side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from netx import Conv2d, Dense, Direct, NetworkError, Pool, Range, Shape, limits
from sim import strict_limits
from sim.kernels import ByRate, Choice, Convolution, ExactType, Kernel, as_convolution, choose

_INT32_MAX = limits.GRADED_MAX
_HALF = 1 << (limits.STATE_BITS - 1)


@dataclass(frozen=True)
class Setting:
    """How a network is compiled. batch: frames that go through together, all sequences counted. strict: refuse what
    only a simulator lets pass. pipelined: every synapse answers a step late, as in Lava. types: by layer."""

    batch: int = 1
    device: str = "cpu"
    strict: bool = False
    pipelined: bool = False

    @property
    def native(self) -> bool:
        """Whether neurons may run in compiled kernels: none of them watches values, or runs elsewhere."""
        from sim.kernels import native

        return native.available() and self.device == "cpu" and not self.strict


class Synapses:
    """The activation of a layer from the values of its input, int16, int32, or integers in float32.

    choices: what its sums are computed in; one for each delay. longest: by how many steps the latest is late.
    """

    def __init__(
        self,
        layer: str,
        synapse: Conv2d | Dense | Pool | Direct,
        source: Shape,
        values: Range,
        setting: Setting,
        forced: ExactType | None = None,
        late: int = 0,
    ) -> None:
        """late: steps added to every delay. Raises NetworkError when the forced type is not exact."""
        self._parts: list[tuple[int, Kernel]] = []
        self._kernels: list[tuple[Choice, Kernel]] = []
        if isinstance(synapse, Direct):
            self._parts.append((late, _checked if setting.strict else _as_int32))
        for delay, part in _by_delay(synapse) if not isinstance(synapse, Direct) else ():
            sums = as_convolution(part, source, values, setting.batch)
            choice, kernel = choose(layer, sums, forced=forced, device=setting.device)
            self._kernels.append((choice, kernel))
            self._parts.append((delay + late, _settled(part, sums, kernel, setting.strict)))
        self.longest = max(delay for delay, _ in self._parts)

    @property
    def choices(self) -> list[Choice]:
        """Those of the last call, where the share of active inputs decides."""
        return [kernel.choice if isinstance(kernel, ByRate) else choice for choice, kernel in self._kernels]

    def __call__(self, values: Tensor, earlier: Tensor | None, sequences: int) -> tuple[Tensor, Tensor | None]:
        """Activations, and what of the values is still to have an effect.

        earlier: the values of the ``longest`` steps before, as the last call gave them, or None for silence.
        """
        if self.longest == 0:
            return self._parts[0][1](values), None
        before = self.longest * sequences
        if earlier is None:
            earlier = torch.zeros((before, *values.shape[1:]), dtype=values.dtype, device=values.device)
        everything = torch.cat([earlier, values])
        total: Tensor | None = None
        for delay, sums in self._parts:
            first = before - delay * sequences
            part = sums(everything[first : first + len(values)]).to(torch.int32)
            total = part if total is None else total + part
        assert total is not None
        return total, everything[-before:]


def weight_exponent(synapse: Conv2d | Dense | Pool) -> int:
    """By how many bits its sums are shifted left."""
    return 0 if isinstance(synapse, Pool) else synapse.weight_exponent


def _by_delay(synapse: Conv2d | Dense | Pool) -> list[tuple[int, Conv2d | Dense | Pool]]:
    """The synapses of each delay that occurs, those of other delays at zero: each sum is shifted on its own."""
    if not isinstance(synapse, Dense) or not synapse.delay.any():
        return [(0, synapse)]
    delays = np.broadcast_to(synapse.delay, synapse.weight.shape)
    weight, exponent = synapse.effective_weight, synapse.weight_exponent
    return [(int(delay), Dense(np.where(delays == delay, weight, 0), exponent)) for delay in np.unique(delays)]


def _settled(synapse: Conv2d | Dense | Pool, sums: Convolution, kernel: Kernel, strict: bool) -> Kernel:
    """Sums as Lava's ports carry them: shifted by the exponent, wrapped at 24 bits (lava-nc 0.10.0
    ``proc/conv/utils.py``, ``signed_clamp``) but for a Dense; past 32 bits, which Lava would lose, they are refused."""
    exponent = weight_exponent(synapse)
    left, right = max(exponent, 0), max(-exponent, 0)
    wraps = not isinstance(synapse, Dense) and sums.bound << left >= _HALF
    overflows = sums.bound << left > _INT32_MAX
    if not (strict or wraps or overflows or exponent):
        return lambda values: _plain(kernel(values))

    def settle(values: Tensor) -> Tensor:
        total = kernel(values).to(torch.int64) << left
        if overflows:
            _check_32_bits(total)
        total = total >> right
        if strict:
            strict_limits.check_sums(total)
        return (torch.remainder(total + _HALF, 2 * _HALF) - _HALF if wraps else total).to(torch.int32)

    return settle


def _plain(sums: Tensor) -> Tensor:
    """Sums in a type that neurons read."""
    return sums if sums.dtype in (torch.int16, torch.int32, torch.float32) else sums.to(torch.int32)


def _as_int32(values: Tensor) -> Tensor:
    return values.to(torch.int32)


def _checked(values: Tensor) -> Tensor:
    strict_limits.check_sums(values)
    return values.to(torch.int32)


def _check_32_bits(total: Tensor) -> None:
    worst = max(int(total.max()), -int(total.min()))
    if worst > _INT32_MAX:
        raise NetworkError(f"a sum of {worst} leaves 32 bits, which Lava would lose: narrow its input or weights")
