"""From a configuration's loss terms to functions, and YOLOX's own term.

The other terms are those of ``pipeline.training.distillation``, for which ``target`` says where objects are.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.tasks.detection.assignment import assign
from pipeline.tasks.detection.config import DetectionTerm, TermConfig, TrainingConfig
from pipeline.tasks.detection.decoding import answers_of
from pipeline.tasks.detection.losses import detection_losses
from pipeline.training.config import SpikeRateTerm
from pipeline.training.distillation import terms as distilling
from pipeline.training.distillation.adversarial import Adversarial
from pipeline.training.distillation.config import AdversarialTerm, FeatureTerm, FocalGlobalTerm, SeparationTerm
from pipeline.training.distillation.foreground import PictureBoxes
from pipeline.training.distillation.separation import Separation
from pipeline.training.gate import Compared
from pipeline.training.sparsity import SpikeRate
from pipeline.training.term import Context, NamedTensors, Term, built


def target(context: Context) -> PictureBoxes:
    """The true boxes of the batch's pictures."""
    return PictureBoxes(context.batch["boxes"], *context.batch["images"].shape[-2:])


def compared(config: TrainingConfig) -> Compared:
    """For a gate: the score of each class at each cell, that of there being an object times that of its class.

    The truth is the class of the object that the teacher's own losses assign to a cell, and no class elsewhere."""
    own = {term.model: term for term in config.losses if isinstance(term, DetectionTerm)}

    def of_step(context: Context, student: str, teacher: str) -> tuple[Tensor, Tensor, Tensor]:
        term, boxes = own.get(teacher, DetectionTerm(kind="detection", model=teacher)), context.batch["boxes"]
        ours, theirs = (answers_of(partial(_named, context, name)) for name in (student, teacher))
        assigned = assign(theirs, boxes, term.candidates, term.radius)
        classes = boxes[..., 4].gather(1, assigned.objects.clamp(min=0)).long().clamp(min=0)
        truth = F.one_hot(classes, ours.classes.shape[-1]) * assigned.positive[..., None]
        scores = (torch.sigmoid(a.objects)[..., None] * torch.sigmoid(a.classes) for a in (ours, theirs))
        student_score, teacher_score = (score.flatten(0, 1) for score in scores)
        return student_score, teacher_score, truth.flatten(0, 1).to(student_score.dtype)

    return of_step


def _named(context: Context, model: str, name: str) -> Tensor:
    return context.tensors[f"{model}/{name}"]


class Detection(Term):
    """YOLOX's losses of one model, ``MODEL/box``, ``MODEL/object``, ``MODEL/class`` and ``MODEL/l1``."""

    def __init__(self, config: DetectionTerm, plain_from: int) -> None:
        """plain_from: the first step without mosaic and mixup."""
        super().__init__(f"{config.model}/detection")
        self._config, self._plain_from = config, plain_from

    def teaches(self, loss: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset(self._config.trains)

    def forward(self, context: Context) -> dict[str, Tensor]:
        config, truth = self._config, context.batch["boxes"]
        answers = answers_of(partial(_named, context, config.model))
        with_l1 = config.l1 == "always" or (config.l1 == "plain" and context.step >= self._plain_from)
        assignment = assign(answers, truth, config.candidates, config.radius)
        losses = detection_losses(answers, truth, assignment, with_l1)
        return {f"{config.model}/{name}": getattr(config, f"{name}_weight") * loss for name, loss in losses.items()}


def build_terms(config: TrainingConfig, shapes: NamedTensors) -> list[Term]:
    """The terms of a configuration; ``shapes`` and errors as ``pipeline.core.task.Task.build_terms`` has them."""
    return built(config.losses, lambda section: _term(section, config, shapes))


def _term(section: TermConfig, config: TrainingConfig, shapes: NamedTensors) -> Term:
    match section:
        case DetectionTerm():
            # As ``pipeline.tasks.detection.sampling`` has it.
            return Detection(section, round((1 - config.data.augmentation.plain) * config.train.steps))
        case SpikeRateTerm():
            return SpikeRate(section, shapes)
        case FeatureTerm():
            return distilling.FeatureDistillation(section, shapes)
        case SeparationTerm() | FocalGlobalTerm():
            return Separation(section, shapes, target)
        case AdversarialTerm():
            return Adversarial(section, shapes)
