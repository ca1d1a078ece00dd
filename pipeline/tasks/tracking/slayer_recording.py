"""What a single-step student makes of the tracker's crops, network by network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from netx.arrays import IntArray
from pipeline.tasks.tracking.models.siamfcpp import Tensors
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.predictor import Pixels
from pipeline.tasks.tracking.scorer import crops_of


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a student gave, by tensor name, and what of the crop entered the chip, int32 (frame, channel, ...)."""

    chip_input: IntArray
    tensors: Tensors


@torch.inference_mode()
def template_outputs(student: SpikingSiamFCpp, templates: Pixels) -> Outputs:
    """The student programmed with template crops, (frame, 3, side, side)."""
    crops = crops_of(templates)
    return Outputs(entering(student, templates), student.program(crops))


@torch.inference_mode()
def search_outputs(student: SpikingSiamFCpp, target: Mapping[str, Tensor], searches: Pixels) -> Outputs:
    """The student's outputs for search crops, (frame, 3, side, side), one at a time, as the tracker asks: an encoder on
    the host may sum in another order over several."""
    outputs = [student.respond(target, crops_of(search[None])) for search in searches]
    joined = {name: torch.cat([one[name] for one in outputs], dim=_frame_axis(name)) for name in outputs[0]}
    return Outputs(entering(student, searches), joined)


@torch.inference_mode()
def entering(student: SpikingSiamFCpp, crops: Pixels) -> IntArray:
    """What of crops, (frame, 3, side, side), enters the chip, one at a time as above."""
    entered: Sequence[Tensor] = [student.chip_input(crops_of(crop[None])) for crop in crops]
    return np.concatenate([one.numpy().astype(np.int32) for one in entered])


def _frame_axis(name: str) -> int:
    """Signals have the time step before the frame."""
    return 1 if name.startswith(("spikes/", "voltage/", "membrane/")) else 0
