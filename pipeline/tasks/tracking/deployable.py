"""A spiking student that ``monospike train`` has made, as what a deployment needs to know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netx import Network
from netx.errors import MonospikeError
from pipeline.core.progress import Progress
from pipeline.core.task import Evaluation, PageSection, Target
from pipeline.datasets.clip import Clip
from pipeline.models.feed_forward import with_probes
from pipeline.models.recorder import recording, slayer_twin
from pipeline.tasks.tracking.checkpoint import load_with_processing
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.spiking import SIDES, SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.predictor import Geometry, Pixels, Scorer, search_pixels, template_pixels
from pipeline.tasks.tracking.real_valued import RealValued
from pipeline.tasks.tracking.scorer import IntegerScorer, ModelScorer, geometry_of
from pipeline.tasks.tracking.slayer_recording import search_outputs, template_outputs
from sim.programming import programmed
from sim.recording import Recording

_PIXEL_BITS = 8
"""Of the crops that the tracking loop makes; the chip takes the upper ones."""

TEMPLATE, SEARCH = SIDES
"""The two networks that make a tracker: the one that turns a template into spikes, and the one they program."""


def trained_model(checkpoint: Path) -> TrainedModel:
    """The student in a checkpoint, all of which runs on the chip.

    Raises FormatError when the file is no model's, MonospikeError when not all of it is on the chip at one time step.
    """
    model, settings = spiking_model(checkpoint)
    if model.config.head != "chip" or model.config.encoder != "chip":
        raise MonospikeError(f"{checkpoint}: has an encoder or a head on the host; deploy one that is all on the chip")
    return TrainedModel(model, settings)


def spiking_model(checkpoint: Path) -> tuple[SpikingSiamFCpp, TrackerConfig]:
    """A student, and the crops and post-processing that were saved with it. Raises FormatError when the file is no
    model's, MonospikeError when it doesn't spike."""
    model, settings = load_with_processing(checkpoint)
    if not isinstance(model, SpikingSiamFCpp):
        raise MonospikeError(f"{checkpoint}: holds no spiking network; take a student that learned from it")
    return model, settings


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """See ``pipeline.core.task.Deployable``. settings: pre- and post-processing of the tracking loop."""

    model: SpikingSiamFCpp
    settings: TrackerConfig

    @property
    def priced(self) -> tuple[str, ...]:
        """The search network; the template's runs once a target."""
        return (SEARCH,)

    @property
    def processing(self) -> TrackerConfig:
        """Crops and post-processing of the tracking loop."""
        return self.settings

    @property
    def geometry(self) -> Geometry:
        """Of the crops that the tracking loop makes."""
        return geometry_of(self.model.config)

    @property
    def chip_geometry(self) -> Geometry:
        """Of crops with the pixels that enter the chip."""
        config = self.model.config
        return Geometry(config.template, config.search, self.geometry.stride, config.pixel_bits)

    def network(self) -> Network:
        """Both networks in one, the correlations not programmed yet."""
        return to_network(self.model)

    def targets(self, network: Network, samples: Sequence[Clip], frames: int, seed: int) -> dict[str, Target]:
        """The tracker of the target that the first sequence's first box marks, and ``frames`` search frames of it.

        Each search crop lies around the true box of the frame before.
        """
        video, geometry = samples[0], self.chip_geometry
        template = template_pixels(video.frames[0], video.boxes[0], geometry, self.settings)
        search = [
            search_pixels(frame, box, geometry, self.settings)
            for frame, box in zip(video.frames[1 : frames + 1], video.boxes, strict=False)
        ]
        searching, _ = programmed(network, {TEMPLATE: template, SEARCH: np.concatenate(search)})
        random = np.random.default_rng(seed)
        return {
            TEMPLATE: with_probes(network.template_network(), {TEMPLATE: template}, random),
            SEARCH: with_probes(searching, {SEARCH: np.concatenate(search)}, random),
        }

    def record(self, targets: Mapping[str, Target]) -> dict[str, Recording]:
        """The quantised SLAYER modules: all template frames as templates, the first one as the target of the search."""
        twin = slayer_twin(self.model)
        template, search = targets[TEMPLATE], targets[SEARCH]
        templates = self._crops(template.frames[TEMPLATE])
        made = template_outputs(twin, templates)
        first = template_outputs(twin, templates[:1])
        searched = search_outputs(twin, first.tensors, self._crops(search.frames[SEARCH]))
        return {
            TEMPLATE: recording("slayer", template.network, made.chip_input, made.tensors),
            SEARCH: recording("slayer", search.network, searched.chip_input, searched.tensors),
        }

    def scorers(self, network: Network) -> dict[str, Scorer]:
        """``float``: on its real-valued weights; ``integer``: ``network`` on the exact engine."""
        by_float = RealValued(self.model, ModelScorer(self.model))
        return {"float": by_float, "integer": IntegerScorer(self.model, network)}

    def evaluate(self, network: Network, samples: Sequence[Clip], progress: Progress) -> Evaluation:
        """Mean IoU of float and integer on all sequences, beside a box that never moves."""
        from pipeline.tasks.tracking.accuracy import evaluation, follow_all

        return evaluation(follow_all(samples, self.scorers(network), self.geometry, self.settings, progress))

    def sections(
        self,
        samples: Sequence[Clip],
        evaluation: Evaluation,
        targets: Mapping[str, Target],
        recordings: Mapping[str, Recording],
    ) -> Iterator[PageSection]:
        """The tracked sequences, and how well they were tracked."""
        del targets, recordings
        from pipeline.tasks.tracking.accuracy import tracks_of
        from pipeline.tasks.tracking.report import page_sections, tracked

        return page_sections(tracked(samples, tracks_of(evaluation.predictions)), evaluation.scores)

    def _crops(self, chip_pixels: Pixels) -> Pixels:
        """Crops of 8 bits of which ``chip_pixels`` are the upper bits."""
        return (chip_pixels.astype(np.int16) << (_PIXEL_BITS - self.model.config.pixel_bits)).astype(np.int8)
