"""A spiking segmenter that ``monospike train`` has made, as what a deployment needs to know of it.

Its three parts are targets of their own. What enters them was recorded while the integers followed the objects of the
first sequence, the host's memory between them: every engine replays the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import Network
from netx.errors import FormatError
from pipeline.core.progress import Progress
from pipeline.core.task import Evaluation, PageSection, Target
from pipeline.datasets.label_masks import LabelMask
from pipeline.models.feed_forward import with_probes
from pipeline.models.recorder import recording, slayer_twin
from pipeline.tasks.segmentation.baselines import STILL, StillMask
from pipeline.tasks.segmentation.config import SegmenterProcessing
from pipeline.tasks.segmentation.following import follow
from pipeline.tasks.segmentation.forms import in_torch, integer_segmenter
from pipeline.tasks.segmentation.models.spiking import PARTS, Chip, SpikingStm, as_integers, in_integers
from pipeline.tasks.segmentation.samples import MaskedSequence, scored
from pipeline.tasks.segmentation.segmenter import MemorySegmenter
from sim.recording import Recording

FORMS = ("float", "integer", STILL)

SCORES = ("j_and_f", "j", "f", "recall", "decay")
"""Those that a report has of each form."""

Masks = Mapping[str, Sequence[LabelMask]]
"""By sequence, of each frame."""


@dataclass(frozen=True, eq=False)
class TrainedSegmenter:
    """See ``pipeline.core.task.Deployable``."""

    model: SpikingStm
    settings: SegmenterProcessing

    @property
    def priced(self) -> tuple[str, ...]:
        """All parts run at every frame, those that see masks once an object."""
        return PARTS

    @property
    def processing(self) -> SegmenterProcessing:
        """What the host remembers."""
        return self.settings

    def network(self) -> Network:
        """All parts in one."""
        return self.model.network()

    def targets(self, network: Network, samples: Sequence[MaskedSequence], frames: int, seed: int) -> dict[str, Target]:
        """Each part, on what entered it in the first frames of the first sequence, and on probes."""
        entered = self._entered(network, samples[0], frames)
        random = np.random.default_rng(seed)
        return {
            part: with_probes(
                self.model.part_of(network, part),
                {name: values[:frames].astype(np.int32) for name, values in entered[part].items()},
                random,
            )
            for part in PARTS
        }

    def record(self, targets: Mapping[str, Target]) -> dict[str, Recording]:
        """The same frames through the parts made of SLAYER's blocks."""
        twin, result = slayer_twin(self.model), {}
        for part, target in targets.items():
            inputs = {name: torch.from_numpy(values) for name, values in target.frames.items()}
            with torch.inference_mode():
                tensors = twin.graph(part).signals(inputs)
            result[part] = recording("slayer", target.network, next(iter(target.frames.values())), tensors)
        return result

    def evaluate(self, network: Network, samples: Sequence[MaskedSequence], progress: Progress) -> Evaluation:
        """J&F of float and integer on all sequences, beside a first mask that never moves."""
        segmenters = {
            "float": in_torch(self.model, self.settings, real_valued=True),
            "integer": integer_segmenter(self.model, self.settings, network),
            STILL: StillMask(),
        }
        values: dict[str, dict[str, float]] = {}
        predictions: dict[str, npt.NDArray] = {}
        with progress.task("segmentation", len(FORMS)) as bar:
            for form in FORMS:
                found, masks = scored(samples, segmenters[form])
                # Sequences without a frame that counts have no score; nothing is what such a score says.
                values[form] = {name: found[name] or 0.0 for name in SCORES}
                predictions |= {f"{form}/{name}": np.stack(ours) for name, ours in masks.items()}
                bar.advance()
        texts = {form: f"{values[form]['j_and_f']:.3f}" for form in ("integer", "float", STILL)}
        return Evaluation(
            {**values, "sequences": len(samples), "frames": sum(len(one.frames) for one in samples)},
            predictions,
            ", ".join(f"J&F {form} {text}" for form, text in texts.items()),
            {f"J&F, {form}": text for form, text in texts.items()},
        )

    def sections(
        self,
        samples: Sequence[MaskedSequence],
        evaluation: Evaluation,
        targets: Mapping[str, Target],
        recordings: Mapping[str, Recording],
    ) -> Iterator[PageSection]:
        """Frames with what was found in them, and how well that is by frame."""
        del targets, recordings
        from pipeline.tasks.segmentation.report import page_sections

        names = [one.name for one in samples]
        found = {form: masks_of(evaluation.predictions, form, names) for form in FORMS}
        return page_sections(samples, found, evaluation.scores)

    def _entered(
        self, network: Network, sequence: MaskedSequence, frames: int
    ) -> dict[str, dict[str, npt.NDArray[np.int8]]]:
        """What enters each part on the chip, by input, at least so many times where the sequence is long enough."""
        chip = Recorded(in_integers(self.model, network))
        segmenter = MemorySegmenter(self.model.at_work(chip), self.model.config, self.settings)
        shown, masks = sequence.frames[: frames + 1], sequence.masks[: frames + 1]
        for _ in follow(sequence.name, shown, masks, segmenter):
            pass
        return chip.entered()


class Recorded:
    """A chip that keeps what enters it."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self._inputs: dict[str, list[Mapping[str, npt.NDArray[np.int8]]]] = {part: [] for part in PARTS}

    def __call__(self, part: str, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The chip's answer."""
        self._inputs[part].append({name: as_integers(values) for name, values in inputs.items()})
        return self._chip(part, inputs)

    def entered(self) -> dict[str, dict[str, npt.NDArray[np.int8]]]:
        """By part and input, (frame, channel, row, column)."""
        return {
            part: {name: np.concatenate([one[name] for one in kept]) for name in kept[0]}
            for part, kept in self._inputs.items()
        }


def masks_of(predictions: Mapping[str, npt.NDArray], form: str, names: Sequence[str]) -> Masks:
    """The masks of one form in what ``evaluate`` predicted. Raises FormatError where they are something else."""
    try:
        return {name: list(predictions[f"{form}/{name}"]) for name in names}
    except KeyError as error:
        raise FormatError(f"the predictions hold no masks ({error}); run again with --from profile") from None
