"""A gate between teacher and student: SwitOKD's rule by hand, and what it does to who learns."""

from __future__ import annotations

import warnings

import pytest
import torch
from plain_nets import CPU, SETTINGS, Net, Truth, run, same, shapes, stream, weights
from pydantic import ValidationError
from torch import Tensor, nn

from pipeline.training.config import LearnerConfig, OnlineConfig, OptimiserConfig
from pipeline.training.distillation.adversarial import Adversarial
from pipeline.training.distillation.config import AdversarialTerm
from pipeline.training.gate import Distances, Gate
from pipeline.training.learners import Learner, learners_of
from pipeline.training.method import Method
from pipeline.training.state import load_state, save_state
from pipeline.training.term import Context, NamedTensors

pytestmark = pytest.mark.usefixtures("one_thread")

NEAR = torch.tensor([[0.4]]), torch.tensor([[0.9]]), torch.tensor([[1.0]])
"""One answer: g = 0.5, D_S = 0.6, D_T = 0.1; d = 0.6 - 0.1 exp(-1 / 7) = 0.5133."""

FAR = torch.tensor([[0.4], [0.6]]), torch.tensor([[0.9], [0.3]]), torch.ones(2, 1)
"""Two: g = 0.4, D_S = 0.5, D_T = 0.4; d = 0.5 - 0.4 exp(-4 / 9) = 0.2435. The gap is too large."""

SGD = OptimiserConfig(kind="sgd", rate=0.05, warm_up=0, clip_norm=1e9)


def gate(answers: tuple[Tensor, Tensor, Tensor], **settings: object) -> Gate:
    config = OnlineConfig.model_validate({"student": "student", "teacher": "teacher", **settings})
    return Gate(config, "teacher", lambda seen, student, teacher: answers)  # noqa: ARG005


def distances(answers: tuple[Tensor, Tensor, Tensor]) -> Distances:
    batch = next(stream())
    return gate(answers).distances(Context(NamedTensors({}), batch, 0), CPU)


def test_gap_and_threshold_are_the_published_ones():
    near, far = distances(NEAR), distances(FAR)
    assert near == pytest.approx((0.5, 0.6, 0.1))
    assert near.threshold == pytest.approx(0.5133122)
    assert far == pytest.approx((0.4, 0.5, 0.4))
    assert far.threshold == pytest.approx(0.2435278)


def test_a_teacher_is_paused_where_the_gap_is_above_the_threshold():
    for behind in ("learns", "pauses"):
        switch = gate(NEAR, behind=behind)
        assert [switch.factor(distances(answers)) for answers in (NEAR, FAR)] == [1.0, 0.0]


def test_a_teacher_that_is_the_worse_one_learns_unless_the_gap_alone_counts():
    student, teacher, truth = FAR
    worse = distances((teacher, student, truth))
    assert worse.threshold == pytest.approx(0.4 - 0.5 * 0.5737534)
    assert gate(FAR, behind="learns").factor(worse) == 1.0
    assert gate(FAR, behind="pauses").factor(worse) == 0.0


def test_a_smooth_gate_has_the_margin_in_shares_of_both_errors():
    smooth = gate(NEAR, gate="smooth", softness=0.05)
    # m = (0.5133122 - 0.5) / 0.7 = 0.0190174, sigmoid(m / 0.05) = sigmoid(0.380348)
    assert smooth.factor(distances(NEAR)) == pytest.approx(0.593957, abs=1e-5)
    # m = max(0.2435278 - 0.4, -0.1) / 0.9 = -0.1111111
    assert smooth.factor(distances(FAR)) == pytest.approx(0.0977726, abs=1e-5)
    sharp = gate(NEAR, gate="smooth", softness=1e-4)
    assert [sharp.factor(distances(answers)) for answers in (NEAR, FAR)] == pytest.approx([1.0, 0.0])


def test_two_models_that_know_everything_both_learn():
    truth = torch.tensor([[1.0], [0.0]])
    assert gate(NEAR).factor(distances((truth, truth, truth))) == 1.0


def test_the_released_exponent_without_its_minus_would_pause_every_teacher():
    """Of any answers: the reason why the formula of the authors' text is taken, and not that of one of their files."""
    generator = torch.Generator().manual_seed(0)
    learn = 0
    for _ in range(200):
        truth = torch.randint(0, 2, (4, 1), generator=generator).float()
        student, teacher = (
            (truth + 0.5 * torch.rand(4, 1, generator=generator) - 0.25).clamp(0.01, 0.99) for _ in range(2)
        )
        found = distances((student, teacher, truth))
        ratio = found.teacher / (found.teacher + found.student)
        assert found.gap > found.student - found.teacher * torch.exp(torch.tensor(ratio))
        learn += found.gap <= found.threshold
    assert learn > 10


def pair(held_back: Gate | None) -> tuple[Method, list[Learner]]:
    method = Method({"student": Net(1), "teacher": Net(2)}, {}, [Truth("student"), Truth("teacher")], held_back)
    return method, learners_of(method, SETTINGS, {"teacher": LearnerConfig(members=("teacher",), optimiser=SGD)})


