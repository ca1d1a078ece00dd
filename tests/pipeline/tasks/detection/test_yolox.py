"""The teacher against the table that its authors publish, and the shapes of what it answers."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.models.parameters import parameter_count
from pipeline.tasks.detection.models.config import SIZES, STRIDES, YoloxConfig
from pipeline.tasks.detection.models.layers import Focus, PyramidPooling
from pipeline.tasks.detection.models.yolox import Yolox

PUBLISHED = {
    # Megvii-BaseDetection/YOLOX 6ddff48, README.md: side, millions of parameters, GFLOP; 80 classes.
    "nano": (416, 0.91, 1.08),
    "tiny": (416, 5.06, 6.45),
    "s": (640, 9.0, 26.8),
    "m": (640, 25.3, 73.8),
    "l": (640, 54.2, 155.6),
    "x": (640, 99.1, 281.9),
}


def on_meta(size: str, side: int) -> Yolox:
    with torch.device("meta"):
        return Yolox(YoloxConfig(size=size, side=side)).eval()


@pytest.mark.parametrize("size", PUBLISHED)
def test_every_size_has_the_published_number_of_parameters(size):
    side, millions, _ = PUBLISHED[size]
    assert parameter_count(on_meta(size, side)) / 1e6 == pytest.approx(millions, rel=5e-3)


@pytest.mark.parametrize("size", ["nano", "tiny", "s", "l"])
def test_a_picture_costs_the_published_operations(size):
    """Torch counts convolutions alone; thop, by which the table was made, also counts norms, which are a thirtieth of
    the depth-wise nano and less of all others."""
    side, _, billions = PUBLISHED[size]
    counter = FlopCounterMode(display=False)
    with counter:
        on_meta(size, side)(torch.zeros(1, 3, side, side, device="meta"))
    counted = counter.get_total_flops() / 1e9
    assert counted < billions
    assert counted == pytest.approx(billions, rel=0.035 if size == "nano" else 6e-3)


def test_each_stride_answers_with_a_number_of_every_kind_a_cell():
    model = Yolox(YoloxConfig(size="pico", classes=3)).eval()
    with torch.inference_mode():
        answers = model(torch.zeros(2, 3, 64, 96))
    assert set(answers) == {f"{name}_{s}" for name in ("features", "class", "object", "box") for s in STRIDES}
    for stride, channels in zip(STRIDES, (32, 64, 128), strict=True):
        cells = (64 // stride, 96 // stride)
        assert answers[f"features_{stride}"].shape == (2, channels, *cells)
        assert answers[f"class_{stride}"].shape == (2, 3, *cells)
        assert answers[f"object_{stride}"].shape == (2, 1, *cells)
        assert answers[f"box_{stride}"].shape == (2, 4, *cells)


def test_before_training_a_cell_is_an_object_once_in_a_hundred():
    answers = Yolox(YoloxConfig(size="pico", classes=3)).eval()(torch.rand(1, 3, 64, 64) * 255)
    for stride in STRIDES:
        for name in ("class", "object"):
            assert answers[f"{name}_{stride}"].sigmoid().mean().item() == pytest.approx(0.01, rel=0.5)


def test_norms_and_sizes_are_as_published():
    norms = [m for m in on_meta("nano", 416).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}
    assert SIZES["x"].channels(64) == 80
    assert [SIZES[name].repeats(3) for name in ("nano", "m", "l", "x")] == [1, 2, 3, 4]


def test_the_stem_puts_each_square_of_pixels_into_the_channels_of_one():
    stem = Focus(1, 1).eval()
    seen = []
    stem.conv.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    stem(torch.arange(16.0).reshape(1, 1, 4, 4))
    assert seen[0][0, :, 0, 0].tolist() == [0, 4, 1, 5], "upper left, lower left, upper right, lower right"
    assert seen[0][0, 0].tolist() == [[0, 2], [8, 10]]


def test_pyramid_pooling_sees_its_windows_maxima():
    pooling = PyramidPooling(2, 2).eval()
    seen = []
    pooling.join.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    pooling.reduce = torch.nn.Identity()
    picture = torch.zeros(1, 1, 15, 15)
    picture[0, 0, 7, 7] = 1
    pooling.join.conv = torch.nn.Conv2d(4, 2, 1)
    pooling(picture)
    assert [int(one.sum()) for one in seen[0][0]] == [1, 25, 81, 169]
