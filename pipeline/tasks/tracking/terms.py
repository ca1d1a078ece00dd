"""From a configuration's loss terms to functions, SiamFC++'s own term, and what students share.

The other terms are those of ``pipeline.training.distillation``, for which ``truth`` says where on a map the target is,
and ``target`` what its box is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.tasks.tracking.config import TermConfig, TrackingTerm
from pipeline.tasks.tracking.losses import on_target, score_points, tracking_loss, true_distances
from pipeline.tasks.tracking.models.config import STRIDE
from pipeline.training.config import SpikeRateTerm
from pipeline.training.distillation import config as kinds
from pipeline.training.distillation import terms as distilling
from pipeline.training.distillation.adversarial import Adversarial
from pipeline.training.distillation.dense_boxes import common_centre
from pipeline.training.distillation.foreground import PADDING, PictureBoxes
from pipeline.training.distillation.mutual import disagreement, suppression
from pipeline.training.distillation.separation import Separation
from pipeline.training.sparsity import SpikeRate
from pipeline.training.term import Context, NamedTensors, Term, built


def truth(context: Context, side: int) -> tuple[Tensor, Tensor]:
    """True distances at the positions of a score map of ``side`` rows, crop pixels (frame, 4, row, column), and which
    of them lie on the target, bool (frame, row, column)."""
    distances = true_distances(context.batch["box"], side, context.batch["search"].shape[-1])
    return distances, on_target(distances, context.batch["same"])


def target(context: Context) -> PictureBoxes:
    """The true box in the search crop, and none in that of a pair whose template shows another target."""
    batch = context.batch
    corner, size = batch["box"].split(2, dim=1)
    classes = torch.where(batch["same"], 0.0, PADDING)[:, None]
    boxes = torch.cat([corner, corner + size, classes], dim=1)[:, None]
    return PictureBoxes(boxes, *batch["search"].shape[-2:])


def compared(context: Context, student: str, teacher: str) -> tuple[Tensor, Tensor, Tensor]:
    """For a gate: target or background, position by position. Of a pair whose template shows another target only the
    positions inside the box say anything, as in SiamFC++'s own loss."""
    logits = common_centre(context.tensors[f"{student}/class"], context.tensors[f"{teacher}/class"])
    distances, truly = truth(context, logits[0].shape[-1])
    counted = (distances > 0).all(dim=1) | context.batch["same"][:, None, None]
    ours, theirs = (torch.sigmoid(values[:, 0])[counted] for values in logits)
    return ours[:, None], theirs[:, None], truly[counted][:, None].to(ours.dtype)


class Tracking(Term):
    """SiamFC++'s three losses of one model, ``MODEL/class``, ``MODEL/centre`` and ``MODEL/box``."""

    def __init__(self, config: TrackingTerm, stride: int = STRIDE) -> None:
        """stride: crop pixels between neighbouring positions of the model's score map."""
        super().__init__(f"{config.model}/tracking")
        self._config, self._stride = config, stride

    def teaches(self, loss: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset(self._config.trains)

    def forward(self, context: Context) -> dict[str, Tensor]:
        model, tensors, batch = self._config.model, context.tensors, context.batch
        readout = {name: tensors[f"{model}/{name}"] for name in ("class", "centre")}
        points = score_points(readout["class"].shape[-1], batch["search"].shape[-1], batch.device, self._stride)
        distances = tensors[f"{model}/distances"]
        losses = tracking_loss(readout, distances, batch["box"], batch["same"], points, self._config.loss)
        return {f"{model}/{name}": value for name, value in losses.items()}


class Sharing(Term):
    """``sharing``: a loss for each student, of its mean disagreement with the others."""

    def __init__(self, config: kinds.SharingTerm) -> None:
        super().__init__(f"{config.students[0]}/sharing")
        self._config = config

    def teaches(self, loss: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset(self._config.trains)  # the gradient of each reaches them all

    def forward(self, context: Context) -> dict[str, Tensor]:
        return {f"{name}/sharing": self._loss(context, name) for name in self._config.students}

    def _loss(self, context: Context, student: str) -> Tensor:
        config = self._config
        others = [self._disagreement(context, student, name) for name in config.students if name != student]
        share = config.beta if student in config.intelligent else 1.0
        return config.weight * share * self._suppression(context, student) * torch.stack(others).mean()

    def _disagreement(self, context: Context, first: str, second: str) -> Tensor:
        ours, theirs = (
            {key: context.tensors[f"{name}/{key}"] for key in ("class", "distances")} for name in (first, second)
        )
        _, counted = truth(context, min(ours["class"].shape[-1], theirs["class"].shape[-1]))
        return disagreement(ours, theirs, counted, STRIDE)

    @torch.no_grad()
    def _suppression(self, context: Context, student: str) -> Tensor:
        config, tensors = self._config, context.tensors
        boxes_of_both = common_centre(tensors[f"{student}/distances"], tensors[f"{config.teacher}/distances"])
        ours, theirs = distilling.against_truth(context, truth, boxes_of_both[0], boxes_of_both[1])
        return suppression(ours, theirs, config.margin, config.decay, context.step // config.epoch)


def build_terms(configs: Sequence[TermConfig], shapes: NamedTensors) -> list[Term]:
    """The terms of a configuration; ``shapes`` and errors as ``pipeline.core.task.Task.build_terms`` has them."""
    return built(configs, lambda section: _term(section, shapes))


def _term(config: TermConfig, shapes: NamedTensors) -> Term:
    match config:
        case TrackingTerm():
            return Tracking(config)
        case SpikeRateTerm():
            return SpikeRate(config, shapes)
        case kinds.FeatureTerm():
            return distilling.FeatureDistillation(config, shapes)
        case kinds.SeparationTerm() | kinds.FocalGlobalTerm():
            return Separation(config, shapes, target)
        case kinds.ClassTerm():
            return distilling.ClassDistillation(config)
        case kinds.BoxTerm():
            return distilling.BoxDistillation(config, truth, STRIDE)
        case kinds.CentreTerm():
            return distilling.CentreDistillation(config, truth)
        case kinds.AdaptiveHardTerm():
            return distilling.AdaptiveHard(config, truth)
        case kinds.TargetResponseTerm():
            return distilling.TargetResponse(config, shapes)
        case kinds.SharingTerm():
            return Sharing(config)
        case kinds.AdversarialTerm():
            return Adversarial(config, shapes)
