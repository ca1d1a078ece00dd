"""FSD and FGD as terms: their losses against loops over the formulas, gradients, levels, and batches without boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.core.config import ConfigError, Section, parse_config
from pipeline.core.task import Batch
from pipeline.training.config import OptimiserConfig, TrainSettings
from pipeline.training.distillation.config import BoxMask, FocalGlobalTerm, RegionTerm, SeparationTerm
from pipeline.training.distillation.focal_global import Relation, attention_difference, attention_of, weighted_squares
from pipeline.training.distillation.foreground import PictureBoxes, box_masks
from pipeline.training.distillation.separation import Separation, masked_divergence
from pipeline.training.distributed import DistributedContext
from pipeline.training.learners import learners_of
from pipeline.training.loop import train
from pipeline.training.method import Method
from pipeline.training.term import Context, NamedTensors, TrainingError

CHANNELS = {8: (3, 6), 16: (4, 8), 32: (5, 10)}
"""Of student and teacher by stride: maps of 64 x 48 pixels have 8 x 6, 4 x 3 and 2 x 2 positions."""
SIZES = {8: (8, 6), 16: (4, 3), 32: (2, 2)}
LEVELS = [{"features": f"features_{stride}", "stride": stride} for stride in CHANNELS]
PARTS = ("foreground", "background", "attention", "relation")
RELEASED = {
    "floor": 1e-5,
    "attended_by": "teacher",
    "pooled_by": "teacher",
    "mask": {"sigma": "centre", "axes": "swapped", "grid": "linspace"},
}


def term_of(kind: str = "fsd", **keys: object) -> RegionTerm:
    values = {"kind": kind, "student": "student", "teacher": "teacher", "levels": LEVELS, "adapter": "it", **keys}
    return parse_config(values, {"fsd": SeparationTerm, "fgd": FocalGlobalTerm}[kind], "it")


def boxes_of(context: Context) -> PictureBoxes:
    return PictureBoxes(context.batch["boxes"], *context.batch["images"].shape[-2:])


def context_of(boxes: list[list[tuple[float, ...]]], seed: int = 1) -> Context:
    """Features of as many pictures at random; 64 rows and 64 columns, of which 32 x 32 for stride 32 has 2 x 2."""
    random = np.random.default_rng(seed)
    tensors = {
        f"{name}/features_{stride}": torch.tensor(random.normal(size=(len(boxes), CHANNELS[stride][side], *size)))
        for stride, size in SIZES.items()
        for side, name in enumerate(("student", "teacher"))
    }
    most = max(map(len, boxes))
    padded = [[(*box, 0.0) for box in own] + [(0.0, 0.0, 0.0, 0.0, -1.0)] * (most - len(own)) for own in boxes]
    images = torch.zeros(len(boxes), 3, 64, 48)
    return Context(
        NamedTensors(tensors),
        Batch({"images": images, "boxes": torch.tensor(padded).view(-1, most, 5)}, ("images",)),
        0,
    )


def built(config: RegionTerm, context: Context) -> Separation:
    torch.manual_seed(3)
    term = Separation(config, context.tensors, boxes_of).double()
    for relation in term.relations:  # as after some training: a block that adds nothing says nothing
        for parameter in relation.parameters():
            nn.init.normal_(parameter, std=0.5)
    return term


BOXES = [[(5.0, 9.0, 30.0, 40.0), (20.0, 20.0, 40.0, 64.0)], [], [(10.0, 30.0, 16.0, 38.0)]]


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


class Loops:
    """The losses of one level in loops over frames and channels, from the formulas of papers and released code."""

    def __init__(self, config: RegionTerm, term: Separation, index: int, context: Context) -> None:
        stride = config.levels[index].stride
        ours, theirs = (context.tensors[f"{name}/features_{stride}"].numpy() for name in ("student", "teacher"))
        adapter = term.adapters["it"][index]
        weight, bias = adapter.weight.detach().numpy()[:, :, 0, 0], adapter.bias.detach().numpy()
        aligned = np.stack([np.tensordot(weight, frame, 1) + bias[:, None, None] for frame in ours])
        self.maps = {"student": aligned, "teacher": theirs}
        self.config, self.term, self.index = config, term, index
        self.frames, self.channels, self.rows, self.columns = theirs.shape
        masks = box_masks(boxes_of(context), self.rows, self.columns, stride, config.mask)
        self.masks = {name: mask.numpy() for name, mask in zip(("foreground", "background"), masks, strict=True)}

    def attention(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        positions, channels = [], []
        for frame in np.abs(self.maps[name]):
            by_position = softmax(frame.mean(axis=0).ravel() / self.config.temperature)
            positions.append(self.rows * self.columns * by_position.reshape(self.rows, self.columns))
            channels.append(self.channels * softmax(frame.mean(axis=(1, 2)) / self.config.temperature))
        return np.array(positions), np.array(channels)

    def weighted(self, name: str, part: str) -> np.ndarray:
        positions, channels = self.attention("teacher" if self.config.attended_by == "teacher" else name)
        result = np.zeros_like(self.maps[name])
        for n in range(self.frames):
            for c in range(self.channels):
                factor = np.sqrt(positions[n]) * np.sqrt(channels[n, c]) * np.sqrt(self.masks[part][n])
                result[n, c] = self.maps[name][n, c] * factor
        return result

    def regions(self, part: str) -> float:
        ours, theirs = (self.weighted(name, part) for name in ("student", "teacher"))
        if self.config.kind == "fgd":
            return float(np.square(ours - theirs).sum() / self.frames)
        total, floor = 0.0, self.config.floor
        for c in range(self.channels):
            of_channel = [(maps[:, c] - maps[:, c].mean()) / maps[:, c].std() for maps in (ours, theirs)]
            for n in range(self.frames):
                q, p = (softmax(maps[n].ravel()) for maps in of_channel)
                total += float((p * (np.log(p + floor) - np.log(q + floor))).sum())
        return total / (self.channels * self.frames)

    def attentions(self) -> float:
        (ours, our_channels), (theirs, their_channels) = (self.attention(name) for name in ("student", "teacher"))
        return float((np.abs(ours - theirs).sum() + np.abs(our_channels - their_channels).sum()) / self.frames)

    def related(self, name: str) -> np.ndarray:
        relation = self.term.relations[self.index]
        pooling = relation.pooling["teacher" if self.config.pooled_by == "teacher" else name]
        first, norm, _, last = relation.transform[name]
        w, w1, w2 = (layer.weight.detach().numpy()[:, :, 0, 0] for layer in (pooling, first, last))
        scale, shift = (value.detach().numpy().ravel() for value in (norm.weight, norm.bias))
        result = []
        for frame in self.maps[name]:
            columns = frame.reshape(self.channels, -1)
            where = softmax((w @ columns)[0] + pooling.bias.item())
            hidden = w1 @ (columns * where).sum(axis=1) + first.bias.detach().numpy()
            normed = (hidden - hidden.mean()) / math.sqrt(hidden.var() + norm.eps) * scale + shift
            added = w2 @ np.maximum(normed, 0) + last.bias.detach().numpy()
            result.append(frame + added[:, None, None])
        return np.array(result)

    def relations(self) -> float:
        return float(np.square(self.related("student") - self.related("teacher")).sum() / self.frames)

    def losses(self) -> dict[str, float]:
        of_regions = {part: self.regions(part) for part in ("foreground", "background")}
        return {**of_regions, "attention": self.attentions(), "relation": self.relations()}


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("fsd", {}),
        ("fsd", RELEASED),
        ("fsd", {"attended_by": "teacher", "mask": {"gaussian": "whole"}, "temperature": 2.0}),
        ("fgd", {}),
        ("fgd", {"attended_by": "own", "mask": {"gaussian": "ring"}}),
    ],
)
def test_losses_are_the_formulas_in_loops_summed_over_levels_times_their_weights(kind, keys):
    context, config = context_of(BOXES), term_of(kind, weight=2.0, **keys)
    term = built(config, context)
    losses = term(context)
    assert list(losses) == [f"student/{kind}_{part}" for part in PARTS]
    by_level = [Loops(config, term, index, context).losses() for index in range(3)]
    for part in PARTS:
        wanted = 2.0 * getattr(config, part) * sum(level[part] for level in by_level)
        # Deviations are standardised with 1e-6 under their root, which is least where few positions have a mask.
        assert losses[f"student/{kind}_{part}"].item() == pytest.approx(wanted, rel=1e-3), part
        assert wanted > 0


def test_weights_are_those_of_the_released_configurations():
    assert term_of("fsd").parts == {"foreground": 1.0, "background": 1.0, "attention": 1e-3, "relation": 1e-5}
    assert term_of("fgd").parts == {"foreground": 1e-3, "background": 5e-4, "attention": 1e-3, "relation": 5e-6}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_weight_0_is_not_there_and_changes_no_other(part):
    context = context_of(BOXES)
    whole, without = (built(config, context)(context) for config in (term_of(), term_of(**{part: 0.0})))
    assert set(whole) - set(without) == {f"student/fsd_{part}"}
    assert all(without[name].item() == pytest.approx(whole[name].item()) for name in without if part != "relation")
    assert not term_of(foreground=0.0, background=0.0, attention=0.0, relation=0.0).acts
    assert not term_of(weight=0.0).acts
    assert term_of(**{part: 0.0}).acts


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    context = context_of(BOXES)
    same = {name: context.tensors[f"teacher/{name.partition('/')[2]}"] for name in context.tensors}
    twin = Context(NamedTensors(same), context.batch, 0)
    for keys in ({}, RELEASED):
        losses = Separation(term_of(adapter=None, relation=0.0, **keys), twin.tensors, boxes_of).double()(twin)
        assert [value.item() for value in losses.values()] == pytest.approx([0, 0, 0], abs=1e-12)


def test_relations_begin_as_the_squared_difference_of_the_features():
    relation = Relation(4, pooled_by_teacher=False)
    ours, theirs = torch.randn(2, 2, 4, 3, 3)
    assert relation(ours, theirs).item() == pytest.approx((ours - theirs).square().sum().item() / 2, rel=1e-5)


def test_the_divergence_sees_the_foreground_alone_and_the_background_the_rest():
    ours, theirs = torch.randn(2, 1, 3, 8, 8, dtype=torch.float64)
    masks = box_masks(PictureBoxes(torch.tensor([[[8.0, 8.0, 20.0, 20.0, 0.0]]]), 64, 64), 8, 8, 8, BoxMask())
    changed = torch.where(masks[0][:, None] > 0, theirs, ours)
    foreground, background = (masked_divergence(changed, theirs, mask.double()).item() for mask in masks)
    assert foreground == pytest.approx(0, abs=1e-12)
    assert background > 0.1


def test_boxes_in_no_picture_of_a_batch_leave_finite_losses_and_gradients():
    for boxes in ([[], []], [[(0.0, 0.0, 48.0, 64.0)]] * 2):
        for kind, keys in (("fsd", {}), ("fsd", RELEASED), ("fgd", {})):
            context = context_of([own or [(0.0, 0.0, 0.0, 0.0)] for own in boxes])
            if not boxes[0]:
                context.batch["boxes"][..., 4] = -1
            tensors = {name: value.float().requires_grad_() for name, value in context.tensors.items()}
            context = Context(NamedTensors(tensors), context.batch, 0)
            term = Separation(term_of(kind, **keys), context.tensors, boxes_of)
            losses = term(context)
            torch.stack(list(losses.values())).sum().backward()
            assert all(math.isfinite(value.item()) for value in losses.values())
            assert all(tensors[f"student/features_{stride}"].grad.isfinite().all() for stride in CHANNELS)
            if not boxes[0]:
                assert losses[f"student/{kind}_foreground"].item() == 0


def test_silent_and_loud_features_have_finite_gradients():
    mask = torch.tensor([[[1.0, 0.25], [0.0, 0.0]]])
    for ours in (torch.zeros(1, 2, 2, 2), torch.full((1, 2, 2, 2), 3e4), torch.tensor([[[[0.0, 4e3], [0, 0]]] * 2])):
        ours = ours.reshape(1, 2, 2, 2).requires_grad_()
        theirs = torch.tensor([[[[0.0, 1.0], [900.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]]])
        of_both = attention_of(ours, 0.5), attention_of(theirs, 0.5)
        weighted = [attention.weighted(maps) for attention, maps in zip(of_both, (ours, theirs), strict=True)]
        loss = attention_difference(*of_both) + masked_divergence(*weighted, mask) + weighted_squares(*weighted, mask)
        loss.backward()
        assert loss.isfinite()
        assert ours.grad.isfinite().all()


@pytest.mark.parametrize("floor", [0.0, 1e-5])
def test_gradients_are_those_of_the_losses(floor):
    torch.manual_seed(0)
    ours = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    theirs = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    mask = torch.rand(2, 3, 3, dtype=torch.float64)
    relation = Relation(4, pooled_by_teacher=bool(floor)).double()
    for parameter in relation.parameters():
        nn.init.normal_(parameter)
    of_teacher = attention_of(theirs, 0.5)

    def divergence(maps: Tensor) -> Tensor:
        return masked_divergence(attention_of(maps, 0.5).weighted(maps), of_teacher.weighted(theirs), mask, floor)

    def squares(maps: Tensor) -> Tensor:
        return weighted_squares(of_teacher.weighted(maps), of_teacher.weighted(theirs), mask)

    def attention(maps: Tensor) -> Tensor:
        return attention_difference(attention_of(maps, 0.5), of_teacher)

    for loss in (divergence, squares, attention, lambda maps: relation(maps, theirs)):
        assert torch.autograd.gradcheck(loss, (ours,))


def test_a_teacher_that_is_trained_too_gets_no_gradient_unless_it_shall():
    for detached in (True, False):
        context = context_of(BOXES)
        tensors = {name: value.requires_grad_() for name, value in context.tensors.items()}
        config = term_of(detach_teacher=detached)
        term = built(config, context)
        torch.stack(list(term(Context(NamedTensors(tensors), context.batch, 0)).values())).sum().backward()
        assert (tensors["teacher/features_8"].grad is None) == detached
        assert term.teaches("student/fsd_foreground") == {*config.trains, "losses.student/fsd"}


def test_what_does_not_fit_is_said():
    context = context_of(BOXES)
    with pytest.raises(
        TrainingError, match="student/features_8 has 3 channels and teacher/features_8 6: give the term"
    ):
        Separation(term_of(adapter=None), context.tensors, boxes_of)
    crossed = [{"features": "features_8", "teacher_features": "features_16", "stride": 8}]
    with pytest.raises(TrainingError, match="student/features_8 has 8x6 positions and teacher/features_16 4x3"):
        Separation(term_of(levels=crossed), context.tensors, boxes_of)
    with pytest.raises(TrainingError, match="a loss names the tensor 'student/features_64'; there are student/"):
        Separation(term_of(levels=[{"features": "features_64", "stride": 64}]), context.tensors, boxes_of)
    with pytest.raises(ConfigError, match="levels"):
        term_of(levels=[])


class Pyramid(nn.Module):
    """Pictures (frame, 3, 64, 48), uint8, to features of three strides."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.config = Section()
        sizes = [3, *(channels[side] for channels in CHANNELS.values())]
        self.stages = nn.ModuleList(
            nn.Conv2d(sizes[i], sizes[i + 1], 3, 2 if i else 8, 1) for i in range(len(CHANNELS))
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps, answers = images.float() / 255, {}
        for stride, stage in zip(CHANNELS, self.stages, strict=True):
            maps = answers[f"features_{stride}"] = torch.tanh(stage(maps))
        return answers


def pictures(step: int) -> Batch:
    """Four of noise with a light square each but the last, in a table of two boxes a picture."""
    random = np.random.default_rng(step % 4)
    images = random.integers(0, 60, (4, 3, 64, 48), dtype=np.uint8)
    boxes = np.full((4, 2, 5), -1.0, np.float32)
    for index in range(3):
        x, y = random.integers(0, 24, 2)
        images[index, :, y : y + 24, x : x + 16] += np.uint8(150)
        boxes[index, index % 2] = x, y, x + 16, y + 24, 1
    return Batch({"images": torch.from_numpy(images), "boxes": torch.from_numpy(boxes)}, ("images",))


@pytest.mark.parametrize(("kind", "mixed_precision"), [("fsd", False), ("fsd", True), ("fgd", False)])
def test_a_pyramid_of_a_detector_learns_its_teachers_features_in_the_training_loop(kind, mixed_precision):
    torch.manual_seed(7)
    teacher, student = Pyramid(1), Pyramid(0)
    shapes = {
        f"{name}/{key}": value
        for name, model in (("student", student), ("teacher", teacher))
        for key, value in pictures(0).through(model).items()
    }
    term = Separation(term_of(kind), NamedTensors(shapes), boxes_of)
    method = Method({"student": student}, {"teacher": teacher.eval().requires_grad_(False)}, [term])
    settings = TrainSettings(
        steps=40, workers=0, mixed_precision=mixed_precision, optimiser=OptimiserConfig(rate=0.01, warm_up=2)
    )
    seen: list[dict[str, float]] = []

    def after_step(step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:  # noqa: ARG001
        seen.append(dict(losses))

    train(
        method,
        learners_of(method, settings),
        settings,
        0,
        (pictures(step) for step in range(40)),
        DistributedContext(torch.device("cpu")),
        after_step,
    )
    assert set(seen[0]) == {f"student/{kind}_{part}" for part in PARTS}
    for part in ("foreground", "background"):  # the others have a thousandth of their weight
        first, last = (sum(losses[f"student/{kind}_{part}"] for losses in steps) for steps in (seen[:4], seen[-4:]))
        assert last < 0.8 * first, part
