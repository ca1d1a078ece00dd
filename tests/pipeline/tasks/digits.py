"""Handwritten digits as a task of one's own: scikit-learn's 1797 pictures of 8 x 8 pixels, each 0..16."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from pydantic import Field
from sklearn.datasets import load_digits
from torch import Tensor

from netx import Network
from pipeline.core.config import Section
from pipeline.core.progress import Progress
from pipeline.core.task import Batch, Evaluation, PageSection, Target, Task
from pipeline.models.chain import ChainConfig, LayerConfig, SpikingChain
from pipeline.models.feed_forward import AtWork, FeedForward
from pipeline.report.template import fragment
from pipeline.tasks.checkpoint import read_checkpoint
from pipeline.tasks.config import ModelEntry, TrainingConfig
from pipeline.tasks.simple import ArrayBatches, HeldOut, LossSection, ModelLoss, Outputs
from sim.recording import Recording

TRAINED = 1500
"""Pictures to train on; the others are for validation and deployment."""

Sample = tuple[npt.NDArray[np.uint8], int]
"""A picture, (1, 8, 8), and the digit on it."""

# The model, and the configurations of a training and of a deployment's data.

LAYERS = (
    LayerConfig(name="conv1", channels=16, kernel=3),
    LayerConfig(name="conv2", channels=32, kernel=3, stride=2),
    LayerConfig(name="digit", channels=10, kernel=2, part="readout"),
)


class DigitModel(ModelEntry):
    architecture: ChainConfig = ChainConfig(shape=(1, 8, 8), high=16, layers=LAYERS)


class DigitTraining(TrainingConfig):
    models: dict[str, DigitModel]
    losses: tuple[LossSection, ...] = (LossSection(kind="cross_entropy"),)
    data: Section = Section()


class DigitData(Section):
    samples: int = Field(100, ge=1, le=1797 - TRAINED)


# Data, what is learned from them, and how well.


def digits(first: int, last: int) -> dict[str, npt.NDArray]:
    images, labels = load_digits(return_X_y=True)
    return {"image": images[first:last].reshape(-1, 1, 8, 8).astype(np.uint8), "digit": labels[first:last]}


def cross_entropy(outputs: Outputs, batch: Batch) -> Tensor:
    return F.cross_entropy(outputs["digit"].flatten(1), batch["digit"])


def accuracy(logits: npt.NDArray, truth: npt.ArrayLike) -> dict[str, float]:
    return {"accuracy": float(np.mean(logits.argmax(axis=1).ravel() == truth))}


# What runs on the chip, and what a report shows of it.


class DeployedDigits(FeedForward):
    def chip_input(self, samples: Sequence[Sample]) -> npt.NDArray[np.uint8]:
        return np.stack([image for image, _ in samples])

    def evaluate(self, network: Network, samples: Sequence[Sample], progress: Progress) -> Evaluation:
        logits = {"float": self.outputs(None, samples), "integer": self.outputs(network, samples)}
        scores = {form: accuracy(values, [digit for _, digit in samples]) for form, values in logits.items()}
        figures = {f"accuracy, {form}": f"{values['accuracy']:.3f}" for form, values in scores.items()}
        headline = ", ".join(f"{label} {text}" for label, text in figures.items())
        return Evaluation({**scores, "samples": len(samples)}, logits, headline, figures)

    def sections(
        self,
        samples: Sequence[Sample],
        evaluation: Evaluation,
        targets: Mapping[str, Target],
        recordings: Mapping[str, Recording],
    ) -> Iterator[PageSection]:
        found = evaluation.predictions["integer"].argmax(axis=1).ravel()
        wrong = [(digit, taken) for (_, digit), taken in zip(samples, found, strict=True) if digit != taken]
        html = "<p>{{ wrong | length }} wrong{% for pair in wrong %}, {{ pair[0] }} as {{ pair[1] }}{% endfor %}.</p>"
        yield PageSection("digits", "Digits", fragment(html, {"wrong": wrong}))


class Digits(Task):
    name = "digits"
    training_config = DigitTraining
    data_config = DigitData

    def build_model(self, architecture: ChainConfig) -> SpikingChain:
        return SpikingChain(architecture)

    def parse_architecture(self, text: str) -> ChainConfig:
        return ChainConfig.model_validate_json(text)

    def build_terms(self, config: DigitTraining, answers: Outputs) -> list[ModelLoss]:
        return [ModelLoss(loss, cross_entropy) for loss in config.losses]

    def example(self, config: DigitTraining) -> Batch:
        return self.batches(config, 0)[0]

    def batches(self, config: DigitTraining, rank: int) -> ArrayBatches:
        return ArrayBatches(config, rank, digits(0, TRAINED), inputs=("image",))

    def validator(self, config: DigitTraining) -> HeldOut:
        held_out = digits(TRAINED, 1797)
        return HeldOut(held_out["image"], lambda outputs: accuracy(outputs["digit"].numpy(), held_out["digit"]))

    def write_samples(self, config: DigitData, seed: int, folder: Path, progress: Progress) -> str:
        np.savez(folder / "digits.npz", **digits(TRAINED, TRAINED + config.samples))
        return f"{config.samples} digits"

    def read_samples(self, folder: Path) -> list[Sample]:
        with np.load(folder / "digits.npz") as file:
            return list(zip(file["image"], file["digit"].tolist(), strict=True))

    def deployable(self, checkpoint: Path) -> DeployedDigits:
        stored = read_checkpoint(checkpoint, self)
        return DeployedDigits(stored.model(self), stored.processing)

    def predictor(self, checkpoint: Path, engine: str) -> AtWork:
        return AtWork(self.deployable(checkpoint), engine)
