"""Siamese tracking as a task: its parts under the names that the pipeline asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from torch import Tensor, nn

from pipeline.core.config import Section
from pipeline.core.files import files_stamp
from pipeline.core.progress import Progress
from pipeline.core.task import Batch, Batches, Image, Passage, SequenceRequest, SequenceRun, Task, Validator
from pipeline.datasets.config import DataConfig
from pipeline.datasets.dataset import make_sequences
from pipeline.datasets.errors import DataError
from pipeline.datasets.pictures import BUILTIN
from pipeline.datasets.sequence import Sequence
from pipeline.datasets.video_source import open_footage
from pipeline.tasks.tracking.checkpoint import build
from pipeline.tasks.tracking.crop import Box
from pipeline.tasks.tracking.deployable import SEARCH, TrainedModel, spiking_model, trained_model
from pipeline.tasks.tracking.following import first_box, parsed_box
from pipeline.tasks.tracking.model_tracker import CONTEXT, around, model_tracker
from pipeline.tasks.tracking.models.config import ModelConfig
from pipeline.tasks.tracking.recorded_crops import Passages, Selection, crops_of_sequence
from pipeline.tasks.tracking.scorer import IntegerScorer
from pipeline.tasks.tracking.settings import settings_for
from pipeline.tasks.tracking.terms import build_terms
from pipeline.tasks.tracking.tracker import Tracker
from pipeline.tasks.tracking.trackers import engine_called
from pipeline.tasks.tracking.training_config import TrainingConfig


class Tracking(Task):
    """SiamFC++ teachers and their spiking students."""

    name = "tracking"
    training_config = TrainingConfig
    data_config = DataConfig
    processing_key = "tracker"

    # Training.

    def build_model(self, architecture: Any) -> nn.Module:
        return build(architecture)

    def parse_architecture(self, text: str) -> Section:
        return TypeAdapter[Section](ModelConfig).validate_json(text)

    def processing(self, config: TrainingConfig) -> Section:
        return config.tracker.model_copy(update={"context": CONTEXT})

    def build_terms(self, config: TrainingConfig, answers: Mapping[str, Tensor]) -> list[Any]:
        return list(build_terms(config.losses, answers))  # type: ignore[arg-type]

    def example(self, config: Any) -> Batch:
        raise NotImplementedError

    def batches(self, config: Any, rank: int) -> Batches:
        raise NotImplementedError

    def validator(self, config: Any) -> Validator:
        raise NotImplementedError

    # Deployment.

    def write_samples(self, config: DataConfig, seed: int, folder: Path, progress: Progress) -> str:
        """Sequences composed from pictures, or read from a dataset. Raises DataError where one has a single frame."""
        frames, count = 0, 0
        with progress.task("sequences", config.sequences) as task:
            for sequence in make_sequences(config, seed):
                if len(sequence) < 2:
                    raise DataError(
                        f"sequence {sequence.name!r}: has one frame; there is nothing to follow without more"
                    )
                sequence.save(folder / f"{count:03}.npz")
                frames += len(sequence.frames)
                count += 1
                task.advance()
        return f"{count} sequences, {frames} frames"

    def read_samples(self, folder: Path) -> list[Sequence]:
        """Raises FormatError where a file is damaged."""
        return [Sequence.load(path) for path in sorted(folder.glob("*.npz"))]

    def data_stamp(self, config: DataConfig) -> list[str]:
        """What tells the user's pictures and sequences, where there are any, from those that were there before."""
        pictures = [] if config.pictures == BUILTIN else [files_stamp(Path(config.pictures), "**/*")]
        dataset = [] if config.dataset is None else [files_stamp(config.dataset, "*/groundtruth_rect*.txt", "*/img/*")]
        return pictures + dataset

    def deployable(self, checkpoint: Path) -> TrainedModel:
        return trained_model(checkpoint)

    def follow(self, checkpoint: Path, request: SequenceRequest, progress: Progress) -> SequenceRun:
        """The tracker on its way; what of the student is on the chip is watched, the rest may be on the host."""
        model = spiking_model(checkpoint)
        footage, scorer = open_footage(request.source), IntegerScorer(model)
        box, settings = first_box(footage, parsed_box(request.prompt)), settings_for(True, request.config)
        selection = Selection(request.most, request.every, request.reprogram)
        length = max(footage.length - 1, 1) if request.most is None else min(request.most, max(footage.length - 1, 1))
        with progress.task(f"track {footage.name}", length) as task:
            programmings = crops_of_sequence(
                lambda s: around(s, model, settings), scorer, footage, box, selection, task.reach
            )
        passages = tuple(_passages(Passages(model, scorer.network), programmings))
        return SequenceRun(footage.name, scorer.network, SEARCH, passages)

    def predictor(self, checkpoint: Path, engine: str) -> Follower:
        return Follower(model_tracker(checkpoint, engine_called(engine), settings_for(True, None)))


def _passages(passages: Passages, programmings: list[Any]) -> Iterator[Passage]:
    for number, programming in enumerate(programmings):
        yield from passages.of(number, programming)


class Follower:
    """A tracker as a ``pipeline.core.task.Predictor``: its prompt is the box in the first frame."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def start(self, frame: Image, prompt: Box) -> None:
        """Take what ``prompt`` marks as the target: x, y, width, height in pixels."""
        self._tracker.start(frame, prompt)

    def step(self, frame: Image) -> Box:
        """The target's box in the next frame."""
        return self._tracker.follow(frame)
