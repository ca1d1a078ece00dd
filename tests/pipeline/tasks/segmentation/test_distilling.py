"""Boundary, pixel-relation and space-time terms of segmentation: values by hand, and what of a clip they look at."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pipeline.core.task import Batch
from pipeline.datasets.label_masks import VOID
from pipeline.tasks.segmentation.distilling import (
    SpaceTimeFusion,
    boundary_divergence,
    near_boundary,
    pixel_relation,
)
from pipeline.tasks.segmentation.distilling_config import BoundaryTerm, FusedFeatureTerm, RelationTerm
from pipeline.tasks.segmentation.terms import (
    BoundaryDistillation,
    FusedFeatures,
    RelationDistillation,
    compared,
)
from pipeline.training.term import Context, NamedTensors, TrainingError

PAIR = {"student": "student", "teacher": "teacher"}


def test_pixels_near_a_boundary_are_those_that_see_another_label():
    labels = torch.tensor([[[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 2, 2]]])
    assert near_boundary(labels, 1).int().tolist() == [[[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]]
    apart = torch.tensor([[[0, 0, 0, 0, 3, 3, 3, 3]]])
    assert near_boundary(apart, 2).int().tolist() == [[[0, 0, 1, 1, 1, 1, 0, 0]]]


def test_void_makes_no_boundary_and_is_in_none():
    labels = torch.tensor([[[0, 0, VOID, 1, 1, VOID, VOID, 0]]])
    assert not near_boundary(labels, 1).any()
    assert near_boundary(labels, 2).int().tolist() == [[[0, 1, 0, 1, 0, 0, 0, 0]]]


def logits(*probabilities: float) -> Tensor:
    """Of one frame with a row of pixels, the probabilities of the object being given."""
    p = torch.tensor(probabilities)
    return torch.stack([(1 - p).log(), p.log()])[None, :, None]


def test_the_divergence_near_a_boundary_by_hand():
    near = torch.tensor([[[True, False]]])
    found = boundary_divergence(logits(0.5, 0.9), logits(0.8, 0.1), near, 1.0)
    assert found.item() == pytest.approx(0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5))
    # Of odds 4 a temperature of one half makes 16, of 1 it leaves 1.
    sharper = boundary_divergence(logits(0.5, 0.9), logits(0.8, 0.1), near, 0.5)
    assert sharper.item() == pytest.approx(16 / 17 * math.log(32 / 17) + 1 / 17 * math.log(2 / 17))
    assert boundary_divergence(logits(0.5, 0.9), logits(0.8, 0.1), near & False, 1.0).item() == 0


ALIKE = torch.tensor([[[[2.0, 3.0]], [[0.0, 0.0]]]])
"""One frame of two positions, whose features (2, 0) and (3, 0) have the cosine 1."""

APART = torch.tensor([[[[2.0, 0.0]], [[0.0, 1.0]]]])
"""The same with (2, 0) and (0, 1): the cosine 0."""


def test_the_relation_of_pixels_by_hand():
    two, one = torch.tensor([[[0, 1]]]), torch.tensor([[[1, 1]]])
    # C_S is all 1, of square sum 4; what is wanted is the identity, which leaves 2.
    assert pixel_relation(ALIKE, APART, two, 0.95).item() == pytest.approx(1.0, abs=1e-4)
    # By the labels alike: 1 on the diagonal, 0.5 beside it; 2 + 2 / 4 is left.
    assert pixel_relation(ALIKE, APART, one, 0.5).item() == pytest.approx(2 - math.log2(2.5), abs=1e-4)
    assert pixel_relation(APART, APART, two, 0.95).item() == pytest.approx(0.0, abs=1e-4)
    assert pixel_relation(ALIKE, ALIKE, one, 0.3).item() == pytest.approx(0.0, abs=1e-4)


def test_relations_are_of_a_frame_and_not_of_void_nor_of_how_large_features_are():
    labels = torch.tensor([[[0, 1]], [[0, VOID]]])
    ours, theirs = torch.cat([ALIKE, ALIKE]), torch.cat([APART, APART])
    # The second frame has one position left, which is like itself.
    assert pixel_relation(ours, theirs, labels, 0.95).item() == pytest.approx(0.5, abs=1e-4)
    assert pixel_relation(7 * ours, theirs, labels, 0.95).item() == pytest.approx(0.5, abs=1e-4)
    wider = torch.cat([theirs, torch.zeros(2, 3, 1, 2)], dim=1)
    assert pixel_relation(ours, wider, labels, 0.95).item() == pytest.approx(0.5, abs=1e-4)


def test_silent_features_have_a_finite_slope():
    maps = torch.zeros(1, 2, 1, 2, requires_grad=True)
    pixel_relation(maps, APART, torch.tensor([[[0, 1]]]), 0.95).backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


MAPS = torch.tensor([[[[3.0, 0.0]], [[4.0, 2.0]]]])
BEFORE = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
MASK = torch.tensor([[[[1.0, 0.0]]]])
"""Two positions of two channels; before them (1, 0) was the object's, and (0, 1) was not."""


def given(fusion: SpaceTimeFusion) -> SpaceTimeFusion:
    """With 10 times the appearance in the first channel, and the position in the second."""
    with torch.no_grad():
        fusion.fuse.weight[0, 2, 1, 1], fusion.fuse.weight[1, 3, 1, 1] = 10.0, 1.0
    return fusion


