"""What brings a student's maps into its teacher's space before they are compared, and is no part of either model.

``linear`` is a 1x1 convolution ``A`` from the student's channels to the teacher's. ``smooth``, for structures that
differ in more than that, also brings the map to the teacher's positions, by bilinear interpolation ``U``, and looks
around every position. It is a form of ours for the "Smooth Block" that the abstract of Hou et al., "Lightweight video
object segmentation: Integrating online knowledge distillation for fast segmentation" (Knowledge-Based Systems, 2025,
308:112759) names and says no more of:

    P = A U(F),    B(F) = P + W2 relu(norm(W1 P))

``W1`` is a 3x3 convolution of each channel, ``norm`` that of one frame's whole map (group norm of one group), ``W2`` a
1x1 convolution that begins as zero, so that training begins with the linear adapter.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.training.distillation.config import AdapterKind


class SmoothBlock(nn.Module):
    """Maps (frame, channel, row, column) of ``inputs`` channels to as many rows and columns as ``like`` has, and
    ``outputs`` channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(inputs, outputs, 1)
        self.around = nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs)
        self.norm = nn.GroupNorm(1, outputs)
        self.add = nn.Conv2d(outputs, outputs, 1)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)  # type: ignore[arg-type]

    def forward(self, maps: Tensor, like: Tensor) -> Tensor:
        """See the module."""
        if maps.shape[2:] != like.shape[2:]:
            maps = F.interpolate(maps, like.shape[2:], mode="bilinear", align_corners=False)
        projected = self.project(maps)
        added: Tensor = self.add(F.relu(self.norm(self.around(projected))))
        return projected + added


def adapter_of(kind: AdapterKind, inputs: int, outputs: int) -> nn.Module:
    """A new one, with weights at random."""
    return SmoothBlock(inputs, outputs) if kind == "smooth" else nn.Conv2d(inputs, outputs, 1)


def adapted(adapter: nn.Module, maps: Tensor, like: Tensor) -> Tensor:
    """The student's maps in the space of the teacher's, ``like``."""
    result: Tensor = adapter(maps, like) if isinstance(adapter, SmoothBlock) else adapter(maps)
    return result
