"""What a model learns from true masks, and the loss terms of a configuration.

Cross-entropy of the hardest pixels and overlap are those of lyxok1/STM-Training (libs/utils/loss.py).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pipeline.datasets.label_masks import VOID
from pipeline.tasks.segmentation.config import SegmentationTerm, TermConfig, TrainingConfig
from pipeline.tasks.segmentation.terms import distillation_term, labels_of
from pipeline.training.term import Context, NamedTensors, Term, built


def hardest_cross_entropy(logits: Tensor, labels: Tensor, share: float) -> Tensor:
    """Mean cross-entropy of the share of each frame's pixels where it is largest.

    logits: (frame, 1 + object, row, column). labels: (frame, row, column); void pixels have none.
    """
    every = F.cross_entropy(logits, labels, ignore_index=VOID, reduction="none").flatten(1)
    return every.topk(max(round(share * every.shape[1]), 1), dim=1).values.mean()


def overlap_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """One less the mean over objects of ``sum(min(p, y)) / sum(max(p, y))``, of the probability p and the truth y.

    Objects that a frame doesn't show are left out. Shapes are those of ``hardest_cross_entropy``.
    """
    known = (labels != VOID)[:, None]
    true = F.one_hot(labels.masked_fill(labels == VOID, 0), logits.shape[1]).movedim(-1, 1)[:, 1:] * known
    found = logits.softmax(dim=1)[:, 1:] * known
    both, either = ((of(found, true)).flatten(2).sum(dim=2) for of in (_least, _most))
    there = true.flatten(2).any(dim=2)
    return (1 - both / either.clamp(min=1e-6))[there].mean() if there.any() else 0 * logits.sum()


def _least(found: Tensor, true: Tensor) -> Tensor:
    return found.minimum(true.to(found.dtype))


def _most(found: Tensor, true: Tensor) -> Tensor:
    return found.maximum(true.to(found.dtype))


class Segmentation(Term):
    """The losses of one model, ``MODEL/cross_entropy`` and ``MODEL/overlap``."""

    def __init__(self, config: SegmentationTerm) -> None:
        super().__init__(f"{config.model}/segmentation")
        self._config = config

    def teaches(self, loss: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset(self._config.trains)

    def forward(self, context: Context) -> dict[str, Tensor]:
        config, logits = self._config, context.tensors[f"{self._config.model}/logits"]
        labels = labels_of(context)
        entropy = hardest_cross_entropy(logits, labels, config.hardest)
        return {
            f"{config.model}/cross_entropy": config.cross_entropy_weight * entropy,
            f"{config.model}/overlap": config.overlap_weight * overlap_loss(logits, labels),
        }


def build_terms(config: TrainingConfig, shapes: NamedTensors) -> list[Term]:
    """The terms of a configuration; ``shapes`` and errors as ``pipeline.core.task.Task.build_terms`` has them."""
    return built(config.losses, lambda section: _term(section, shapes))


def _term(section: TermConfig, shapes: NamedTensors) -> Term:
    return Segmentation(section) if isinstance(section, SegmentationTerm) else distillation_term(section, shapes)
