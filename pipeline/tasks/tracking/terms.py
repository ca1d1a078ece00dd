"""From a configuration's loss terms to functions, and SiamFC++'s own term."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pipeline.tasks.tracking import distilled_siamese
from pipeline.tasks.tracking.losses import tracking_loss
from pipeline.tasks.tracking.maps import score_points
from pipeline.tasks.tracking.models.config import STRIDE
from pipeline.training.distillation import config as kinds
from pipeline.training.distillation import terms as distilling
from pipeline.training.distillation.config import TermConfig, TrackingTerm
from pipeline.training.term import Context, NamedTensors, Term, TrainingError


class Tracking(Term):
    """SiamFC++'s three losses of one model, ``MODEL/class``, ``MODEL/centre`` and ``MODEL/box``."""

    def __init__(self, config: TrackingTerm, stride: int = STRIDE) -> None:
        """stride: crop pixels between neighbouring positions of the model's score map."""
        super().__init__(f"{config.model}/tracking")
        self._config, self._stride = config, stride

    def forward(self, context: Context) -> dict[str, Tensor]:
        model, tensors, batch = self._config.model, context.tensors, context.batch
        readout = {name: tensors[f"{model}/{name}"] for name in ("class", "centre")}
        points = score_points(readout["class"].shape[-1], batch.search.shape[-1], batch.box.device, self._stride)
        distances = tensors[f"{model}/distances"]
        losses = tracking_loss(readout, distances, batch.box, batch.same, points, self._config.loss)
        return {f"{model}/{name}": value for name, value in losses.items()}


def build_terms(configs: Sequence[TermConfig], shapes: NamedTensors) -> list[Term]:
    """The terms of a configuration, in order, without those of weight 0.

    shapes: tensors as the models will answer them, whose values don't matter. Raises TrainingError, saying which term,
    where one doesn't fit.
    """
    terms = []
    for index, config in enumerate(configs):
        if isinstance(config, TrackingTerm) or config.weight > 0:
            try:
                terms.append(_term(config, shapes))
            except TrainingError as error:
                raise TrainingError(f"losses.{index} ({config.kind}): {error}") from None
    return terms


def _term(config: TermConfig, shapes: NamedTensors) -> Term:
    match config:
        case TrackingTerm():
            return Tracking(config)
        case kinds.FeatureTerm():
            return distilling.FeatureDistillation(config, shapes)
        case kinds.ClassTerm():
            return distilling.ClassDistillation(config)
        case kinds.BoxTerm():
            return distilling.BoxDistillation(config)
        case kinds.CentreTerm():
            return distilling.CentreDistillation(config)
        case kinds.AdaptiveHardTerm():
            return distilled_siamese.AdaptiveHard(config)
        case kinds.TargetResponseTerm():
            return distilled_siamese.TargetResponse(config, shapes)
        case kinds.SharingTerm():
            return distilled_siamese.Sharing(config)
