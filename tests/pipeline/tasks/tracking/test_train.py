"""Training can be stopped anywhere and goes on to the same weights; checkpoints are checked when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from netx import FormatError
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.stream import ClipStream
from pipeline.deploy.config import RunConfig, load_config
from pipeline.tasks.tracking.demo_student import Student
from pipeline.tasks.tracking.demo_train import load_checkpoint, save_checkpoint, train


class StoppedError(Exception):
    """A user who stops the training."""


@dataclass
class Trainer:
    """Trains the tiny student; ``seen`` holds the steps that were reported."""

    config: RunConfig
    state: Path
    stop_after: int | None = None

    def __post_init__(self) -> None:
        self.seen: list[int] = []

    def run(self, seed: int = 3) -> Student:
        settings = self.config.train
        clips = ClipStream(open_pictures(), settings.composition, seed, settings.clips, settings.fresh_clips)
        return train(self.config.student, settings, self.config.tracker, clips, seed, self.state, self._report)

    def _report(self, step: int, losses: str) -> None:
        assert {word.split()[0] for word in losses.split(", ")} == {"class", "centre", "box"}
        self.seen.append(step)
        if step == self.stop_after:
            raise StoppedError


@pytest.fixture(scope="module")
def config(tiny_run) -> RunConfig:
    return load_config(tiny_run)


@pytest.fixture(scope="module")
def unbroken(config, tmp_path_factory) -> Student:
    return Trainer(config, tmp_path_factory.mktemp("unbroken") / "state.safetensors").run()


def test_a_stopped_training_goes_on_to_the_weights_of_an_unbroken_one(config, unbroken, tmp_path):
    trainer = Trainer(config, tmp_path / "state.safetensors", stop_after=5)
    with pytest.raises(StoppedError):
        trainer.run()
    again = Trainer(config, trainer.state)
    student = again.run()
    assert again.seen == [5, 6], "the state was saved after step 4"
    for name, value in unbroken.state_dict().items():
        assert torch.equal(student.state_dict()[name], value), name


def test_a_state_of_another_training_is_not_gone_on_from(config, tmp_path):
    trainer = Trainer(config, tmp_path / "state.safetensors", stop_after=5)
    with pytest.raises(StoppedError):
        trainer.run()
    again = Trainer(config, trainer.state)
    again.run(seed=4)
    assert again.seen[0] == 1


def test_training_changes_every_parameter(config, unbroken):
    torch.manual_seed(3)
    trained = dict(unbroken.named_parameters())
    for name, start in Student(config.student).named_parameters():
        assert torch.equal(start, trained[name]) != start.requires_grad, name


def test_a_checkpoint_gives_the_same_student_back(config, unbroken, tmp_path):
    path = tmp_path / "it.safetensors"
    save_checkpoint(unbroken, path, {"seed": "3"})
    loaded = load_checkpoint(path, config.student)
    assert not loaded.training
    for name, value in unbroken.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def damaged(source: Path, target: Path, change) -> Path:
    tensors = load_file(source)
    change(tensors)
    save_file(tensors, target)
    return target


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.pop("box_scale"), r"tensor 'box_scale' is missing: this is the checkpoint of another"),
        (lambda t: t.update(box_scale=torch.ones(2)), r"tensor 'box_scale' has shape \(2,\), not \(\): .*another"),
        (lambda t: t.update(box_scale=torch.tensor(float("nan"))), r"tensor 'box_scale' holds NaN or infinity"),
        (lambda t: t.update(extra=torch.ones(1)), r"tensor 'extra' belongs to no part of this architecture"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_the_tensor(config, unbroken, tmp_path, change, complaint):
    save_checkpoint(unbroken, tmp_path / "it.safetensors", {})
    path = damaged(tmp_path / "it.safetensors", tmp_path / "bad.safetensors", change)
    with pytest.raises(FormatError, match=rf"bad.safetensors: {complaint}"):
        load_checkpoint(path, config.student)


def test_a_checkpoint_of_another_configuration_is_refused_with_what_differs(config, unbroken, tmp_path):
    path = tmp_path / "it.safetensors"
    save_checkpoint(unbroken, path, {})
    other = config.student.model_copy(update={"pixel_bits": 4})
    with pytest.raises(FormatError, match=r"its student has pixel_bits = 5, the configuration says 4"):
        load_checkpoint(path, other)


def test_a_truncated_checkpoint_is_refused(config, unbroken, tmp_path):
    path = tmp_path / "it.safetensors"
    save_checkpoint(unbroken, path, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"it.safetensors: is not a complete safetensors file"):
        load_checkpoint(path, config.student)
    with pytest.raises(FormatError, match=r"nowhere.safetensors: there is no such checkpoint"):
        load_checkpoint(tmp_path / "nowhere.safetensors", config.student)
