"""A spiking detector that ``monospike train`` has made, as what a deployment needs to know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from netx import Network
from netx.errors import FormatError
from pipeline.core.progress import Progress
from pipeline.core.task import Evaluation, PageSection, Target
from pipeline.models.feed_forward import with_probes
from pipeline.models.pixels import to_pixels
from pipeline.models.recorder import recording, slayer_twin
from pipeline.tasks.detection.config import DetectorProcessing
from pipeline.tasks.detection.detector import ModelDetector, in_integers, in_torch, squares
from pipeline.tasks.detection.metrics.scores import scores
from pipeline.tasks.detection.models.spiking import INPUT, SpikingYolox
from pipeline.tasks.detection.predictions import Detections
from pipeline.tasks.detection.samples import Sample, as_set
from pipeline.tasks.detection.validation import found_in
from sim.recording import Recording

FORMS = ("float", "integer")

SCORES = ("map", "map50", "map75", "voc07")
"""Those that a report has of each form."""

_PARTS = ("boxes", "scores", "classes")
"""Of detections, as they are kept."""


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """See ``pipeline.core.task.Deployable``."""

    model: SpikingYolox
    settings: DetectorProcessing

    @property
    def priced(self) -> tuple[str, ...]:
        """The only network."""
        return (INPUT,)

    @property
    def processing(self) -> DetectorProcessing:
        """What the host does before and after."""
        return self.settings

    def network(self) -> Network:
        """Backbone, neck and heads."""
        return self.model.network()

    def targets(self, network: Network, samples: Sequence[Sample], frames: int, seed: int) -> dict[str, Target]:
        """The network, on the first samples and probes."""
        shown, _ = squares([sample.picture.read() for sample in samples[:frames]], self.model.config.side)
        real = {INPUT: np.ascontiguousarray(to_pixels(shown, self.model.config.pixel_bits))}
        return {INPUT: with_probes(network, real, np.random.default_rng(seed))}

    def record(self, targets: Mapping[str, Target]) -> dict[str, Recording]:
        """The same frames through the model made of SLAYER's blocks."""
        twin, target = slayer_twin(self.model), targets[INPUT]
        frames = target.frames[INPUT]
        with torch.inference_mode():
            tensors = twin.signals({INPUT: torch.from_numpy(frames.astype(np.int32))})
        return {INPUT: recording("slayer", target.network, frames.astype(np.int32), tensors)}

    def evaluate(self, network: Network, samples: Sequence[Sample], progress: Progress) -> Evaluation:
        """Average precision of float and integer on all samples."""
        pictures, side = as_set(samples, self.settings.classes), self.model.config.side
        answers = {"float": in_torch(self.model, real_valued=True), "integer": in_integers(self.model, network)}
        values, predictions = {}, {"ids": np.array([picture.id for picture in pictures.pictures])}
        with progress.task("detection", len(FORMS)) as bar:
            for form in FORMS:
                found = found_in(pictures.pictures, ModelDetector(answers[form], self.settings, side))
                values[form] = scores(pictures, found)
                predictions |= {f"{form}/{name}": array for name, array in packed(found).items()}
                bar.advance()
        # A set without any object to find has no precision; nothing is what such a score says.
        shown = {form: {name: values[form][name] or 0.0 for name in SCORES} for form in FORMS}
        texts = {form: f"{shown[form]['map']:.3f}" for form in ("integer", "float")}
        return Evaluation(
            {**shown, "images": len(pictures), "objects": values["float"]["objects"]},
            predictions,
            ", ".join(f"mAP {form} {text}" for form, text in texts.items()),
            {f"mAP, {form}": text for form, text in texts.items()},
        )

    def sections(
        self,
        samples: Sequence[Sample],
        evaluation: Evaluation,
        targets: Mapping[str, Target],
        recordings: Mapping[str, Recording],
    ) -> Iterator[PageSection]:
        """Pictures with what was found in them, and how well that is."""
        del targets, recordings
        from pipeline.tasks.detection.report import page_sections

        found = {form: unpacked(evaluation.predictions, form) for form in FORMS}
        return page_sections(as_set(samples, self.settings.classes), found, evaluation.scores)


def packed(found: Mapping[int, Detections]) -> dict[str, npt.NDArray]:
    """Detections of pictures in order as arrays: one after the other, and how many each picture has."""
    answers = list(found.values())
    return {
        "counts": np.array([len(answer) for answer in answers]),
        **{name: np.concatenate([getattr(answer, name) for answer in answers]) for name in _PARTS},
    }


def unpacked(predictions: Mapping[str, npt.NDArray], form: str) -> dict[int, Detections]:
    """The detections of one form in what ``evaluate`` predicted. Raises FormatError where they are something else."""
    try:
        ends = np.cumsum(predictions[f"{form}/counts"])[:-1]
        parts = [np.split(predictions[f"{form}/{name}"], ends) for name in _PARTS]
        ids = predictions["ids"].tolist()
        return {int(key): Detections(*arrays) for key, *arrays in zip(ids, *parts, strict=True)}
    except (KeyError, ValueError) as error:
        raise FormatError(f"the predictions hold no detections ({error}); run again with --from profile") from None