def test_space_time_fusion_by_hand():
    # a = (1, 0); the cosines of (3, 4) and (0, 2) with it are 0.6 and 0.
    expected = {
        "both": [[9.0, 0.0], [5.0, 2.0]],
        "appearance": [[9.0, 0.0], [4.0, 2.0]],
        "position": [[3.0, 0.0], [5.0, 2.0]],
    }
    for priors, wanted in expected.items():
        fused = given(SpaceTimeFusion(2, priors))(MAPS, BEFORE, MASK)
        torch.testing.assert_close(fused[0, :, 0], torch.tensor(wanted))
    assert torch.equal(SpaceTimeFusion(2)(MAPS, BEFORE, MASK), MAPS), "it begins as nothing"
    nothing_before = given(SpaceTimeFusion(2))(MAPS, 0 * BEFORE, 0 * MASK)
    assert torch.equal(nothing_before, MAPS), "without anything before there is nothing to add"


def clip_of(student: Tensor, teacher: Tensor, masks: Tensor) -> Context:
    """A step in which both models answer features and logits; masks: (clip, frame, row, column)."""
    tensors = {"student/features_16": student, "teacher/features_16": teacher}
    later = masks[:, 1:].flatten(0, 1)
    for name, shift in (("student", 0.0), ("teacher", 2.0)):
        tensors[f"{name}/logits"] = torch.stack([0 * later, later == 1], dim=1).float() * shift
    return Context(NamedTensors(tensors), Batch({"masks": masks}, ()), 0)


def test_the_terms_look_at_the_clips_later_frames_and_at_the_frame_before_each():
    """Two clips of three frames; models answer of four frames, clip after clip."""
    masks = torch.zeros(2, 3, 16, 32, dtype=torch.int64)
    masks[0, 0, :, :16] = 1  # the first clip's object leaves, in its last frame there is none
    masks[0, 1, :, 16:] = 1
    masks[1] = VOID
    features = torch.arange(1.0, 17.0).reshape(4, 2, 1, 2)
    seen = clip_of(features, features, masks)
    fused = FusedFeatures(FusedFeatureTerm.model_validate({"kind": "stff_kd", **PAIR}), seen.tensors)
    before, mask = fused._priors_of(features, masks)
    assert torch.equal(before[[1, 3]], features[[0, 2]])
    assert not before[[0, 2]].any(), "the features of the first frame are not answered"
    assert mask[:, 0, 0].tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]
    near = BoundaryDistillation(BoundaryTerm(kind="boundary_kd", student="student", teacher="teacher", temperature=1))
    # Frame 1 of the first clip has its boundary in the middle, 16 pixels at each side; elsewhere there is none.
    odds = math.e**2 / (1 + math.e**2)
    object_side = odds * math.log(2 * odds) + (1 - odds) * math.log(2 * (1 - odds))
    assert near(seen)["student/boundary_kd"].item() == pytest.approx(object_side / 2, rel=1e-4)
    ours, theirs, truth = compared(seen, "student", "teacher")
    assert len(ours) == len(theirs) == len(truth) == 2 * 16 * 32
    assert truth.sum(dim=0).tolist() == [16 * 48, 16 * 16]
    assert ours.unique().tolist() == [0.5]


def test_a_student_learns_the_teachers_features_through_the_fusion():
    """What the frame before says is all that differs: the fusion learns it, so that nothing is left to the features."""
    torch.manual_seed(2)
    masks = torch.zeros(1, 2, 16, 32, dtype=torch.int64)
    masks[0, 0, :, 16:] = 1
    ours = torch.randn(1, 2, 1, 2)
    theirs = ours + torch.tensor([[[[0.0, 3.0]], [[0.0, -2.0]]]])
    term = FusedFeatures(FusedFeatureTerm(kind="stff_kd", loss="mse", **PAIR), clip_of(ours, theirs, masks).tensors)
    optimiser = torch.optim.Adam(term.parameters(), 0.1)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = term(clip_of(ours, theirs, masks))["student/stff_kd"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(13 / 4)
    assert losses[-1] < 0.05


def test_terms_of_features_that_do_not_fit_are_refused():
    shapes = NamedTensors(
        {"student/features_16": torch.zeros(1, 3, 2, 3), "teacher/features_16": torch.zeros(1, 5, 4, 6)}
    )
    with pytest.raises(TrainingError, match=r"student/features_16 has 2x3 positions and teacher/features_16 4x6"):
        RelationDistillation(RelationTerm.model_validate({"kind": "relation_kd", **PAIR}), shapes)
    smooth = {"adapter": "to_teacher", "adapter_kind": "smooth"}
    term = FusedFeatures(FusedFeatureTerm.model_validate({"kind": "stff_kd", **PAIR, **smooth}), shapes)
    assert isinstance(term.fusions[0], SpaceTimeFusion)
    assert isinstance(term.adapters["to_teacher"], nn.Module)
    with pytest.raises(TrainingError, match=r"a loss names the tensor 'student/features_8'"):
        RelationDistillation(
            RelationTerm.model_validate({"kind": "relation_kd", **PAIR, "features": "features_8"}), shapes
        )
