"""Training beside a teacher: which losses act, what stops before it begins, adapters, and several students at once."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.core.config import ConfigError, parse_config
from pipeline.core.progress import Progress
from pipeline.models.safetensors_file import read_safetensors
from pipeline.tasks import find_task
from pipeline.tasks.tracking.checkpoint import build, load_model, save_model
from pipeline.tasks.tracking.config import TrainingConfig
from pipeline.tasks.tracking.models.config import SiamFCppConfig, Width
from pipeline.tasks.train import run_training
from pipeline.training import schedule
from pipeline.training.distillation import features
from pipeline.training.distributed import DistributedContext
from pipeline.training.term import TrainingError

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIGS = Path(__file__).parents[3] / "configs"
CPU = DistributedContext(torch.device("cpu"))
SIDES = {"template": 103, "search": 159, "box_shift": 1.4}
TEACHER = {"kind": "siamfcpp", "width": {"backbone": [6, 8, 10, 10, 12], "neck": 8, "head": 8, "tower": 2}, **SIDES}
STUDENT = {"kind": "spiking", "width": "tiny", **SIDES}
DEEP = {"kind": "spiking", "width": {"backbone": [4, 4, 6, 6, 6], "neck": 4, "head": 4, "tower": 2}, **SIDES}
CLIP = {"height": 96, "width": 128, "object_size": [20, 30]}
TRACKING = {"kind": "tracking", "model": "student"}


def kd(kind: str, **keys: object) -> dict:
    return {"kind": kind, "student": "student", "teacher": "teacher", **keys}


ALL_OF_S4_KD = [
    TRACKING,
    kd("feature_kd", adapter="to_teacher", standardise=True),
    kd("class_kd"),
    kd("box_kd", margin=0.0),
    kd("centre_kd"),
]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    torch.manual_seed(5)
    config = {**TEACHER, "width": Width(**TEACHER["width"])}
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_model(build(SiamFCppConfig(**config)), path, {})
    return path


def training(
    teacher: Path, losses: list[dict], steps: int = 4, models: dict | None = None, **students: dict
) -> TrainingConfig:
    if models is None:
        models = {"teacher": {"architecture": TEACHER, "weights": str(teacher), "trained": False}}
        models |= {name: {"architecture": value} for name, value in (students or {"student": STUDENT}).items()}
    return parse_config(
        {
            "task": "tracking",
            "name": "tiny",
            "models": models,
            "losses": losses,
            "data": [{"kind": "composed", "clips": 3, "composition": {"frames": 3, **CLIP}}],
            "train": {"steps": steps, "batch": 2, "save_every": 2, "log_every": 1, "workers": 0},
            "validation": {"sequences": 1, "composition": {"frames": 3, **CLIP}},
        },
        TrainingConfig,
        "it",
    )


def run(config: TrainingConfig, folder: Path) -> dict:
    return run_training(find_task(config.task), config, folder, CPU, Progress(quiet=True))


def logged(folder: Path) -> list[dict]:
    return [line for line in map(json.loads, (folder / "log.jsonl").read_text().splitlines()) if "rate" in line]


@pytest.fixture(scope="module")
def unbroken(teacher, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    run(training(teacher, ALL_OF_S4_KD), folder)
    return folder


def assert_same(first: Path, second: Path, name: str) -> None:
    ours, theirs = load_file(first / name), load_file(second / name)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key


def test_each_loss_of_the_student_is_logged_under_its_name(unbroken):
    names = {"class", "centre", "box", "feature_kd", "class_kd", "box_kd", "centre_kd"}
    lines = logged(unbroken)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    for line in lines:
        assert {key for key in line if "/" in key} == {f"student/{name}" for name in names}
        assert line["student/feature_kd"] > 0
        assert line["student/class_kd"] > 0


def test_the_adapter_is_trained_and_saved_with_the_state_and_is_no_part_of_the_student(unbroken, teacher, tmp_path):
    key = "model/losses.student/feature_kd/adapters.to_teacher.weight"
    after = load_file(unbroken / "state.safetensors")[key]
    assert after.shape == (12, 8, 1, 1)
    run(training(teacher, ALL_OF_S4_KD, steps=1), tmp_path)
    assert not torch.equal(load_file(tmp_path / "state.safetensors")[key], after)
    assert not [name for name in load_file(unbroken / "student.safetensors") if "adapter" in name]
    assert not (unbroken / "teacher.safetensors").exists()


def test_a_stopped_distillation_goes_on_to_the_same_weights_and_the_same_adapter(
    unbroken, teacher, tmp_path, monkeypatch
):
    def stopping(*arguments):
        seen.append(None)
        if len(seen) == 4:
            raise KeyboardInterrupt
        real(*arguments)

    seen: list[None] = []
    real = schedule.thaw
    monkeypatch.setattr(schedule, "thaw", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(training(teacher, ALL_OF_S4_KD), tmp_path)
    monkeypatch.setattr(schedule, "thaw", real)
    run(training(teacher, ALL_OF_S4_KD), tmp_path)
    assert_same(tmp_path, unbroken, "student.safetensors")
    assert_same(tmp_path, unbroken, "state.safetensors")


def test_a_distillation_loss_that_is_no_number_stops_the_training_and_loses_nothing(
    unbroken, teacher, tmp_path, monkeypatch
):
    def broken(student, teacher, temperature):
        calls.append(None)
        return real(student, teacher, temperature) * (math.nan if len(calls) > 2 + 2 * 2 else 1)

    # Two features at the dry run, and at each step.
    calls: list[None] = []
    real = features.channel_divergence
    monkeypatch.setattr(features, "channel_divergence", broken)
    with pytest.raises(TrainingError, match=r"step 3: the loss 'student/feature_kd' is nan"):
        run(training(teacher, ALL_OF_S4_KD), tmp_path)
    monkeypatch.setattr(features, "channel_divergence", real)
    assert read_safetensors(tmp_path / "state.safetensors")[1]["step"] == "2"
    run(training(teacher, ALL_OF_S4_KD), tmp_path)
    assert_same(tmp_path, unbroken, "student.safetensors")


def test_losses_of_weight_0_are_as_if_they_and_their_teacher_were_not_there(teacher, tmp_path):
    off = [{**loss, "weight": 0.0} for loss in ALL_OF_S4_KD[1:]]
    run(training(teacher, [TRACKING, *off], steps=2), tmp_path / "off")
    config = training(teacher, [TRACKING], steps=2)
    alone = config.model_copy(update={"models": {"student": config.models["student"]}})
    metrics = run(alone, tmp_path / "alone")
    assert_same(tmp_path / "off", tmp_path / "alone", "student.safetensors")
    assert {key for key in logged(tmp_path / "off")[0] if "_kd" in key} == set()
    assert "times_fewer_parameters" not in metrics["student"]


@pytest.mark.parametrize("index", [1, 2, 3, 4])
def test_each_loss_teaches_the_student_by_itself(teacher, tmp_path, index):
    run(training(teacher, [ALL_OF_S4_KD[index]], steps=2), tmp_path)
    run(training(teacher, [TRACKING], steps=2), tmp_path / "tracking")
    ours, theirs = (load_file(folder / "student.safetensors") for folder in (tmp_path, tmp_path / "tracking"))
    assert not torch.equal(ours["synapses.conv5.weight"], theirs["synapses.conv5.weight"])
    assert set(logged(tmp_path)[0]) == {"step", "rate", "pairs_per_second", f"student/{ALL_OF_S4_KD[index]['kind']}"}


def test_a_student_starts_from_its_teachers_convolutions_also_where_no_loss_looks_at_the_teacher(teacher, tmp_path):
    models = {
        "teacher": {"architecture": TEACHER, "weights": str(teacher), "trained": False},
        "student": {"architecture": {**STUDENT, "width": TEACHER["width"]}, "like": "teacher"},
    }
    run(training(teacher, [TRACKING], steps=1, models=models), tmp_path)
    theirs = load_file(teacher)["backbone.conv1.conv.weight"].flip(1).flatten(1)
    ours = load_file(tmp_path / "student.safetensors")["synapses.conv1.weight"].flatten(1)
    for channel, row in enumerate(ours):
        assert torch.corrcoef(torch.stack([row, theirs[channel]]))[0, 1] > 0.99, channel


def test_a_student_on_the_chip_goes_on_from_one_whose_head_is_real(teacher, tmp_path):
    spiking = {**STUDENT, "width": TEACHER["width"]}
    models = {
        "teacher": {"architecture": TEACHER, "weights": str(teacher), "trained": False},
        "student": {"architecture": {**spiking, "head": "host"}, "like": "teacher"},
    }
    run(training(teacher, [TRACKING], steps=1, models=models), tmp_path / "host")
    host = {"architecture": {**spiking, "head": "host"}, "weights": str(tmp_path / "host" / "student.safetensors")}
    models |= {"host": {**host, "trained": False}, "student": {"architecture": spiking, "like": "host"}}
    run(training(teacher, [TRACKING], steps=1, models=models), tmp_path / "chip")
    theirs, ours = (load_model(tmp_path / name / "student.safetensors") for name in ("host", "chip"))
    for name in ("conv1", "conv3", "conv5"):
        before, after = theirs.synapses[name].weight.detach(), ours.synapses[name].weight.detach()
        # Adam moves a weight by no more than its rate, which begins at a hundredth of 0.005.
        assert (after - before).abs().max() < 0.001, name
        assert ours.config.thresholds[name] == theirs.config.thresholds[name]
    coarser = {**models, "student": {"architecture": {**spiking, "pixel_bits": 4}, "like": "host"}}
    with pytest.raises(ConfigError, match=r"models.student.like: pixel_bits is another than that of 'host'"):
        training(teacher, [TRACKING], models=coarser)
    same = {**models, "student": {"architecture": host["architecture"], "like": "host"}}
    with pytest.raises(ConfigError, match="has its head on the host as 'host' has; give its 'weights'"):
        training(teacher, [TRACKING], models=same)
    chip = {**models, "host": {**models["host"], "architecture": spiking}}
    with pytest.raises(ConfigError, match="'host' is no real-valued model with weights, nor a student whose head is"):
        training(teacher, [TRACKING], models=chip)


def test_a_teacher_that_trains_beside_its_student_learns_nothing_from_it(teacher, tmp_path):
    def weights(students: dict, losses: list[dict], folder: Path) -> dict[str, torch.Tensor]:
        config = training(teacher, losses, steps=2, models={"teacher": {"architecture": TEACHER}, **students})
        optimiser = config.train.optimiser.model_copy(update={"clip_norm": 1e9})  # which is of all gradients together
        run(config.model_copy(update={"train": config.train.model_copy(update={"optimiser": optimiser})}), folder)
        return load_file(folder / "teacher.safetensors")

    itself = {"kind": "tracking", "model": "teacher"}
    alone = weights({}, [itself], tmp_path / "alone")
    beside = weights({"student": {"architecture": STUDENT}}, [itself, *ALL_OF_S4_KD], tmp_path / "beside")
    for name, value in alone.items():
        assert torch.equal(value, beside[name]), name


@pytest.mark.parametrize(
    ("loss", "complaint"),
    [
        (
            kd("feature_kd"),
            r"losses.1 \(feature_kd\): student/template_features has 8 channels and teacher/template_features 12: "
            r"give the term an adapter",
        ),
        (
            kd("feature_kd", adapter="it", features={"class_correlation": "search_features"}),
            r"losses.1 \(feature_kd\): student/class_correlation has 8x8 positions and teacher/search_features 10x10. "
            r"An adapter changes channels alone",
        ),
        (
            kd(
                "feature_kd",
                adapter="it",
                features={"search_features": "search_features", "class_kernel": "box_kernel"},
            ),
            r"the adapter 'it' cannot serve features of different channels, \(student, teacher\) = \[\(8, 8\), "
            r"\(8, 12\)\]: make a term of each",
        ),
        (
            kd("feature_kd", adapter="it", features={"search_neck": "search_features"}),
            r"losses.1 \(feature_kd\): a loss names the tensor 'student/search_neck'; there are student/box, ",
        ),
        (kd("class_kd", name="class"), r"losses: two of them are called 'student/class'"),
    ],
)
def test_what_does_not_fit_is_said_before_any_training(teacher, tmp_path, loss, complaint):
    with pytest.raises(TrainingError, match=complaint):
        run(training(teacher, [TRACKING, loss]), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_teacher_that_is_not_trained_yet_is_asked_for(tmp_path):
    with pytest.raises(TrainingError, match=r"models.teacher.weights: there is no checkpoint .*none.safetensors here"):
        run(training(tmp_path / "none.safetensors", ALL_OF_S4_KD), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("losses", "complaint"),
    [
        ([TRACKING, kd("class_kd", teacher="master")], r"there is no model 'master', only teacher, student"),
        (
            [TRACKING, {"kind": "class_kd", "student": "teacher", "teacher": "student"}],
            r"class_kd teaches 'teacher', which is not trained",
        ),
        ([kd("class_kd", weight=0.0)], r"none of them teaches 'student', which is trained"),
        ([TRACKING, kd("class_kd", temperature=0.0)], r"losses.1.class_kd.temperature"),
        ([TRACKING, kd("logit_kd")], r"'logit_kd'.*'feature_kd', 'class_kd', 'box_kd', 'centre_kd'"),
        (
            [TRACKING, {"kind": "sharing", "students": ["student"], "teacher": "teacher"}],
            r"losses.1.sharing.students",
        ),
        (
            [TRACKING, {"kind": "sharing", "students": ["student", "student"], "teacher": "teacher"}],
            r"one is named twice",
        ),
    ],
)
def test_losses_that_cannot_be_meant_are_refused_with_the_key(teacher, losses, complaint):
    with pytest.raises(ConfigError, match=complaint):
        training(teacher, losses)


@pytest.mark.parametrize(
    ("student", "complaint"),
    [
        ({"like": "techer"}, "models.student.like: 'techer' is no real-valued model with weights"),
        ({"like": "student"}, "models.student.like: 'student' is no real-valued model with weights"),
        ({"like": "teacher", "weights": "student.safetensors"}, "is for spiking models without weights to start from"),
        ({"like": "teacher"}, "models.student.like: its channels are not those of 'teacher'"),
        (
            {"like": "teacher", "calibrate": False},
            "models.student.like: sets thresholds, which 'calibrate: false' forbids",
        ),
    ],
)
def test_a_model_that_cannot_be_started_from_is_refused_with_the_key(teacher, student, complaint):
    models = {
        "teacher": {"architecture": TEACHER, "weights": str(teacher), "trained": False},
        "student": {"architecture": STUDENT, **student},
    }
    with pytest.raises(ConfigError, match=complaint):
        training(teacher, [TRACKING], models=models)


def dst(margin: float) -> list[dict]:
    losses: list[dict] = []
    for student in ("student", "deep"):
        losses.append({"kind": "tracking", "model": student})
        losses += [
            {"kind": kind, "student": student, "teacher": "teacher"}
            for kind in ("class_kd", "box_kd", "centre_kd", "adaptive_hard", "target_response")
        ]
    sharing = {"kind": "sharing", "students": ["student", "deep"], "intelligent": ["student"], "teacher": "teacher"}
    return [*losses, {**sharing, "margin": margin, "epoch": 2}]


def test_students_of_other_width_depth_and_time_steps_learn_together_and_share(teacher, tmp_path):
    metrics = run(training(teacher, dst(margin=1e9), student=STUDENT, deep={**DEEP, "time_steps": 2}), tmp_path)
    lines = logged(tmp_path)
    for line in lines:  # the intelligent student is given half of what the other is, and both disagree alike
        assert line["student/sharing"] == pytest.approx(0.5 * line["deep/sharing"], rel=1e-5)
        assert line["deep/sharing"] > 0
        assert {"student/adaptive_hard", "deep/target_response"} <= line.keys()
    of_teacher = parameters(teacher)
    for name in ("student", "deep"):
        assert metrics[name]["parameters"] == parameters(tmp_path / f"{name}.safetensors")
        ratio = of_teacher / metrics[name]["parameters"]
        assert metrics[name]["times_fewer_parameters"]["teacher"] == pytest.approx(ratio)


def test_students_far_behind_the_teacher_share_nothing(teacher, tmp_path):
    run(training(teacher, dst(margin=-1e9), steps=1, student=STUDENT, deep=DEEP), tmp_path)
    assert logged(tmp_path)[0]["student/sharing"] == logged(tmp_path)[0]["deep/sharing"] == 0


def parameters(checkpoint: Path) -> int:
    """Of the model in a file, which test_distilled_students.py counts from its widths alone."""
    return sum(parameter.numel() for parameter in load_model(checkpoint).parameters())
