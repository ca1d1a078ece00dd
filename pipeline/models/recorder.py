"""What a single-step student's own modules do, as recordings that stand beside those of the engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from netx import LIF, Network, Pool
from netx.arrays import IntArray
from pipeline.models.blocks import built_of
from pipeline.models.config import NeuronConfig, SurrogateConfig
from pipeline.models.quantisation import QuantisedModule
from quantize.slayer import weight_units
from sim.recording import Recording

StudentT = TypeVar("StudentT", bound=QuantisedModule)


def slayer_twin(student: StudentT) -> StudentT:
    """The same student made of SLAYER's blocks. At one time step neither the way of resetting nor the surrogate, which
    SLAYER may not have, acts on its outputs.

    student: of a class that is made from its ``config``, which has ``neurons``, and a maker of layers.
    """
    from pipeline.models.slayer_layers import SlayerBlocks  # here, because all else of this module needs no Lava

    config: Any = student.config
    neurons = config.neurons.model_copy(update={"reset": NeuronConfig().reset})
    return built_of(student, SlayerBlocks(neurons, SurrogateConfig())).eval()


def recording(engine: str, network: Network, chip_input: IntArray, tensors: Mapping[str, Tensor]) -> Recording:
    """The layers of ``network`` in a student's outputs at one time step.

    engine: the student's name in comparisons. chip_input: what entered the chip, (frame, channel, row, column).
    tensors: for a layer NAME its signals ``spikes/NAME`` and ``voltage/NAME``, (step, frame, channel, row, column); of
    one that doesn't spike ``membrane/NAME``, or NAME without the step. All in SLAYER units.

    A student's pooling has no membranes: they are counted here from the spikes that it pooled. Raises QuantizeError
    where a membrane is no whole number of weight units.
    """
    spikes: dict[str, npt.NDArray[np.uint8]] = {}
    membranes: dict[str, npt.NDArray[np.int32]] = {}
    for layer in network.layers:
        name = layer.name
        if layer.neuron is None:
            continue
        if not isinstance(layer.neuron, LIF):
            tensor = tensors[name] if name in tensors else tensors[f"membrane/{name}"][0]
            membranes[name] = weight_units(tensor, name)
            continue
        spikes[name] = tensors[f"spikes/{name}"][0].to(torch.uint8).numpy()
        if isinstance(layer.synapse, Pool):
            membranes[name] = _pooled(layer.synapse, spikes.get(layer.inputs[0], chip_input))
        else:
            membranes[name] = weight_units(tensors[f"voltage/{name}"][0], name)
    return Recording(engine, spikes, membranes)


def _pooled(pool: Pool, spikes: npt.NDArray) -> npt.NDArray[np.int32]:
    counts = F.avg_pool2d(torch.from_numpy(spikes).float(), pool.kernel, pool.stride, pool.padding, divisor_override=1)
    return (counts.numpy() * pool.weight).astype(np.int32)
