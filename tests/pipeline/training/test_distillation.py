"""The losses of distillation: their formulas, against sums written out or SciPy's, and what each of them ignores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from scipy.special import expit, rel_entr, softmax

from pipeline.tasks.tracking.losses import on_target, true_distances
from pipeline.training.distillation.dense_boxes import (
    centre_divergence,
    common_centre,
    mean_over,
    needs_teacher,
    overlap_loss,
    side_loss,
)
from pipeline.training.distillation.features import channel_divergence, squared_difference, standardised
from pipeline.training.distillation.logits import bernoulli_divergence, position_divergence
from pipeline.training.distillation.mutual import disagreement, suppression
from pipeline.training.distillation.target_response import response, target_response_loss, target_weights


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=shape) * 2, dtype=torch.float32)


@pytest.fixture
def student() -> torch.Tensor:
    return drawn(2, 3, 4, 5, seed=1)


@pytest.fixture
def teacher() -> torch.Tensor:
    return drawn(2, 3, 4, 5, seed=2)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_channel_wise_divergence_is_that_of_softmaxes_over_each_map(student, teacher, temperature):
    ours, theirs = (softmax(x.numpy().reshape(6, 20) / temperature, axis=1) for x in (student, teacher))
    wanted = temperature**2 * rel_entr(theirs, ours).sum() / 6
    assert channel_divergence(student, teacher, temperature).item() == pytest.approx(wanted, rel=1e-5)


def test_channel_wise_divergence_ignores_the_level_of_a_channel(teacher):
    assert channel_divergence(teacher + drawn(2, 3, 1, 1), teacher, 1.0).item() == pytest.approx(0, abs=1e-5)


def test_feature_mse_is_the_mean_of_squares(student, teacher):
    assert squared_difference(student, teacher).item() == pytest.approx(
        float(np.mean((student.numpy() - teacher.numpy()) ** 2))
    )


def test_standardised_channels_have_mean_0_and_deviation_1_and_a_silent_one_a_finite_gradient():
    maps = drawn(4, 3, 5, 5) * 7 + 3
    maps[:, 1] = 0
    maps.requires_grad_()
    result = standardised(maps)
    result.square().sum().backward()
    assert torch.isfinite(maps.grad).all()
    for channel in (0, 2):
        values = result[:, channel].detach().numpy()
        assert values.mean() == pytest.approx(0, abs=1e-5)
        assert values.std() == pytest.approx(1, abs=1e-3)
    assert not result[:, 1].any()
    assert standardised(torch.full((1, 2, 1, 1), 3.0)).flatten().tolist() == [0, 0]  # a single frame and position


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_bernoulli_divergence_is_the_sum_over_both_outcomes(temperature):
    ours, theirs = drawn(2, 1, 3, 3, seed=3), drawn(2, 1, 3, 3, seed=4)
    p, q = (expit(x.numpy() / temperature) for x in (theirs, ours))
    wanted = temperature**2 * np.mean(rel_entr(p, q) + rel_entr(1 - p, 1 - q))
    assert bernoulli_divergence(ours, theirs, temperature).item() == pytest.approx(float(wanted), rel=1e-4)


def test_bernoulli_divergence_of_extreme_logits_is_finite():
    extreme = torch.tensor([[[[-200.0, 200.0]]]])
    assert bernoulli_divergence(extreme, -extreme, 1.0).item() == pytest.approx(200, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_divergence_of_positions_is_that_of_a_softmax_over_the_map(temperature):
    ours, theirs = drawn(2, 1, 3, 3, seed=3), drawn(2, 1, 3, 3, seed=4)
    q, p = (softmax(x.numpy().reshape(2, 9) / temperature, axis=1) for x in (ours, theirs))
    wanted = temperature**2 * rel_entr(p, q).sum() / 2
    assert position_divergence(ours, theirs, temperature).item() == pytest.approx(float(wanted), rel=1e-4)


def boxes(*sides: tuple[float, float, float, float]) -> torch.Tensor:
    """One frame, one row, a column for each (left, top, right, bottom)."""
    return torch.tensor(sides).T[None, :, None, :]


def test_overlap_loss_is_minus_the_logarithm_of_the_iou():
    # 20 x 20 around the point, beside 20 x 20 of which the left half overlaps: 200 of 600.
    loss = overlap_loss(boxes((10, 10, 10, 10), (10, 10, 10, 10)), boxes((10, 10, 10, 10), (0, 10, 20, 10)))
    assert loss.shape == (1, 1, 2)
    assert loss.flatten().tolist() == pytest.approx([0, math.log(3)], abs=1e-6)


def test_side_loss_is_smooth_l1_in_strides():
    # Off by 4 pixels, half a stride: 1/2 * 0.5^2; by 24, three strides: 3 - 1/2; and twice by nothing.
    loss = side_loss(boxes((4, 24, 0, 0)), boxes((0, 0, 0, 0)), 8)
    assert loss.item() == pytest.approx((0.125 + 2.5) / 4)


def test_a_student_that_beats_its_teacher_by_the_margin_needs_it_no_more():
    ours, theirs = torch.tensor([0.5, 0.295, 0.294, 0.1]), torch.full((4,), 0.3)
    assert needs_teacher(ours, theirs, 0.0055).tolist() == [True, True, False, False]


def test_a_mean_over_no_position_is_zero():
    assert mean_over(torch.ones(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool)).item() == 0


def test_centre_divergence_is_zero_where_both_agree_and_has_the_gradient_of_the_cross_entropy():
    theirs = drawn(1, 1, 3, 3)
    ours = theirs.clone().requires_grad_()
    loss = centre_divergence(ours, theirs)
    loss.sum().backward()
    assert loss.abs().max().item() < 1e-6
    assert ours.grad.abs().max().item() < 1e-6
    p, q = expit(2.0), expit(-1.0)
    wanted = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert centre_divergence(torch.tensor(-1.0), torch.tensor(2.0)).item() == pytest.approx(wanted, rel=1e-5)


def test_maps_of_towers_of_different_depth_are_compared_where_both_see_the_same_pixels():
    shallow, deep = (true_distances(torch.tensor([[40.0, 50.0, 30.0, 20.0]]), side, 143) for side in (6, 2))
    ours, theirs = common_centre(shallow, deep)
    assert ours.shape == theirs.shape == (1, 4, 2, 2)
    assert torch.equal(ours, theirs)


def test_only_positions_in_the_box_of_a_pair_that_shows_one_target_are_on_target():
    distances = true_distances(torch.tensor([[60.0, 60.0, 20.0, 20.0]] * 2), 3, 143)  # points at 63.5, 71.5, 79.5
    counted = on_target(distances, torch.tensor([True, False]))
    assert counted[0].all()
    assert not counted[1].any()
    distances = true_distances(torch.tensor([[70.0, 60.0, 5.0, 8.0]]), 3, 143)
    assert on_target(distances, torch.tensor([True])).nonzero().tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("side", [3, 4])
def test_target_weights_are_the_correlation_summed_over_channels(side):
    template, search = drawn(2, 3, side, side, seed=5), drawn(2, 3, 7, 7, seed=6)
    weights = target_weights(template, search).numpy()
    before, after = (side - 1) // 2, side // 2
    for frame in range(2):
        wanted = sum(
            correlate2d(np.pad(s, ((before, after), (before, after))), t, mode="valid")
            for s, t in zip(search[frame].numpy(), template[frame].numpy(), strict=True)
        )
        np.testing.assert_allclose(weights[frame], wanted / np.abs(wanted).sum(), rtol=1e-4, atol=1e-6)


def test_target_response_is_the_published_sum_and_its_students_may_have_other_channels():
    student = drawn(2, 2, 3, 3, seed=7), drawn(2, 2, 6, 6, seed=8)
    teacher = drawn(2, 5, 3, 3, seed=9), drawn(2, 5, 6, 6, seed=10)

    def weighted(features):
        return np.abs(target_weights(*features).numpy()[:, None] * features[1].numpy()).sum(axis=1)

    def plain(features):
        return np.abs(features[0].numpy()).sum(axis=1)

    wanted = sum(np.mean((part(student) - part(teacher)) ** 2) for part in (plain, weighted))
    assert target_response_loss(student, teacher, relative=False).item() == pytest.approx(float(wanted), rel=1e-4)


def test_relative_target_response_ignores_how_strong_features_are():
    teacher = drawn(2, 5, 3, 3, seed=9), drawn(2, 5, 6, 6, seed=10)
    stronger = teacher[0] * 3, teacher[1] * 5
    assert target_response_loss(stronger, teacher, relative=True).item() == pytest.approx(0, abs=1e-6)
    assert target_response_loss(stronger, teacher, relative=False).item() > 1


def test_target_response_of_a_student_that_never_spikes_is_finite():
    silent = torch.zeros(1, 2, 3, 3, requires_grad=True), torch.zeros(1, 2, 6, 6, requires_grad=True)
    loss = target_response_loss(silent, (drawn(1, 4, 3, 3), drawn(1, 4, 6, 6)), relative=True)
    loss.backward()
    assert all(torch.isfinite(values.grad).all() for values in silent)
    assert response(silent[0]).shape == (1, 3, 3)


def test_sharing_fades_with_the_epochs_and_stops_for_a_student_far_behind_the_teacher():
    near, far, theirs = torch.tensor(0.304), torch.tensor(0.306), torch.tensor(0.3)
    assert [suppression(near, theirs, 0.005, 0.9, epoch).item() for epoch in (0, 1, 2)] == pytest.approx([1, 0.9, 0.81])
    assert suppression(far, theirs, 0.005, 0.9, 0).item() == 0


def test_students_that_answer_the_same_do_not_disagree_and_the_gradient_reaches_both():
    first = {"class": drawn(1, 1, 5, 5), "distances": drawn(1, 4, 5, 5).abs() * 9}
    smaller = {key: value[..., 1:4, 1:4].clone().requires_grad_() for key, value in first.items()}
    counted = torch.ones(1, 3, 3, dtype=torch.bool)
    assert disagreement(first, smaller, counted, 8).item() == 0
    other = {"class": smaller["class"] + 1, "distances": smaller["distances"] + 4}
    probabilities = expit(smaller["class"].detach().numpy()), expit(smaller["class"].detach().numpy() + 1)
    wanted = 0.5 * np.mean((probabilities[0] - probabilities[1]) ** 2) + 0.125
    loss = disagreement(first, other, counted, 8)
    loss.backward()
    assert loss.item() == pytest.approx(float(wanted), rel=1e-4)
    assert all(value.grad.abs().sum() > 0 for value in smaller.values())
