r"""How many words of a core's memory synapses take.

Every spike that enters a core reads a list of synapses. With ``n`` synapses of ``b`` bits the list takes::

    words = sum over blocks of ceil((synapses of the block * b + header) / word)
    b = weight bits + index bits + delay bits

Loihi 1 (nengo-loihi 1.1.0, ``SynapseConfig.bits_per_axon``): blocks of 64 synapses, a header of 10 bits, 8-bit weights.
A fully connected axon needs no index; one of a convolution has an index of 6 to 12 bits (``index_bits``).

Loihi 2 (fitted to what Intel's compiler printed, see docs/mapping.md): one block, a header of 4 bits, as many bits a
weight as the layer needs (``weight_bits``), an index of 12 bits where fully connected and none in a convolution, whose
lists are those of one tap and input channel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.hardware import Packing

_INDEX_BITS = (0, 6, 7, 8, 9, 10, 11, 12)
"""Widths of an index that Loihi 1 has (nengo-loihi 1.1.0, ``SynapseConfig.INDEX_BITS_MAP``)."""


def weight_bits(weight: npt.NDArray[np.int32], most: int) -> int:
    """Bits of a stored weight: two's complement where signs are mixed, without the zeros that all weights end in.

    Equals ``optimize_weight_bits`` of lava-dl 0.6.0 (``netx/utils.py``). At least 1 and at most ``most``: a layer that
    needs more loses its last bits on the chip.
    """
    values = np.unique(weight).astype(np.int64)
    joined = int(np.bitwise_or.reduce(np.abs(values), initial=0))
    if joined == 0:
        return 1
    shift = (joined & -joined).bit_length() - 1
    low, high = int(values.min()) >> shift, int(values.max()) >> shift
    mixed = low < 0 < high
    needed = max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0)
    return min(max(needed + mixed, 1), most)


def delay_bits(longest: int) -> int:
    """Bits of a synaptic delay of up to ``longest`` steps; 0 where there is none."""
    return int(longest).bit_length()


def index_bits(largest: int) -> int | None:
    """Bits with which Loihi 1 stores indices 0 to ``largest``; None beyond 12, where the layer has to be split."""
    return next((bits for bits in _INDEX_BITS if bits >= int(largest).bit_length()), None)


def list_words(packing: Packing, synapses: int, bits: int) -> int:
    """Words of one list of ``synapses`` of ``bits`` each."""
    block = packing.block or max(synapses, 1)
    whole, rest = divmod(synapses, block)
    return whole * _block_words(packing, block, bits) + (_block_words(packing, rest, bits) if rest else 0)


def stored_bits(packing: Packing, weight: int) -> int:
    """Bits stored of a weight that needs ``weight`` bits."""
    return weight if packing.weight_bits is None else packing.weight_bits


def _block_words(packing: Packing, synapses: int, bits: int) -> int:
    return -(-(synapses * bits + packing.header_bits) // packing.word_bits)
