"""What a single-step student does with the tracker's crops, as recordings of the two networks it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from netx import LIF, Network, Pool
from netx.arrays import IntArray
from pipeline.models.config import NeuronConfig, SurrogateConfig
from pipeline.tasks.tracking.models.siamfcpp import Tensors
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.predictor import Pixels
from pipeline.tasks.tracking.scorer import crops_of
from quantize.slayer import weight_units
from sim.recording import Recording


def slayer_twin(student: SpikingSiamFCpp) -> SpikingSiamFCpp:
    """The same student made of SLAYER's blocks. At one time step neither the way of resetting nor the surrogate, which
    SLAYER may not have, acts on what it answers."""
    from pipeline.models.slayer_layers import SlayerBlocks  # here, because all else of this module needs no Lava

    neurons = student.config.neurons.model_copy(update={"reset": NeuronConfig().reset})
    return student.built_of(SlayerBlocks(neurons, SurrogateConfig())).eval()


@dataclass(frozen=True, eq=False)
class Answers:
    """What a student answered, by tensor name, and what of the crop entered the chip, int32 (frame, channel, ...)."""

    chip_input: IntArray
    tensors: Tensors


@torch.inference_mode()
def answer_template(student: SpikingSiamFCpp, template: Pixels) -> Answers:
    """The student programmed with a template crop, (1, 3, side, side)."""
    crop = crops_of(template)
    return Answers(_entering(student, [crop]), student.program(crop))


@torch.inference_mode()
def answer_searches(student: SpikingSiamFCpp, target: Mapping[str, Tensor], searches: Pixels) -> Answers:
    """The student's answers to search crops, (frame, 3, side, side), one at a time, as the tracker asks: an encoder on
    the host may sum in another order over several."""
    crops = [crops_of(search[None]) for search in searches]
    answers = [student.respond(target, crop) for crop in crops]
    joined = {name: torch.cat([a[name] for a in answers], dim=_frame_axis(name)) for name in answers[0]}
    return Answers(_entering(student, crops), joined)


def recording(engine: str, network: Network, answers: Answers) -> Recording:
    """The layers of ``network`` in a student's answers. engine: the student's name in comparisons.

    A student's pooling has no membranes: they are counted here from the spikes that it pooled.
    """
    spikes: dict[str, npt.NDArray[np.uint8]] = {}
    membranes: dict[str, npt.NDArray[np.int32]] = {}
    for layer in network.layers:
        name = layer.name
        if not isinstance(layer.neuron, LIF):
            tensor = answers.tensors[name] if name in answers.tensors else answers.tensors[f"membrane/{name}"][0]
            membranes[name] = weight_units(tensor, name)
            continue
        spikes[name] = answers.tensors[f"spikes/{name}"][0].to(torch.uint8).numpy()
        if isinstance(layer.synapse, Pool):
            source = spikes.get(layer.inputs[0], answers.chip_input)
            membranes[name] = _pooled(layer.synapse, source)
        else:
            membranes[name] = weight_units(answers.tensors[f"voltage/{name}"][0], name)
    return Recording(engine, spikes, membranes)


def _entering(student: SpikingSiamFCpp, crops: Sequence[Tensor]) -> IntArray:
    return np.concatenate([student.chip_input(crop).numpy().astype(np.int32) for crop in crops])


def _frame_axis(name: str) -> int:
    """Signals have the time step before the frame."""
    return 1 if name.startswith(("spikes/", "voltage/", "membrane/")) else 0


def _pooled(pool: Pool, spikes: npt.NDArray) -> npt.NDArray[np.int32]:
    counts = F.avg_pool2d(torch.from_numpy(spikes).float(), pool.kernel, pool.stride, pool.padding, divisor_override=1)
    return (counts.numpy() * pool.weight).astype(np.int32)
