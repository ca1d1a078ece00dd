"""Segmentation as a task: its parts under the names that the pipeline asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter
from torch import Tensor, nn

from netx.errors import MonospikeError
from pipeline.core.config import Section
from pipeline.core.files import files_stamp
from pipeline.core.progress import Progress
from pipeline.core.task import Batch, Processing, Task
from pipeline.datasets.locations import located
from pipeline.tasks.checkpoint import read_checkpoint
from pipeline.tasks.segmentation.config import SampleData, SegmenterProcessing, TrainingConfig
from pipeline.tasks.segmentation.deployable import TrainedSegmenter
from pipeline.tasks.segmentation.forms import Model, segmenter
from pipeline.tasks.segmentation.initialisation import CALIBRATED_BATCHES, calibrate, load_backbones
from pipeline.tasks.segmentation.losses import build_terms
from pipeline.tasks.segmentation.models.config import ModelConfig, SpikingStmConfig, StmConfig
from pipeline.tasks.segmentation.models.spiking import SpikingStm
from pipeline.tasks.segmentation.models.stm import Stm
from pipeline.tasks.segmentation.predictions import OpenSegmenter
from pipeline.tasks.segmentation.samples import MaskedSequence, read_samples, write_samples
from pipeline.tasks.segmentation.sampling import ClipBatches, empty_batch
from pipeline.tasks.segmentation.terms import compared
from pipeline.tasks.segmentation.validation import SegmentationValidator, held_out
from pipeline.training.gate import Compared
from pipeline.training.term import NamedTensors, Term


class Segmentation(Task):
    """STM teachers and their spiking students."""

    name = "segmentation"
    family, samples = "STM", "clips"
    limits = (
        "It has seen some dozens of videos, not YouTube-VOS's thousands: of other scenes and kinds it knows little.",
        "Its frames are small: thin and far things are lost, and contours are coarse.",
        "Scores are of the sequences named here; of others nothing is known.",
    )
    training_config = TrainingConfig
    data_config = SampleData
    processing_key = "segmenter"
    processing_type: ClassVar[type[Processing]] = SegmenterProcessing
    not_compared: ClassVar[Mapping[str, Literal["checkpoint", "configuration"]]] = {"thresholds": "checkpoint"}

    def build_model(self, architecture: Any) -> nn.Module:
        if isinstance(architecture, StmConfig):
            return Stm(architecture)
        assert isinstance(architecture, SpikingStmConfig), "there is no other"
        return SpikingStm(architecture)

    def parse_architecture(self, text: str) -> Section:
        kinds: TypeAdapter[Section] = TypeAdapter(ModelConfig)
        return kinds.validate_json(text)

    # Training.

    def processing(self, config: TrainingConfig) -> Processing:
        return config.segmenter

    def build_terms(self, config: TrainingConfig, answers: Mapping[str, Tensor]) -> list[Term]:
        return build_terms(config, answers if isinstance(answers, NamedTensors) else NamedTensors(answers))

    def compared(self, config: TrainingConfig) -> Compared:  # noqa: ARG002
        return compared

    def example(self, config: TrainingConfig) -> Batch:
        return empty_batch(config.data)

    def batches(self, config: TrainingConfig, rank: int) -> ClipBatches:
        train = config.train
        return ClipBatches(config.data, train.batch, train.steps, config.seed, rank)

    def initialised(
        self, name: str, model: nn.Module, config: TrainingConfig, first: Callable[[int], Sequence[Batch]]
    ) -> nn.Module:
        """A spiking model gets its thresholds from the first batches; a MobileNetV2 its weights from a file."""
        entry = config.models[name]
        if isinstance(model, SpikingStm) and entry.calibrate:
            return calibrate(model, first(CALIBRATED_BATCHES), entry.rate)
        if isinstance(model, Stm) and entry.backbone_weights is not None:
            return load_backbones(model, located(entry.backbone_weights))
        return model

    def validator(self, config: TrainingConfig) -> SegmentationValidator:
        return SegmentationValidator(held_out(config), config.segmenter)

    def headline(self, scores: Mapping[str, Any]) -> str:
        spikes = f", spike rate {scores['spike_rate']:.3f}" if "spike_rate" in scores else ""
        values = ", ".join(
            f"{text} {scores[key] or 0:.3f}" for key, text in (("j_and_f", "J&F"), ("j", "J"), ("f", "F"))
        )
        return f"{values}{spikes}"

    # Deployment.

    def write_samples(self, config: SampleData, seed: int, folder: Path, progress: Progress) -> str:
        return write_samples(config, seed, folder, progress)

    def read_samples(self, folder: Path) -> Sequence[MaskedSequence]:
        return read_samples(folder)

    def data_stamp(self, config: SampleData) -> list[str]:
        """What tells the user's files from those that were there before."""
        folder = config.root or (None if config.pictures == "builtin" else config.pictures)
        return [] if folder is None else [files_stamp(located(folder), "**/*")]

    def deployable(self, checkpoint: Path) -> TrainedSegmenter:
        model, processing = self._loaded(checkpoint)
        if not isinstance(model, SpikingStm):
            raise MonospikeError(f"{checkpoint}: holds no spiking network; take a student that learned from it")
        return TrainedSegmenter(model, processing)

    def predictor(self, checkpoint: Path, engine: str) -> OpenSegmenter:
        return segmenter(*self._loaded(checkpoint), engine)

    def _loaded(self, checkpoint: Path) -> tuple[Model, SegmenterProcessing]:
        """The model, in evaluation mode, and what is done around it."""
        stored = read_checkpoint(checkpoint, self)
        model, processing = stored.model(self), stored.processing
        assert isinstance(model, (Stm, SpikingStm)), "there is no other"
        assert isinstance(processing, SegmenterProcessing), "of the type that this task says"
        return model, processing
