"""How well a model follows objects in sequences that it was not trained on, and how much it spikes while doing so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pipeline.core.seeds import derived_seed
from pipeline.datasets.masked_layouts import open_masked
from pipeline.tasks.segmentation.config import SegmenterProcessing, TrainingConfig
from pipeline.tasks.segmentation.forms import counted_spikes, in_torch
from pipeline.tasks.segmentation.models.spiking import SpikingStm
from pipeline.tasks.segmentation.models.stm import Stm
from pipeline.tasks.segmentation.samples import MaskedSequence, composed, cut, scored

COMPOSED_FRAMES = 12
"""Of a composed sequence, where the configuration says nothing."""

SCORES = ("j_and_f", "j", "f", "recall", "decay", "fps", "frames")
"""Of all sequences together, as they are kept."""


def held_out(config: TrainingConfig) -> list[MaskedSequence]:
    """The sequences of a training's validation. Raises DataError or FormatError where they are missing or bad."""
    settings = config.validation
    if settings.data is not None:
        return [cut(video, settings.frames) for video in open_masked(settings.data)[: settings.sequences]]
    sources = [source for source in config.data.sources if source.kind == "composed"]
    spec = sources[0].composition.model_copy(update={"frames": settings.frames or COMPOSED_FRAMES})
    return composed(sources[0].pictures, spec, settings.sequences or 1, derived_seed(config.seed, "held out", 0))


class SegmentationValidator:
    """See ``pipeline.core.task.Validator``."""

    logged = ("j_and_f", "j", "f", "spike_rate")

    def __init__(self, sequences: Sequence[MaskedSequence], processing: SegmenterProcessing) -> None:
        self._sequences, self._processing = list(sequences), processing

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        """SCORES, of a student as its integers; of a model that spikes also ``spike_rate``, its spikes over its
        neurons, and the same by layer in ``layers``."""
        assert isinstance(model, (Stm, SpikingStm)), "there is no other"
        was_training = model.training
        model.eval()
        with counted_spikes(model) as counts:
            found, _ = scored(self._sequences, in_torch(model, self._processing, real_valued=False, device=device))
        model.train(was_training)
        values = {name: found[name] for name in SCORES}
        if not counts:
            return values
        spikes, neurons = (sum(part) for part in zip(*counts.values(), strict=True))
        layers = {name: fired / count for name, (fired, count) in counts.items()}
        return {**values, "spike_rate": spikes / neurons, "layers": layers}

    def rounding(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        """``j_and_f``: on real-valued weights (float) and on integers."""
        if not isinstance(model, SpikingStm):
            return {}
        was_training = model.training
        model.eval()
        forms = {form: in_torch(model, self._processing, form == "float", device) for form in ("float", "integer")}
        values = {form: scored(self._sequences, one)[0]["j_and_f"] for form, one in forms.items()}
        model.train(was_training)
        return {"j_and_f": values}
