"""Adversarial distillation: a discriminator tells teacher from student, and the student learns not to be told apart.

Liu et al., "Structured Knowledge Distillation for Semantic Segmentation" (CVPR 2019), whose holistic loss is that of a
discriminator on score maps; hinge losses as in irfanICMLL/TorchDistiller (utils/criterion.py):

    discriminator   mean max(0, 1 - D(teacher)) + mean max(0, 1 + D(student))
    student         -mean D(student)

The discriminator here is smaller than the one there, whose five strided layers and attention need maps of hundreds of
rows: three convolutions with spectral norm that score every position by its neighbourhood (ours).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pipeline.training.distillation.adapters import adapted, adapter_of
from pipeline.training.distillation.config import AdversarialTerm
from pipeline.training.distillation.dense_boxes import common_centre
from pipeline.training.distillation.features import map_of
from pipeline.training.distillation.terms import Distillation
from pipeline.training.term import Context, NamedTensors, TrainingError

_SLOPE = 0.1
"""Of the leaky ReLU on its negative side (TorchDistiller, networks/sagan_models.py)."""


class Discriminator(nn.Module):
    """Maps (frame, channel, row, column) of any size to a score of each position, (frame, 1, row, column): high for the
    teacher's."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        sizes = (inputs, channels, channels)
        self.hidden = nn.ModuleList(
            spectral_norm(nn.Conv2d(sizes[i], sizes[i + 1], 3, padding=1)) for i in range(len(sizes) - 1)
        )
        self.score = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """See the class."""
        for layer in self.hidden:
            maps = F.leaky_relu(layer(maps), _SLOPE)
        scores: Tensor = self.score(maps)
        return scores


def discriminator_loss(of_teacher: Tensor, of_student: Tensor) -> Tensor:
    """Hinge loss of the discriminator from its scores of both, any shape."""
    return F.relu(1 - of_teacher).mean() + F.relu(1 + of_student).mean()


def student_loss(of_student: Tensor) -> Tensor:
    """What the student learns from the discriminator's scores of it."""
    return -of_student.mean()


class Adversarial(Distillation):
    """``adversarial``: two losses, of which one teaches the student and the other the discriminator.

    The scores that the student learns from lead through the discriminator, which no learner of the student's owns: its
    gradient is taken of the student's parameters alone, and of those of its adapter.
    """

    def __init__(self, config: AdversarialTerm, shapes: NamedTensors) -> None:
        """shapes: tensors of the shapes that the models answer. Raises TrainingError for maps that don't fit."""
        super().__init__(config)
        self._config = config
        self._tensor = f"{config.student}/{config.tensor}"
        named = self._tensor, f"{config.teacher}/{config.of_teacher}"
        ours, theirs = (map_of(shapes[name]).shape[1] for name in named)
        if ours != theirs and config.adapter is None:
            raise TrainingError(
                f"{named[0]} has {ours} channels and {named[1]} {theirs}: a discriminator would tell "
                "them apart by that; give the term an 'adapter', or name a tensor of as many channels in both, such as "
                "'class'"
            )
        self.adapters = nn.ModuleDict()
        if config.adapter is not None:
            self.adapters[config.adapter] = adapter_of(config.adapter_kind, ours, theirs)
        self.discriminator = Discriminator(theirs, config.channels)

    @property
    def members(self) -> dict[str, nn.Module]:
        """The discriminator, and the adapters as ``losses.STUDENT/NAME.adapters``."""
        return {self.member: self.discriminator, self._adapting: self.adapters}

    @property
    def opponents(self) -> frozenset[str]:
        return frozenset({self.member})

    @property
    def _adapting(self) -> str:
        return f"{self.member}.adapters"

    @property
    def _opposing(self) -> str:
        return f"{self.name}_discriminator"

    def forward(self, context: Context) -> dict[str, Tensor]:
        ours, theirs = map_of(context.tensors[self._tensor]), map_of(self._of_teacher(context, self._config.of_teacher))
        for adapter in self.adapters.values():
            ours = adapted(adapter, ours, theirs)
        ours, theirs = common_centre(ours, theirs)
        # One pass of both, of which the student's part is detached: the norm's estimate moves on once a step.
        both = self.discriminator(torch.cat([theirs, ours]).detach())
        of_teacher, of_student = both.split([len(theirs), len(ours)])
        return {
            self._opposing: self._config.discriminator_weight * discriminator_loss(of_teacher, of_student),
            **self._weighted(student_loss(self._scores(ours))),
        }

    def teaches(self, loss: str) -> frozenset[str]:
        return frozenset({self.member} if loss == self._opposing else {self._config.student, self._adapting})

    def _scores(self, maps: Tensor) -> Tensor:
        """The scores of maps; the discriminator takes nothing over from this pass."""
        training = self.discriminator.training
        self.discriminator.eval()  # spectral norm has its power iteration in training alone
        scores: Tensor = self.discriminator(maps)
        self.discriminator.train(training)
        return scores
