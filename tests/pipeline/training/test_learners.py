"""Several learners: whose loss moves whose weights, what a learner is refused, and that one is as none before."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from plain_nets import CPU, SETTINGS, STEPS, Net, Truth, run, same, shapes, stream, weights
from torch import Tensor, nn

from netx.errors import FormatError
from pipeline.training.config import LearnerConfig, OptimiserConfig
from pipeline.training.distillation import adversarial
from pipeline.training.distillation.config import AdversarialTerm, FeatureTerm
from pipeline.training.distillation.terms import FeatureDistillation
from pipeline.training.learners import Learner, learners_of
from pipeline.training.loop import train
from pipeline.training.method import Method
from pipeline.training.schedule import learning_rate
from pipeline.training.state import load_state, save_state
from pipeline.training.term import NamedTensors, TrainingError

pytestmark = pytest.mark.usefixtures("one_thread")


def feature_kd(detach_teacher: bool = True, adapter: str | None = "to_teacher") -> FeatureDistillation:
    config = FeatureTerm(
        kind="feature_kd",
        student="student",
        teacher="teacher",
        loss="mse",
        features={"features": "features"},
        adapter=adapter,
        detach_teacher=detach_teacher,
    )
    torch.manual_seed(7)
    return FeatureDistillation(config, shapes())


def opposed(weight: float = 1.0) -> adversarial.Adversarial:
    config = AdversarialTerm(
        kind="adversarial",
        student="student",
        teacher="teacher",
        tensor="features",
        weight=weight,
        discriminator_weight=1.0,
        channels=8,
    )
    torch.manual_seed(8)
    return adversarial.Adversarial(config, shapes())


def test_one_learner_learns_the_very_weights_of_a_plain_loop_over_one_sum_of_losses():
    """The loop written out: one optimiser, one backward pass of the sum, clipped; SGD and Adam, with factors."""
    for kind in ("adam", "sgd"):
        optimiser = SETTINGS.optimiser.model_copy(update={"kind": kind})
        settings = SETTINGS.model_copy(update={"optimiser": optimiser})
        student, teacher, term = Net(1), Net(2), feature_kd()
        method = Method({"student": student}, {"teacher": teacher.eval()}, [Truth("student"), term])
        train(method, learners_of(method, settings), settings, 0, stream(), CPU, lambda *_: None)
        plain, plain_term = Net(1), feature_kd()
        parameters = [*plain.parameters(), *plain_term.parameters()]
        if kind == "sgd":
            by_hand: torch.optim.Optimizer = torch.optim.SGD(parameters, 0.01, 0.9)
        else:
            by_hand = torch.optim.Adam(parameters, 0.01)
        for step, batch in enumerate(stream()):
            for group in by_hand.param_groups:
                group["lr"] = learning_rate(step, STEPS, optimiser)
            by_hand.zero_grad()
            ours, theirs = batch.through(plain), batch.through(teacher)
            adapted = plain_term.adapters["to_teacher"](ours["features"])
            distilled = (adapted - theirs["features"].detach()).square().mean()
            losses = [(ours["class"] - batch["wanted"]).square().mean(), distilled]
            torch.stack(losses).sum().backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            by_hand.step()
        assert same(weights(student), weights(plain)), kind
        assert same(weights(term), weights(plain_term)), kind


def online(detach_teacher: bool) -> tuple[Method, list[Learner]]:
    terms = [Truth("student"), Truth("teacher"), feature_kd(detach_teacher)]
    method = Method({"student": Net(1), "teacher": Net(2)}, {}, terms)
    fast = OptimiserConfig(kind="sgd", rate=0.05, warm_up=0, clip_norm=1e9)
    return method, learners_of(method, SETTINGS, {"teacher": LearnerConfig(members=("teacher",), optimiser=fast)})


def test_a_teacher_learns_in_the_same_steps_by_an_optimiser_of_its_own():
    method, learners = online(detach_teacher=True)
    assert [(learner.name, learner.members) for learner in learners] == [
        ("main", {"student", "losses.student/feature_kd"}),
        ("teacher", {"teacher"}),
    ]
    run(method, learners)
    teacher = Net(2)
    by_hand = torch.optim.SGD(teacher.parameters(), 0.05, 0.9)
    for step, batch in enumerate(stream()):
        by_hand.param_groups[0]["lr"] = learning_rate(step, STEPS, learners[1].settings)
        by_hand.zero_grad()
        (batch.through(teacher)["class"] - batch["wanted"]).square().mean().backward()
        by_hand.step()
    assert same(weights(method.trained["teacher"]), weights(teacher)), "it learns nothing from its student"


def test_a_teacher_that_is_not_detached_learns_from_its_student_and_from_what_teaches_itself():
    method, learners = online(detach_teacher=False)
    before, term_before = weights(method.trained["teacher"]), weights(method.terms[2])
    run(method, learners, last=1)
    teacher, student, adapter = Net(2), Net(1), feature_kd().adapters["to_teacher"]
    batch = next(stream())
    theirs, ours = batch.through(teacher), batch.through(student)
    loss = (theirs["class"] - batch["wanted"]).square().mean()
    loss = loss + (adapter(ours["features"]) - theirs["features"]).square().mean()
    loss.backward()
    for name, parameter in teacher.named_parameters():
        moved = method.trained["teacher"].get_parameter(name).detach() - before[name]
        torch.testing.assert_close(moved, -0.05 * parameter.grad, rtol=1e-4, atol=1e-8)
    assert not same(term_before, weights(method.terms[2])), "the adapter learns with the student"


def opponents(weight: float, rate: float = 0.01) -> tuple[Method, list[Learner], adversarial.Adversarial]:
    """A student that learns at ``rate``, and a discriminator of its features and a teacher's. Nothing is clipped."""
    term = opposed(weight)
    method = Method({"student": Net(1)}, {"teacher": Net(2).eval()}, [Truth("student"), term])
    plain = OptimiserConfig(kind="sgd", rate=rate, first_rate=0, last_rate=min(rate, 1e-6), warm_up=0, clip_norm=1e9)
    settings = SETTINGS.model_copy(update={"optimiser": plain})
    apart = LearnerConfig(members=(term.member,), optimiser=OptimiserConfig(rate=0.01, warm_up=0, clip_norm=1e9))
    return method, learners_of(method, settings, {"opponent": apart}), term


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}