def test_a_paused_teacher_takes_no_step_and_its_student_does():
    method, learners = pair(gate(FAR))
    free, of_free = pair(None)
    before = weights(method.trained["teacher"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = run(method, learners)
    run(free, of_free)
    assert same(before, weights(method.trained["teacher"]))
    assert not learners[1].optimiser.state, "nor has it any momentum"
    assert same(weights(free.trained["student"]), weights(method.trained["student"]))
    assert said[0]["online/gap"] == pytest.approx(0.4)
    assert said[0]["online/threshold"] == pytest.approx(0.2435278)
    assert [step["rate/teacher"] for step in said] == [0.0] * 6


def test_a_gate_that_is_open_changes_no_bit():
    method, learners = pair(gate(NEAR))
    free, of_free = pair(None)
    run(method, learners)
    run(free, of_free)
    for name, model in free.trained.items():
        assert same(weights(model), weights(method.trained[name]))


def test_a_smooth_gate_scales_a_step_and_not_the_next_steps_rate():
    method, learners = pair(gate(FAR, gate="smooth"))
    free, of_free = pair(None)
    before = weights(free.trained["teacher"])
    said, of_free_said = run(method, learners, last=2), run(free, of_free, last=1)
    assert [step["rate/teacher"] / learners[1].settings.rate for step in said[:1]] == pytest.approx([0.0977726])
    assert said[1]["rate/teacher"] > 0.5 * said[0]["rate/teacher"]
    assert of_free_said[0]["rate/teacher"] == pytest.approx(0.05)
    method, learners = pair(gate(FAR, gate="smooth"))
    run(method, learners, last=1)
    for name, value in weights(method.trained["teacher"]).items():
        moved = weights(free.trained["teacher"])[name] - before[name]
        torch.testing.assert_close(value - before[name], 0.0977726 * moved, rtol=1e-3, atol=1e-7)


def compared(seen: Context, student: str, teacher: str) -> tuple[Tensor, Tensor, Tensor]:
    """Of the nets' scores; the truth is whether the batch wants more than a half."""
    found = (torch.sigmoid(seen.tensors[f"{name}/class"] - 0.5).reshape(-1, 1) for name in (student, teacher))
    ours, theirs = found
    return ours, theirs, (seen.batch["wanted"] > 0.5).float().reshape(-1, 1)


def everything() -> tuple[Method, list[Learner]]:
    """Two models, a gate, and a discriminator of features of other channels, with an adapter."""
    of_features = AdversarialTerm(
        kind="adversarial",
        student="student",
        teacher="teacher",
        tensor="features",
        weight=1.0,
        channels=8,
        adapter="to_teacher",
        adapter_kind="smooth",
    )
    torch.manual_seed(8)
    terms = [Truth("student"), Truth("teacher"), Adversarial(of_features, shapes(student=2))]
    online = OnlineConfig(student="student", teacher="teacher", gate="smooth")
    held_back = Gate(online, "teacher", compared)
    method = Method({"student": Net(1, channels=2), "teacher": Net(2)}, {}, terms, held_back)
    others = {
        "teacher": LearnerConfig(members=("teacher",), optimiser=SGD),
        "opponent": LearnerConfig(members=("losses.student/adversarial",), every=2),
    }
    return method, learners_of(method, SETTINGS, others)


def test_the_adapter_of_a_discriminators_maps_learns_with_the_student_and_not_with_the_discriminator():
    method, learners = everything()
    assert {learner.name: set(learner.members) for learner in learners} == {
        "main": {"student", "losses.student/adversarial.adapters"},
        "teacher": {"teacher"},
        "opponent": {"losses.student/adversarial"},
    }
    learning = {member: method.learning[member] for learner in learners for member in learner.members}
    before = {name: weights(module) for name, module in learning.items()}
    run(method, learners, last=1)
    assert not any(same(before[name], weights(module)) for name, module in learning.items())


def test_all_of_it_stopped_at_a_state_goes_on_to_the_same_bits(tmp_path):
    unbroken, learners = everything()
    said = run(unbroken, learners)
    first, learners = everything()
    run(first, learners, last=3)
    save_state(tmp_path / "state.safetensors", first, learners, 3, "it")
    again, learners = everything()
    for module in again.learning.values():
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    saved = load_state(tmp_path / "state.safetensors", lambda fingerprint: fingerprint == "it")
    assert saved is not None
    saved.restore(again, learners)
    assert run(again, learners, first=3) == said[3:]
    for name, module in unbroken.learning.items():
        assert same(weights(module), weights(again.learning[name])), name
    kept = {key.split("/")[1] for key in saved.tensors if key.startswith("optimiser/")}
    assert kept == {"main", "teacher", "opponent"}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"teacher": "student"}, "teacher: is 'student', which is its own student"),
        ({"gate": "switch", "softness": 0.1}, "softness: is for 'gate: smooth'"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(settings, complaint):
    with pytest.raises(ValidationError, match=complaint):
        gate(NEAR, **settings)
