"""Detection as a task: its parts under the names that the pipeline asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from netx.errors import MonospikeError
from pipeline.core.files import files_stamp
from pipeline.core.progress import Progress
from pipeline.core.task import Batch, Processing, Task
from pipeline.datasets.locations import located
from pipeline.models.mobilenet import MobileNetV2, load_weights
from pipeline.tasks.detection.checkpoint import DetectorFamily, load_with_processing
from pipeline.tasks.detection.config import SampleData, TrainingConfig
from pipeline.tasks.detection.deployable import TrainedDetector
from pipeline.tasks.detection.detector import ModelDetector, detector
from pipeline.tasks.detection.initialisation import CALIBRATED_BATCHES, calibrate
from pipeline.tasks.detection.judging import DetectionJudge
from pipeline.tasks.detection.models.spiking import SpikingYolox
from pipeline.tasks.detection.models.yolox import Yolox
from pipeline.tasks.detection.samples import Sample, read_samples, write_samples
from pipeline.tasks.detection.sampling import DetectionBatches, empty_batch
from pipeline.tasks.detection.terms import build_terms, compared
from pipeline.tasks.detection.validation import DetectionValidator, split
from pipeline.training.gate import Compared
from pipeline.training.term import NamedTensors, Term


class Detection(DetectorFamily, Task):
    """YOLOX teachers and their spiking students."""

    name = "detection"
    family, samples = "YOLOX", "pictures"
    limits = (
        "It has seen hundreds of pictures, not the 118,000 of COCO: of other scenes and kinds it knows nothing.",
        "Its picture is small: what has few pixels there, as a far head in a crowd, is lost.",
        "Scores are of the pictures named here; of others nothing is known.",
    )
    training_config = TrainingConfig
    data_config = SampleData
    processing_key = "detector"

    # Training.

    def processing(self, config: TrainingConfig) -> Processing:
        return config.detector

    def build_terms(self, config: TrainingConfig, answers: Mapping[str, Tensor]) -> list[Term]:
        return build_terms(config, answers if isinstance(answers, NamedTensors) else NamedTensors(answers))

    def compared(self, config: TrainingConfig) -> Compared:
        return compared(config)

    def example(self, config: TrainingConfig) -> Batch:
        return empty_batch(config.side)

    def batches(self, config: TrainingConfig, rank: int) -> DetectionBatches:
        pictures, train = split(config)[0], config.train
        return DetectionBatches(
            pictures, config.data.augmentation, config.side, train.batch, train.steps, config.seed, rank
        )

    def initialised(
        self, name: str, model: nn.Module, config: TrainingConfig, first: Callable[[int], Sequence[Batch]]
    ) -> nn.Module:
        """A spiking model gets its thresholds from the first batches; a MobileNetV2 its weights from a file."""
        entry = config.models[name]
        if isinstance(model, SpikingYolox) and entry.calibrate:
            return calibrate(model, [batch["images"] for batch in first(CALIBRATED_BATCHES)], entry.rate)
        if isinstance(model, Yolox) and entry.backbone_weights is not None:
            assert isinstance(model.backbone, MobileNetV2), "the configuration has been checked"
            load_weights(model.backbone, located(entry.backbone_weights))
        return model

    def validator(self, config: TrainingConfig) -> DetectionValidator:
        training, held_out = split(config)
        return DetectionValidator(held_out, config.detector, list(dict.fromkeys([*training.issues, *held_out.issues])))

    def headline(self, scores: Mapping[str, Any]) -> str:
        spikes = f", spike rate {scores['spike_rate']:.3f}" if "spike_rate" in scores else ""
        values = ", ".join(f"{text} {scores[key] or 0:.3f}" for key, text in (("map", "mAP"), ("map50", "at .5")))
        wrong = len(scores.get("issues", ()))
        issues = f"; {wrong} things are wrong in the pictures: 'issues' in metrics.json names them" if wrong else ""
        return f"{values}{spikes}{issues}"

    def judge(self) -> DetectionJudge:
        return DetectionJudge()

    # Deployment.

    def write_samples(self, config: SampleData, seed: int, folder: Path, progress: Progress) -> str:
        return write_samples(config, seed, folder, progress)

    def read_samples(self, folder: Path) -> Sequence[Sample]:
        return read_samples(folder)

    def data_stamp(self, config: SampleData) -> list[str]:
        """What tells the user's pictures and annotations from those that were there before."""
        others = [] if config.annotations is None else [located(config.annotations)]
        return [files_stamp(located(config.root), "**/*"), *(files_stamp(file.parent, file.name) for file in others)]

    def deployable(self, checkpoint: Path) -> TrainedDetector:
        model, processing = load_with_processing(checkpoint)
        if not isinstance(model, SpikingYolox):
            raise MonospikeError(f"{checkpoint}: holds no spiking network; take a student that learned from it")
        return TrainedDetector(model, processing)

    def predictor(self, checkpoint: Path, engine: str) -> ModelDetector:
        return detector(*load_with_processing(checkpoint), engine)
