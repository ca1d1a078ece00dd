"""The gate of online distillation: how fast a teacher may learn beside its student.

Of a teacher that learns in the same steps a student can be left behind so far that it learns nothing more from it, or
it drags its teacher down. SwitOKD (Qian et al., "Switchable Online Knowledge Distillation", ECCV 2022; formula in the
README of hfutqian/SwitOKD) pauses the teacher where the gap between both is too large. With ``p_S`` and ``p_T`` the
probabilities that student and teacher answer, ``y`` the truth, and ``|a - b|`` the mean L1 distance over all answers,

    gap        g = |p_S - p_T|,    D_S = |p_S - y|,    D_T = |p_T - y|
    threshold  d = D_S - exp(-D_T / (D_S + D_T)) D_T
    expert mode where g > d: the student learns alone;  learning mode elsewhere: both learn.

The authors' code of CIFAR-10 (WRN-16-1_8/main.py, commit 0256aad) has ``and D_T < D_S`` besides: a teacher that is the
worse one always learns. That of Tiny-ImageNet (Train/SwitOKD/main.py, commit 6fc8ad3) has the exponent without its
minus, by which no teacher ever learns: g >= D_S - D_T by the triangle inequality, which is above d at any factor of D_T
that is more than 1.

Here the teacher's learning rate is multiplied by a factor:

    m = max(d - g, D_T - D_S) / (D_S + D_T)      ``behind: pauses`` leaves the second part of the maximum out
    switch   1 where m >= 0, else 0: as published; a teacher at rate 0 takes no step at all
    smooth   sigmoid(m / softness): ours, which tends to the same as ``softness`` tends to 0
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from pipeline.training.config import OnlineConfig
from pipeline.training.distributed import DistributedContext
from pipeline.training.term import Context

Compared: TypeAlias = Callable[[Context, str, str], tuple[Tensor, Tensor, Tensor]]
"""From a step, a student's name and a teacher's: what each of them holds probable, and the truth; (answer, class), 0..1
each. A single class is yes or no. A factor of all three distances makes no difference."""


class Distances(NamedTuple):
    """``g``, ``D_S`` and ``D_T``."""

    gap: float
    student: float
    teacher: float

    @property
    def threshold(self) -> float:
        """``d``: the largest gap at which both learn."""
        return self.student - self.teacher * float(torch.exp(torch.tensor(-self.teacher / self._both)))

    @property
    def _both(self) -> float:
        return max(self.student + self.teacher, 1e-12)

    def margin(self, behind: str) -> float:
        """``m``: not negative where both learn."""
        room = self.threshold - self.gap
        return (room if behind == "pauses" else max(room, self.teacher - self.student)) / self._both


@dataclass(frozen=True, eq=False)
class Gate:
    """Of one student and its teacher. learner: of the teacher alone, whose rate the gate sets."""

    config: OnlineConfig
    learner: str
    compared: Compared

    @torch.no_grad()
    def distances(self, seen: Context, context: DistributedContext) -> Distances:
        """Of a step's answers, in all processes."""
        student, teacher, truth = self.compared(seen, self.config.student, self.config.teacher)
        pairs = (student, teacher), (student, truth), (teacher, truth)
        found = torch.stack([(first - second).abs().sum() / max(len(truth), 1) for first, second in pairs])
        context.average([found])
        return Distances(*found.tolist())

    def factor(self, distances: Distances) -> float:
        """By which the teacher's rate is multiplied, 0..1."""
        margin = distances.margin(self.config.behind)
        if self.config.gate == "switch":
            return float(margin >= 0)
        return float(torch.sigmoid(torch.tensor(margin / self.config.softness, dtype=torch.float64)))
