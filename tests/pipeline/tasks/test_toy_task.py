"""The recipe of ``pipeline.tasks.train`` with a task that shares nothing with tracking: eight-by-eight digits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from netx.errors import FormatError, MonospikeError
from pipeline.core.config import Section, parse_config
from pipeline.core.progress import Progress
from pipeline.core.task import Batch, Processing, Task
from pipeline.models.safetensors_file import read_metadata
from pipeline.tasks.checkpoint import read_checkpoint
from pipeline.tasks.config import ModelEntry, TrainingConfig
from pipeline.tasks.tracking.checkpoint import load_model
from pipeline.tasks.train import run_training
from pipeline.training.config import TermSection
from pipeline.training.distributed import DistributedContext
from pipeline.training.term import Context, Term


class Architecture(Section):
    hidden: int = 16


class Classifier(nn.Module):
    def __init__(self, config: Architecture) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.Sequential(nn.Linear(64, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 10))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"logits": self.layers(images.flatten(1))}


class CrossEntropySection(TermSection):
    model: str

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    trains = models


class CrossEntropy(Term):
    def __init__(self, config: CrossEntropySection) -> None:
        super().__init__(f"{config.model}/{config.kind}")
        self.model = config.model

    def teaches(self, loss: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset({self.model})

    def forward(self, context: Context) -> dict[str, Tensor]:
        return {self.name: F.cross_entropy(context.tensors[f"{self.model}/logits"], context.batch["label"])}


class DigitsEntry(ModelEntry):
    architecture: Architecture


class DigitsTraining(TrainingConfig):
    models: Mapping[str, DigitsEntry]
    losses: tuple[CrossEntropySection, ...]
    data: int


class Scaling(Processing):
    trained_with: ClassVar[frozenset[str]] = frozenset({"largest"})
    largest: float = 16.0


class Draws:
    def __init__(self, config: DigitsTraining) -> None:
        self.config, digits = config, load_digits()
        self.images = torch.from_numpy(digits.images).float() / Scaling().largest
        self.labels = torch.from_numpy(digits.target).long()

    def __len__(self) -> int:
        return self.config.train.steps

    def __getitem__(self, step: int) -> Batch:
        chosen = torch.randint(0, 1400, (self.config.train.batch,), generator=torch.Generator().manual_seed(step))
        return Batch({"image": self.images[chosen], "label": self.labels[chosen]}, ("image",))

    logged = ("accuracy",)

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, Any]:  # noqa: ARG002
        with torch.no_grad():
            right = model(self.images[1400:])["logits"].argmax(dim=1) == self.labels[1400:]
        return {"accuracy": float(right.float().mean())}

    def rounding(self, model: nn.Module, device: torch.device) -> dict[str, Any]:  # noqa: ARG002
        return {}


class Digits(Task):
    name = "digits"
    training_config, data_config, processing_type = DigitsTraining, Section, Scaling

    def build_model(self, architecture: Section) -> Classifier:
        assert isinstance(architecture, Architecture)
        return Classifier(architecture)

    def parse_architecture(self, text: str) -> Architecture:
        return Architecture.model_validate_json(text)

    def build_terms(self, config: DigitsTraining, answers: Mapping[str, Tensor]) -> list[Term]:  # noqa: ARG002
        return [CrossEntropy(term) for term in config.losses]

    def example(self, config: DigitsTraining) -> Batch:  # noqa: ARG002
        return Batch({"image": torch.zeros(1, 8, 8), "label": torch.zeros(1, dtype=torch.long)}, ("image",))

    def batches(self, config: DigitsTraining, rank: int) -> Draws:  # noqa: ARG002
        return Draws(config)

    def validator(self, config: DigitsTraining) -> Draws:
        return Draws(config)

    # What a deployment needs is no part of a training.
    write_samples = read_samples = deployable = predictor = None  # type: ignore[assignment]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("digits")
    values = {
        "task": "digits",
        "name": "toy",
        "models": {"net": {"architecture": {"hidden": 32}}},
        "losses": [{"kind": "cross_entropy", "model": "net"}],
        "data": 1400,
        "train": {"steps": 150, "batch": 32, "workers": 0, "optimiser": {"rate": 0.01, "warm_up": 5}},
        "validation": {"every": 50},
    }
    config = parse_config(values, DigitsTraining, "toy")
    context = DistributedContext(torch.device("cpu"))
    return folder, run_training(Digits(), config, folder, context, Progress(quiet=True))


def test_a_task_that_does_not_say_what_a_gate_compares_has_none(tmp_path):
    net = {"architecture": {"hidden": 8}}
    values = {
        "task": "digits",
        "name": "gated",
        "models": {"student": net, "teacher": net},
        "losses": [{"kind": "cross_entropy", "model": name} for name in ("student", "teacher")],
        "data": 1400,
        "train": {"steps": 1, "batch": 2, "workers": 0},
        "online": {"student": "student", "teacher": "teacher"},
        "learners": {"teacher": {"members": ["teacher"]}},
    }
    config = parse_config(values, DigitsTraining, "gated")
    with pytest.raises(MonospikeError, match=r"^online: the task 'digits' does not say what a gate compares; leave"):
        run_training(Digits(), config, tmp_path / "run", DistributedContext(torch.device("cpu")), Progress(quiet=True))
    assert not (tmp_path / "run").exists()


def test_a_task_of_another_kind_is_trained_by_the_same_recipe(run):
    folder, metrics = run
    assert metrics["net"]["accuracy"] > 0.75
    assert metrics["net"]["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "net/accuracy" in line] == [50, 100, 150]


def test_its_checkpoint_says_what_it_is_and_is_no_trackers(run):
    path = run[0] / "net.safetensors"
    assert read_metadata(path)["task"] == "digits"
    stored = read_checkpoint(path, Digits())
    assert (stored.architecture, stored.processing) == (Architecture(hidden=32), Scaling())
    assert isinstance(stored.model(Digits()), Classifier)
    with pytest.raises(FormatError, match=r"holds a model of the task 'digits', where one of 'tracking' is wanted"):
        load_model(path)


def test_words_of_a_task_stand_in_its_own_room_alone():
    """Neither the recipe nor the loop imports a task, or speaks of one."""
    root = Path(__file__).parents[3] / "pipeline"
    files: Sequence[Path] = [*root.glob("tasks/*.py"), *root.glob("training/**/*.py"), root / "cli" / "train.py"]
    assert len(files) > 15
    for file in files:
        text = file.read_text()
        if file != root / "tasks" / "__init__.py":
            assert "tasks.tracking" not in text, file
        if "distillation" not in file.parts:
            assert "SiamFC" not in text, file
