"""Whole trainings of two models and a discriminator, each with an optimiser of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from netx.errors import FormatError
from pipeline.core.config import ConfigError, parse_config
from pipeline.core.progress import Progress
from pipeline.models.safetensors_file import read_safetensors
from pipeline.tasks import find_task
from pipeline.tasks.tracking.config import TrainingConfig
from pipeline.tasks.train import run_training
from pipeline.training.distributed import DistributedContext
from pipeline.training.state import save_state
from pipeline.training.term import TrainingError

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = DistributedContext(torch.device("cpu"))
SIDES = {"template": 103, "search": 143, "box_shift": 1.4}
CLIP = {"height": 96, "width": 128, "object_size": [20, 30]}
PAIR = {
    "task": "tracking",
    "name": "pair",
    "models": {
        "teacher": {"architecture": {"kind": "siamfcpp", "width": "tiny", **SIDES}},
        "student": {"architecture": {"kind": "spiking", "width": "tiny", **SIDES}},
    },
    "losses": [
        {"kind": "tracking", "model": "teacher"},
        {"kind": "tracking", "model": "student"},
        {"kind": "class_kd", "student": "student", "teacher": "teacher", "detach_teacher": False},
        {
            "kind": "adversarial",
            "student": "student",
            "teacher": "teacher",
            "channels": 4,
            "tensor": "search_features",
            "adapter": "to_teacher",
            "adapter_kind": "smooth",
        },
    ],
    "online": {"student": "student", "teacher": "teacher", "gate": "smooth"},
    "learners": {
        "teacher": {"members": ["teacher"], "optimiser": {"kind": "sgd", "rate": 0.01, "warm_up": 1}},
        "opponent": {"members": ["losses.student/adversarial"], "every": 2},
    },
    "data": [{"kind": "composed", "clips": 3, "composition": {"frames": 3, **CLIP}}],
    "train": {"steps": 5, "batch": 2, "save_every": 1, "log_every": 1, "workers": 0},
    "validation": {"sequences": 1, "composition": {"frames": 3, **CLIP}},
}


def pair(**changes: object) -> TrainingConfig:
    return parse_config({**PAIR, **changes}, TrainingConfig, "it")


def trained(folder: Path, config: TrainingConfig) -> None:
    run_training(find_task("tracking"), config, folder, CPU, Progress(quiet=True))


class _EndedError(BaseException):
    """The process is gone: nothing that it had in memory is left, and nothing is written any more."""


def test_two_models_a_gate_and_a_discriminator_go_on_from_a_state_to_the_weights_of_an_unbroken_training(
    tmp_path, monkeypatch
):
    """That a process which is killed leaves a whole state, or the one before, is shown in ``test_training.py``."""
    trained(tmp_path / "unbroken", pair())
    lines = [json.loads(line) for line in (tmp_path / "unbroken" / "log.jsonl").read_text().splitlines()]
    of_steps = [line for line in lines if "rate" in line]
    assert len(of_steps) == 5
    assert all(
        {"rate/teacher", "rate/opponent", "student/adversarial_discriminator", "online/gap"} <= line.keys()
        for line in of_steps
    )
    assert all(0 < line["rate/teacher"] < 0.01 for line in of_steps), "the gate slows it down"
    assert (tmp_path / "unbroken" / "teacher.safetensors").exists()

    def saved_and_ended(path: Path, *rest: object) -> None:
        save_state(path, *rest)
        if read_safetensors(path)[1]["step"] == "2":
            raise _EndedError

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.tasks.train.save_state", saved_and_ended)
        with pytest.raises(_EndedError):
            trained(tmp_path / "pair", pair())
    trained(tmp_path / "pair", pair())
    for name in ("student", "teacher", "state"):
        ours, theirs = (load_file(tmp_path / run / f"{name}.safetensors") for run in ("pair", "unbroken"))
        assert ours.keys() == theirs.keys()
        assert [key for key, value in ours.items() if not torch.equal(value, theirs[key])] == []


def test_a_state_of_the_older_format_is_told_in_one_message(tmp_path):
    save_file(
        {"model/student/x": torch.zeros(1), "optimiser/0/step": torch.zeros(1)},
        tmp_path / "state.safetensors",
        {"step": "2", "fingerprint": "[{}, []]", "architectures": "{}"},
    )
    with pytest.raises(FormatError, match=r"state.safetensors: is a training's state in an older format") as error:
        trained(tmp_path, pair())
    assert "move the file away to train afresh" in str(error.value)


@pytest.mark.parametrize(
    ("learners", "complaint"),
    [
        ({"main": {"members": ["teacher"]}}, r"learners: 'main' is no name for one"),
        ({"a": {"members": ["master"]}}, r"learners.a.members: 'master' is no model that is trained"),
        ({"a": {"members": []}}, r"learners.a.members"),
        ({"a": {"members": ["teacher"], "every": 0}}, r"learners.a.every"),
    ],
)
def test_learners_that_cannot_be_meant_are_refused_with_the_key(learners, complaint):
    with pytest.raises(ConfigError, match=complaint):
        pair(learners=learners)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"online": {"student": "pupil", "teacher": "teacher"}}, r"online.student: there is no model 'pupil', only te"),
        ({"learners": {}}, r"online.teacher: 'teacher' needs a learner of its own.*\{teacher: \{members: \[teacher\]"),
        (
            {"learners": {"both": {"members": ["teacher", "student"]}}},
            r"online.teacher: 'teacher' needs a learner of its own",
        ),
        (
            {
                "models": {
                    **PAIR["models"],
                    "teacher": {**PAIR["models"]["teacher"], "trained": False, "weights": "it"},
                },
                "losses": PAIR["losses"][1:2],
                "learners": {},
            },
            r"online.teacher: 'teacher' is not trained: a gate is between two models that learn",
        ),
    ],
)
def test_a_gate_that_cannot_be_is_refused_with_the_key(changes, complaint):
    with pytest.raises(ConfigError, match=complaint) as error:
        pair(**changes)
    assert "\n" not in str(error.value).strip()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tensor": "feelings"}, r"losses.3 \(adversarial\): a loss names the tensor 'student/feelings'; there are st"),
        (
            {"tensor": "distances", "teacher_tensor": "boxes"},
            r"losses.3 \(adversarial\): a loss names the tensor 'teacher",
        ),
        ({"adapter_kind": "linear", "tensor": "score"}, r"losses.3 \(adversarial\): .*'student/score'"),
    ],
)
def test_a_discriminator_without_features_is_refused_before_anything_is_trained(tmp_path, changes, complaint):
    losses = [*PAIR["losses"][:3], {**PAIR["losses"][3], **changes}]
    with pytest.raises(TrainingError, match=complaint):
        trained(tmp_path / "run", pair(losses=losses))
    assert not (tmp_path / "run").exists()


def test_an_adapter_kind_without_an_adapter_is_refused():
    losses = [*PAIR["losses"][:3], {key: value for key, value in PAIR["losses"][3].items() if key != "adapter"}]
    with pytest.raises(ConfigError, match=r"losses.3.*adapter_kind: there is no adapter; name one"):
        pair(losses=losses)


def test_a_loss_that_teaches_a_teacher_which_is_not_trained_is_refused():
    models = {**PAIR["models"], "teacher": {**PAIR["models"]["teacher"], "trained": False, "weights": "it"}}
    with pytest.raises(ConfigError, match=r"class_kd teaches 'teacher', which is not trained"):
        pair(models=models, losses=PAIR["losses"][1:3], learners={}, online=None)
