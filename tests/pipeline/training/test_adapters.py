"""Adapters between a student's maps and its teacher's: a smooth block by hand, and what meets by it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipeline.training.distillation.adapters import SmoothBlock, adapted, adapter_of
from pipeline.training.distillation.adversarial import Adversarial
from pipeline.training.distillation.config import AdversarialTerm, FeatureTerm
from pipeline.training.distillation.dense_boxes import common_centre
from pipeline.training.distillation.terms import FeatureDistillation
from pipeline.training.term import NamedTensors, TrainingError

PAIR = {"student": "student", "teacher": "teacher"}


def filled(convolution: nn.Module, weight: float, bias: float = 0.0) -> None:
    """A convolution whose middle tap is ``weight`` and all others are 0."""
    with torch.no_grad():
        convolution.weight.zero_()
        middle = convolution.weight.shape[-1] // 2
        convolution.weight[..., middle, middle] = weight
        convolution.bias.fill_(bias)


def test_a_smooth_block_by_hand():
    block = SmoothBlock(1, 1)
    filled(block.project, 2.0)
    filled(block.around, 1.0)
    filled(block.add, 5.0, bias=0.5)
    # P = 2, 6: mean 4, deviation 2, so that the norm is -1, 1; relu 0, 1; 5 and .5 more are added.
    answered = adapted(block, torch.tensor([[[[1.0, 3.0]]]]), torch.zeros(1, 1, 1, 2))
    torch.testing.assert_close(answered, torch.tensor([[[[2.5, 11.5]]]]), rtol=1e-4, atol=1e-4)


def test_a_smooth_block_looks_around_and_begins_as_its_1x1_convolution():
    torch.manual_seed(3)
    block, maps = adapter_of("smooth", 3, 5), torch.randn(2, 3, 4, 6)
    assert isinstance(block, SmoothBlock)
    like = torch.zeros(2, 5, 4, 6)
    torch.testing.assert_close(block(maps, like), block.project(maps))
    nn.init.ones_(block.add.weight)
    moved = maps.clone()
    moved[0, :, 2, 2] += 1
    changed = (block(moved, like) - block(maps, like)).abs().amax(dim=1) > 0
    assert changed[0, 1:4, 1:4].all()
    assert not changed[1].any(), "frames have norms of their own"


def test_a_smooth_block_brings_a_map_to_the_teachers_positions():
    block = SmoothBlock(1, 1)
    filled(block.project, 1.0)
    answered = block(torch.tensor([[[[0.0, 4.0]]]]), torch.zeros(1, 1, 1, 4))
    # Bilinear, of edges and not of corners: positions lie at -1/4, 1/4, 3/4 and 5/4 of the way.
    assert answered.flatten().tolist() == [0.0, 1.0, 3.0, 4.0]


def shapes(student: tuple[int, ...], teacher: tuple[int, ...]) -> NamedTensors:
    return NamedTensors({"student/f": torch.zeros(1, *student), "teacher/f": torch.zeros(1, *teacher)})


def features(**settings: str) -> FeatureTerm:
    return FeatureTerm.model_validate({"kind": "feature_kd", **PAIR, "features": {"f": "f"}, **settings})


def test_maps_of_other_sizes_need_a_smooth_block():
    of_two_sizes = shapes((3, 4, 6), (5, 8, 12))
    with pytest.raises(TrainingError, match=r"4x6 positions and teacher/f 8x12.*'adapter_kind: smooth'"):
        FeatureDistillation(features(adapter="to_teacher"), of_two_sizes)
    term = FeatureDistillation(features(adapter="to_teacher", adapter_kind="smooth"), of_two_sizes)
    (adapter,) = term.adapters.values()
    assert adapter(torch.zeros(1, 3, 4, 6), torch.zeros(1, 5, 8, 12)).shape == (1, 5, 8, 12)


def test_a_discriminator_of_other_channels_needs_an_adapter():
    of_two_kinds = shapes((3, 4, 6), (5, 4, 6))
    config = {"kind": "adversarial", **PAIR, "tensor": "f"}
    with pytest.raises(TrainingError, match=r"student/f has 3 channels and teacher/f 5.*give the term an 'adapter'"):
        Adversarial(AdversarialTerm.model_validate(config), of_two_kinds)
    term = Adversarial(AdversarialTerm.model_validate({**config, "adapter": "to_teacher"}), of_two_kinds)
    assert term.discriminator.hidden[0].in_channels == 5


def test_a_discriminator_of_what_is_no_map_is_refused():
    with pytest.raises(TrainingError, match=r"a tensor of shape \(1, 7\) is no map of features"):
        Adversarial(AdversarialTerm.model_validate({"kind": "adversarial", **PAIR, "tensor": "f"}), shapes((7,), (7,)))


def test_the_common_centre_of_maps_that_are_no_squares():
    first, second = (torch.arange(rows * columns).reshape(1, rows, columns) for rows, columns in ((5, 3), (3, 5)))
    ours, theirs = common_centre(first, second)
    expected: list[Tensor] = [first[:, 1:4], second[:, :, 1:4]]
    assert torch.equal(ours, expected[0])
    assert torch.equal(theirs, expected[1])
