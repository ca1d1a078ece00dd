"""Foreground-separation distillation (FSD), and focal and global distillation (FGD), which it goes back to.

Both weight features by attention and look at foreground and background apart (``foreground``, ``focal_global``):

    Y    = F sqrt(A_s) sqrt(A_c) sqrt(M_m)                m: foreground or background, F: student's or teacher's
    L_m  = sum_nc KL(softmax_hw(S(Y_teacher)) || softmax_hw(S(Y_student))) / (C N)                      ``fsd``
    L_m  = sum (Y_student - Y_teacher)^2 / N                                                            ``fgd``
    loss = foreground L_fg + background L_bg + attention L_att + relation L_rel

``S`` makes each channel's mean 0 and its deviation 1 over frames and positions. FSD is Li et al., PeerJ Computer
Science, 2024 (cs-2485), of which the abstract alone could be read; the formulas are those of its released code,
QuanZhe2000/SFC (SFC.py), where it has them as they should be. FGD is Yang et al., CVPR 2022 (yzd-v/FGD, fgd.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.training.distillation.adapters import adapted, adapter_of
from pipeline.training.distillation.config import Level, RegionTerm, SeparationTerm
from pipeline.training.distillation.features import map_of, standardised
from pipeline.training.distillation.focal_global import (
    Relation,
    attention_difference,
    attention_of,
    weighted_squares,
)
from pipeline.training.distillation.foreground import PictureBoxes, box_masks
from pipeline.training.distillation.terms import Distillation, check_features
from pipeline.training.term import Context, NamedTensors

BoxesOf: TypeAlias = Callable[[Context], PictureBoxes]
"""The boxes of the pictures that the features are of; each task has its own batches."""


def masked_divergence(student: Tensor, teacher: Tensor, mask: Tensor, floor: float = 0.0) -> Tensor:
    """``L_m`` of ``fsd``, of maps (frame, channel, row, column) that attention has weighted; 0 where the mask is.

    mask: (frame, row, column). floor: added to the probabilities in the logarithms, which then also stops the gradient
    where a student gives a position less than that. A factor of all the mask makes no difference, since channels are
    standardised: it has 1 as its largest here, so that values are far above what keeps a silent channel's slope finite.
    """
    root = (mask / mask.amax().clamp(min=torch.finfo(mask.dtype).tiny)).sqrt()[:, None]
    ours, theirs = (F.log_softmax(standardised(maps * root).flatten(2), dim=2) for maps in (student, teacher))
    probability = theirs.exp()
    if floor:
        ours, theirs = (ours.exp() + floor).log(), (probability + floor).log()
    return (probability * (theirs - ours)).sum() / (student.shape[0] * student.shape[1])


class Separation(Distillation):
    """``fsd`` and ``fgd``: a loss for each of foreground, background, attention and relation that has a weight."""

    def __init__(self, config: RegionTerm, shapes: NamedTensors, boxes: BoxesOf) -> None:
        """shapes: tensors of the shapes that the models answer. Raises TrainingError for features that don't fit."""
        super().__init__(config)
        self._config, self._boxes = config, boxes
        channels = [self._channels(level, shapes) for level in config.levels]
        self.adapters, self.relations = nn.ModuleDict(), nn.ModuleList()
        if config.adapter is not None:
            each = (adapter_of(config.adapter_kind, ours, theirs) for ours, theirs in channels)
            self.adapters[config.adapter] = nn.ModuleList(each)
        if "relation" in config.parts:
            self.relations.extend(Relation(theirs, config.pooled_by == "teacher") for _, theirs in channels)

    def forward(self, context: Context) -> dict[str, Tensor]:
        pictured = self._boxes(context)
        losses: defaultdict[str, list[Tensor]] = defaultdict(list)
        for index in range(len(self._config.levels)):
            for part, loss in self._of_level(index, context, pictured):
                losses[part].append(loss)
        weights = self._config.parts
        return {f"{self.name}_{part}": weights[part] * torch.stack(levels).sum() for part, levels in losses.items()}

    def _channels(self, level: Level, shapes: NamedTensors) -> tuple[int, int]:
        """Of student and teacher."""
        ours, theirs = f"{self._student}/{level.features}", f"{self._teacher}/{level.of_teacher}"
        check_features(shapes, ours, theirs, self._config)
        return map_of(shapes[ours]).shape[1], map_of(shapes[theirs]).shape[1]

    def _of_level(self, index: int, context: Context, pictured: PictureBoxes) -> Iterator[tuple[str, Tensor]]:
        config, level = self._config, self._config.levels[index]
        ours = map_of(context.tensors[f"{self._student}/{level.features}"])
        theirs = map_of(self._of_teacher(context, level.of_teacher))
        for adapters in self.adapters.values():
            ours = adapted(adapters[index], ours, theirs)
        attention = attention_of(ours, config.temperature), attention_of(theirs, config.temperature)
        if config.parts.keys() & {"foreground", "background"}:
            weighted = attention[config.attended_by == "teacher"].weighted(ours), attention[1].weighted(theirs)
            rows, columns = ours.shape[2:]
            masks = box_masks(pictured, rows, columns, level.stride, config.mask)
            for part, mask in zip(("foreground", "background"), masks, strict=True):
                if part in config.parts:
                    yield part, self._compared(*weighted, mask.to(ours.dtype))
        if "attention" in config.parts:
            yield "attention", attention_difference(*attention)
        if "relation" in config.parts:
            yield "relation", self.relations[index](ours, theirs)

    def _compared(self, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        if isinstance(self._config, SeparationTerm):
            return masked_divergence(student, teacher, mask, self._config.floor)
        return weighted_squares(student, teacher, mask)
