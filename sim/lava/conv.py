"""Process models of Lava's ``Conv`` that can stand in for the stock one: the same bits, sooner.

Imported by sim.lava.worker only, as it imports Lava. The process itself stays Lava's own.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv

from sim.exact_convolution import ExactConvolution
from sim.lava.job import IntArray, is_wide

_INTEGERS = LavaPyType(np.ndarray, np.int32)

_READ_BY_STOCK = (
    "weight", "kernel_size", "stride", "padding", "dilation", "groups", "num_message_bits", "clamp_precision"
)  # fmt: skip
"""What ``PyConvModelFixed.run_spk`` reads beside its ports and its buffer."""


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FastConvModel(PyConvModelFixed):
    """As its base (lava-nc 0.10.0 ``proc/conv/models.py``), but for how sums are computed.

    Sizes and groups are 32-bit integers, where the base keeps 8 bits and fails beyond.
    """

    kernel_size: np.ndarray = _INTEGERS
    stride: np.ndarray = _INTEGERS
    padding: np.ndarray = _INTEGERS
    dilation: np.ndarray = _INTEGERS
    groups: np.ndarray = _INTEGERS
    a_buf: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._convolution: ExactConvolution | None = None

    def on_var_update(self) -> None:
        """Weights that were set from outside are packed anew."""
        self._convolution = None

    def run_spk(self) -> None:
        """One step: send the sums of the step before, and compute those of the spikes or integers that have come."""
        self.a_out.send(self.a_buf)
        values = self.s_in.recv()
        if self.num_message_bits.item() == 0:
            values = values.astype(bool)
        self.a_buf = self._sums(values)

    def _sums(self, values: IntArray) -> IntArray:
        if self._convolution is None:
            stride, padding, dilation = (
                (int(pair[0]), int(pair[1])) for pair in (self.stride, self.padding, self.dilation)
            )
            self._convolution = ExactConvolution(self.weight, stride, padding, dilation, int(self.groups[0]))
        sums: IntArray = self.clamp_precision(self._convolution(values).astype(np.int32))
        return sums


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ProvenConvModel(FastConvModel):
    """Lava's own code where that is soon done; elsewhere the drop-in, once it has given the bits of Lava's own code.

    Each process tries that on weights and sizes of its own: on a message drawn at random, which reaches every weight,
    and on the first that is not empty. Raises ValueError, and so ends the run, where a bit differs.
    """

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._proven = False

    def run_spk(self) -> None:
        """One step, by whoever is in charge of this layer."""
        if is_wide(self.weight.shape, self.s_in.shape):
            super().run_spk()
        else:
            PyConvModelFixed.run_spk(self)

    def on_var_update(self) -> None:
        """Other weights have to be proven anew."""
        super().on_var_update()
        self._proven = False

    def _sums(self, values: IntArray) -> IntArray:
        sums = super()._sums(values)
        if not self._proven and values.any():
            self._prove(values, sums)
            drawn = self._drawn(values)
            self._prove(drawn, super()._sums(drawn))
            self._proven = True
        return sums

    def _drawn(self, values: IntArray) -> IntArray:
        rng, bits = np.random.default_rng(0), self.num_message_bits.item()
        if bits == 0:
            return rng.integers(0, 2, values.shape).astype(values.dtype)
        return rng.integers(1 - (1 << bits), 1 << bits, values.shape).astype(values.dtype)

    def _prove(self, values: IntArray, sums: IntArray) -> None:
        stock = SimpleNamespace(
            **{name: getattr(self, name) for name in _READ_BY_STOCK},
            a_buf=self.a_buf,
            a_out=SimpleNamespace(send=lambda _: None),
            s_in=SimpleNamespace(recv=lambda: values),
        )
        PyConvModelFixed.run_spk(stock)
        different = np.argwhere(stock.a_buf != sums)
        if len(different):
            column, row, channel = (int(axis) for axis in different[0])
            raise ValueError(
                f"the drop-in convolution of weights {self.weight.shape} sends {sums[column, row, channel]} to channel "
                f"{channel}, row {row}, column {column}, where Lava's own sends {stock.a_buf[column, row, channel]:.0f}"
            )