def test_no_gradient_of_the_discriminators_loss_reaches_the_student_nor_of_the_students_the_discriminator():
    found = {}
    for weight in (0.0, 1.0):
        method, learners, term = opponents(weight)
        run(method, learners, last=1)
        found[weight] = gradients(method.trained["student"]), gradients(term)
    assert not same(found[0.0][0], found[1.0][0]), "the student learns from the discriminator's scores"
    assert same(found[0.0][1], found[1.0][1]), "the discriminator learns nothing from the student's loss"
    student, batch = Net(1), next(stream())
    (batch.through(student)["class"] - batch["wanted"]).square().mean().backward()
    assert same(found[0.0][0], gradients(student)), "the student learns nothing from the discriminator's loss"


def test_a_discriminator_learns_to_tell_a_student_that_stands_still_from_its_teacher():
    method, learners, term = opponents(1.0, rate=1e-30)
    first = told_apart(method, term)
    run(method, learners)
    assert told_apart(method, term) > first + 0.01


def test_a_student_learns_to_be_taken_for_its_teacher_by_a_discriminator_that_stands_still():
    method, learners, term = opponents(10.0, rate=0.1)
    before, first = weights(term), told_apart(method, term)
    learners[1].schedule.lr_lambdas[0] = lambda _: 0.0
    learners[1].optimiser.param_groups[0]["lr"] = 0.0
    run(method, learners)
    assert same(before, weights(term))
    assert told_apart(method, term) < 0 < first, "it is taken for the teacher sooner than the teacher is"


def told_apart(method: Method, term: adversarial.Adversarial) -> float:
    """Mean score of the teacher's maps less that of the student's."""
    batch = next(stream())
    with torch.no_grad():
        theirs, ours = (batch.through(m)["features"] for m in (method.fixed["teacher"], method.trained["student"]))
        return float(term.discriminator(theirs).mean() - term.discriminator(ours).mean())


