"""A process model of Lava's ``Conv`` that can stand in for the stock one: the same bits, sooner.

Imported by sim.lava.worker only, as it imports Lava. The process itself stays Lava's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv

from sim.exact_convolution import ExactConvolution

_INTEGERS = LavaPyType(np.ndarray, np.int32)


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
        if self._convolution is None:
            stride, padding, dilation = (
                (int(pair[0]), int(pair[1])) for pair in (self.stride, self.padding, self.dilation)
            )
            self._convolution = ExactConvolution(self.weight, stride, padding, dilation, int(self.groups[0]))
        self.a_buf = self.clamp_precision(self._convolution(values).astype(np.int32))
