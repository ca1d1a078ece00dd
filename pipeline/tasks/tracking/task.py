"""Siamese tracking as a task: its parts under the names that the pipeline asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netx import Network
from pipeline.core.files import files_stamp
from pipeline.core.progress import Progress
from pipeline.core.task import Batch, Predictor, Processing, SequenceRequest, SequenceRun, Task
from pipeline.datasets.clip import Clip
from pipeline.datasets.config import DataConfig
from pipeline.datasets.dataset import make_sequences
from pipeline.datasets.errors import DataError
from pipeline.datasets.locations import located
from pipeline.datasets.pictures import BUILTIN
from pipeline.datasets.video_source import open_video
from pipeline.tasks.tracking.checkpoint import SiameseFamily, load_processing, start_from
from pipeline.tasks.tracking.config import TrackerConfig, TrainingConfig, ValidationConfig
from pipeline.tasks.tracking.deployable import SEARCH, TrainedModel, spiking_model, trained_model
from pipeline.tasks.tracking.initialisation import FITTED_BATCHES, INITIAL_RATE, calibrate, initialise_from
from pipeline.tasks.tracking.judging import TrackingJudge
from pipeline.tasks.tracking.model_tracker import around, model_tracker
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.recorded_crops import Passages, Selection, crops_of_sequence
from pipeline.tasks.tracking.rounding import rounding_difference
from pipeline.tasks.tracking.sampling import PairBatches, empty_batch
from pipeline.tasks.tracking.scorer import IntegerScorer
from pipeline.tasks.tracking.settings import settings_for
from pipeline.tasks.tracking.terms import build_terms, compared
from pipeline.tasks.tracking.track_video import first_box, parsed_box
from pipeline.tasks.tracking.trackers import engine_called
from pipeline.tasks.tracking.validation import validate, validation_tracks
from pipeline.training.calibration import RATE
from pipeline.training.gate import Compared
from pipeline.training.term import NamedTensors, Term


class TrackingValidator:
    """The validation of a training: its sequences, followed as ``monospike evaluate`` follows any."""

    logged = ("mean_iou", "spike_rate")

    def __init__(self, config: ValidationConfig, settings: TrackerConfig, seed: int) -> None:
        """settings: crops and post-processing. Raises DataError or FormatError where a sequence is missing or bad."""
        self._tracks, self._settings = validation_tracks(config, seed), settings

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        assert isinstance(model, (SiamFCpp, SpikingSiamFCpp)), "a training of this task has no others"
        return validate(model, self._tracks, self._settings, device)

    def rounding(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        """What rounding to integers changes in a model that spikes, as ``rounding_difference`` says it."""
        if not isinstance(model, SpikingSiamFCpp):
            return {}
        return rounding_difference(model, self._tracks, self._settings, device)


class Tracking(SiameseFamily, Task):
    """SiamFC++ teachers and their spiking students."""

    name = "tracking"
    family, samples = "SiamFC++", "pairs"
    limits = (
        "It has seen little data: it follows one object over short sequences, and loses it where better trackers "
        "don't.",
        "It takes no step when the object leaves the picture: it goes on answering with a box.",
        "Scores are of the sequences named here; of others nothing is known.",
    )
    training_config = TrainingConfig
    data_config = DataConfig
    processing_key = "tracker"

    # Training.

    def processing(self, config: TrainingConfig) -> Processing:
        return config.tracker

    def processing_of_older(self, training: Mapping[str, Any]) -> Processing:
        """The context of the training's crops; all else as trackers of older versions had it, which is published."""
        tracker = training.get("tracker") or {}
        return TrackerConfig(**{key: tracker[key] for key in ("context",) if key in tracker})

    def build_terms(self, config: TrainingConfig, answers: Mapping[str, Tensor]) -> list[Term]:
        return build_terms(config.losses, answers if isinstance(answers, NamedTensors) else NamedTensors(answers))

    def compared(self, config: TrainingConfig) -> Compared:  # noqa: ARG002
        return compared

    def example(self, config: TrainingConfig) -> Batch:
        architecture = next(iter(config.models.values())).architecture  # all models see the same crops
        return empty_batch(architecture.template, architecture.search)

    def batches(self, config: TrainingConfig, rank: int) -> PairBatches:
        return PairBatches(config, rank)

    def initialised(
        self, name: str, model: nn.Module, config: TrainingConfig, first: Callable[[int], Sequence[Batch]]
    ) -> nn.Module:
        """A spiking model gets its thresholds from the first batches, and its weights where it is ``like`` another."""
        entry = config.models[name]
        if not isinstance(model, SpikingSiamFCpp) or not (entry.calibrate or entry.like):
            return model
        shown = first(FITTED_BATCHES)
        if entry.like is None:
            return calibrate(model, shown[0]["template"], shown[0]["search"], entry.rate or RATE)
        other = config.models[entry.like]
        assert other.weights is not None, "the configuration has been checked"
        source = start_from(Path(other.weights), other.architecture, config.tracker)
        return initialise_from(model, source, shown, entry.rate or INITIAL_RATE)

    def validator(self, config: TrainingConfig) -> TrackingValidator:
        return TrackingValidator(config.validation, config.tracker, config.seed)

    def headline(self, scores: Mapping[str, Any]) -> str:
        spikes = f", spike rate {scores['spike_rate']:.3f}" if "spike_rate" in scores else ""
        return f"mean IoU {scores['mean_iou']:.3f} (a box that never moves: {scores['fixed_box']:.3f}){spikes}"

    def judge(self) -> TrackingJudge:
        return TrackingJudge()

    # Deployment.

    def write_samples(self, config: DataConfig, seed: int, folder: Path, progress: Progress) -> str:
        """Sequences composed from pictures, or read from a dataset. Raises DataError where one has a single frame."""
        frames = 0
        with progress.task("sequences", config.sequences) as bar:
            for index, sequence in enumerate(make_sequences(config, seed)):
                if len(sequence) < 2:
                    raise DataError(
                        f"sequence {sequence.name!r}: has one frame; there is nothing to follow without more"
                    )
                sequence.save(folder / f"{index:03}.npz")
                frames += len(sequence.frames)
                bar.advance()
        return f"{index + 1} sequences, {frames} frames"

    def read_samples(self, folder: Path) -> Sequence[Clip]:
        return [Clip.load(file) for file in sorted(folder.glob("*.npz"))]

    def data_stamp(self, config: DataConfig) -> list[str]:
        """What tells the user's pictures and sequences, where there are any, from those that were there before."""
        pictures = [] if config.pictures == BUILTIN else [files_stamp(located(config.pictures), "**/*")]
        if config.dataset is None:
            return pictures
        return [*pictures, files_stamp(located(config.dataset), "*/groundtruth_rect*.txt", "*/img/*")]

    def deployable(self, checkpoint: Path) -> TrainedModel:
        return trained_model(checkpoint)

    def network(self, checkpoint: Path) -> Network:
        """Also of a student whose head is real-valued on the host, which has nothing to say of its deployment."""
        return TrainedModel(*spiking_model(checkpoint)).network()

    def follow(self, checkpoint: Path, request: SequenceRequest, progress: Progress) -> SequenceRun:
        """The tracker on its way; what of the student is on the chip is watched, the rest may be on the host."""
        model, stored = spiking_model(checkpoint)
        settings = settings_for(stored, request.config, None, str(checkpoint))
        video, scorer = open_video(request.source), IntegerScorer(model)
        box = first_box(video, parsed_box(request.prompt))
        selection = Selection(request.most, request.every, request.reprogram)
        length = max(len(video) - 1, 1)
        with progress.task(f"track {video.name}", min(length, request.most or length)) as bar:
            programmings = crops_of_sequence(
                lambda s: around(s, model, settings), scorer, video, box, selection, bar.reach
            )
        passages = Passages(model, scorer.network)
        all_of_them = [one for number, given in enumerate(programmings) for one in passages.of(number, given)]
        return SequenceRun(video.name, scorer.network, (SEARCH,), tuple(all_of_them))

    def predictor(self, checkpoint: Path, engine: str) -> Predictor[Any, Any]:
        return model_tracker(checkpoint, engine_called(engine), load_processing(checkpoint))