def test_the_hinge_losses_are_the_published_ones():
    of_teacher, of_student = torch.tensor([[2.0, 0.5]]), torch.tensor([[-3.0, 1.0]])
    assert adversarial.discriminator_loss(of_teacher, of_student).item() == pytest.approx(0.5 / 2 + 2.0 / 2)
    assert adversarial.student_loss(of_student).item() == pytest.approx(1.0)


def test_a_discriminator_without_a_learner_of_its_own_is_refused():
    method = Method({"student": Net(1)}, {"teacher": Net(2)}, [opposed()])
    with pytest.raises(TrainingError, match=r"give them a learner of their own.*\[losses.student/adversarial\]"):
        learners_of(method, SETTINGS)


def test_a_discriminator_of_maps_of_other_channels_is_refused():
    shapes = NamedTensors({"student/class": torch.zeros(1, 1, 4, 4), "teacher/class": torch.zeros(1, 2, 4, 4)})
    config = AdversarialTerm(kind="adversarial", student="student", teacher="teacher")
    with pytest.raises(TrainingError, match=r"student/class has 1 channels and teacher/class 2"):
        adversarial.Adversarial(config, shapes)


def test_a_learner_that_learns_every_third_step_stands_still_between():
    method, _ = online(detach_teacher=True)
    config = LearnerConfig(members=("teacher",), every=3, optimiser=OptimiserConfig(kind="sgd", rate=0.05, warm_up=0))
    learners = learners_of(method, SETTINGS, {"teacher": config})
    moved, rates = [], []
    before = weights(method.trained["teacher"])

    def after_step(step: int, losses: Mapping[str, float], by_learner: Mapping[str, float]) -> None:  # noqa: ARG001
        now = weights(method.trained["teacher"])
        moved.append(not same(before, now))
        before.update(now)
        rates.append(by_learner["teacher"])

    train(method, learners, SETTINGS, 0, stream(), CPU, after_step)
    assert moved == [True, False, False, True, False, False]
    assert rates == pytest.approx([learning_rate(step, STEPS, config.optimiser) for step in range(STEPS)])


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        (
            {"other": ("pupil",)},
            r"other.members: 'pupil' is nothing that learns; there are student, teacher, ",
        ),
        ({"a": ("teacher",), "b": ("teacher",)}, r"learners.a.members: 'teacher' is named more than once"),
        ({"a": ("losses.student/truth",)}, r"'losses.student/truth' is nothing that learns"),
    ],
)
def test_members_that_cannot_be_are_refused_by_name(members, complaint):
    method, _ = online(detach_teacher=True)
    with pytest.raises(TrainingError, match=complaint):
        learners_of(method, SETTINGS, {name: LearnerConfig(members=of) for name, of in members.items()})


def test_a_learner_that_no_loss_teaches_is_refused():
    method = Method({"student": Net(1), "teacher": Net(2)}, {}, [Truth("student")])
    learners = learners_of(method, SETTINGS, {"teacher": LearnerConfig(members=("teacher",))})
    with pytest.raises(TrainingError, match=r"no loss teaches a member of 'teacher'"):
        run(method, learners)


def test_all_learners_are_saved_and_go_on_to_the_weights_of_an_unbroken_training(tmp_path):
    unbroken, learners = online(detach_teacher=False)
    run(unbroken, learners)
    first, learners = online(detach_teacher=False)
    run(first, learners, last=3)
    save_state(tmp_path / "state.safetensors", first, learners, 3, "it")
    again, learners = online(detach_teacher=False)
    for module in again.learning.values():
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    saved = load_state(tmp_path / "state.safetensors", lambda fingerprint: fingerprint == "it")
    assert saved is not None
    saved.restore(again, learners)
    run(again, learners, first=saved.step)
    for name, module in unbroken.learning.items():
        assert same(weights(module), weights(again.learning[name])), name
    alone = Method(again.trained, {}, again.terms)
    with pytest.raises(FormatError, match=r"state.safetensors: has the learners main, teacher: this is another"):
        saved.restore(alone, learners_of(alone, SETTINGS))
