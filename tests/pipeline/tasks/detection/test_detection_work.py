"""What a picture costs a detector, against counts of other making."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn_pictures import draw_pictures

from pipeline.core.operations import Work
from pipeline.datasets.config import DetectionData
from pipeline.datasets.detection import open_detection
from pipeline.datasets.errors import DataError
from pipeline.tasks.detection.initialisation import calibrate
from pipeline.tasks.detection.models.config import SIZES, WIDTHS, SpikingYoloxConfig, YoloxConfig
from pipeline.tasks.detection.models.spiking import SpikingYolox
from pipeline.tasks.detection.models.yolox import Yolox
from pipeline.tasks.detection.operations import SHOWN, shown_squares, work


@pytest.fixture(scope="module")
def shown() -> np.ndarray:
    """Three pictures of smooth noise: pure noise makes nothing spike behind the first layer."""
    torch.manual_seed(7)
    coarse = torch.rand(3, 3, 8, 8) * 255
    smooth = F.interpolate(coarse, size=(64, 64), mode="bilinear").to(torch.uint8)
    return np.ascontiguousarray(smooth.permute(0, 2, 3, 1).numpy())


@pytest.fixture(scope="module")
def student(shown: np.ndarray) -> SpikingYolox:
    torch.manual_seed(5)
    model = SpikingYolox(SpikingYoloxConfig(width=WIDTHS["tiny"], side=64, classes=2, top_down="upsample"))
    return calibrate(model, [torch.from_numpy(shown).permute(0, 3, 1, 2).float()], 0.2).eval()


@pytest.fixture(scope="module")
def counted(student: SpikingYolox, shown: np.ndarray) -> Work:
    return work(student, shown)


def connections(inputs: torch.Tensor, kernel: int, stride: int, outputs: int) -> float:
    """How many connections of a padded convolution the non-zero inputs have, for one frame: from the gradient of the
    sum of a convolution with ones. inputs: (frame, channel, row, column)."""
    ones = torch.ones_like(inputs[:1, :1]).requires_grad_()
    F.conv2d(ones, torch.ones(1, 1, kernel, kernel), stride=stride, padding=kernel // 2).sum().backward()
    return float(((inputs != 0) * ones.grad).sum()) * outputs / len(inputs)


def test_synops_are_the_connections_of_the_models_own_spikes(student, shown, counted):
    with torch.inference_mode():
        answers = student(torch.from_numpy(shown).permute(0, 3, 1, 2).float())
    found, checked = {layer.layer: layer for layer in counted.layers}, 0
    for node in student.nodes:
        source = f"spikes/{node.inputs[0]}"
        if node.kind not in ("conv", "readout") or source not in answers:
            continue  # the first layer, and those that read several side by side
        expected = connections(answers[source][0].clone(), node.kernel, node.stride, node.channels)
        assert found[node.name].synops == pytest.approx(expected), node.name
        checked += expected > 0
    assert checked > 5


def test_a_layer_like_it_that_does_not_spike_uses_every_connection(counted):
    first, found = counted.layers[0], {layer.layer: layer for layer in counted.layers}
    everywhere = connections(torch.ones(1, 3, 64, 64), 3, 2, WIDTHS["tiny"].backbone[0])
    assert (first.layer, first.synops, first.macs, first.dense_macs) == ("conv_2", 0, everywhere, everywhere)
    assert counted.encoder_macs == first.macs
    # From 4 x 4 to 2 x 2 in steps of two: the first outputs see two rows, the last ones three. Ten channels in each of
    # the two ways through the stage before, twelve behind it.
    assert (found["conv_32"].dense_macs, found["conv_32"].macs) == ((2 + 3) ** 2 * 20 * 12, 0)


def test_backbone_and_rate_are_of_what_spikes(student, shown, counted):
    with torch.inference_mode():
        answers = student(torch.from_numpy(shown).permute(0, 3, 1, 2).float())
    spikes = [value[0] for name, value in answers.items() if name.startswith("spikes/")]
    total = sum(float(layer.sum()) for layer in spikes) / sum(layer.numel() for layer in spikes)
    assert counted.spike_rate == pytest.approx(total, rel=1e-6)
    backbone = {layer.layer for layer in counted.layers if layer.backbone}
    assert {"conv_2", "conv_32", "conv_32_1"} <= backbone
    assert not backbone & {"neck_8", "class_8_1", "read_box_8"}
    assert Work.from_json(counted.to_json()) == counted


@pytest.mark.parametrize(("size", "side", "gflop"), [("nano", 416, 1.045), ("tiny", 416, 6.41)])
def test_a_teacher_costs_what_yolox_is_published_to_cost(size, side, gflop, shown):
    """Of docs/detection.md; published are 1.08 and 6.45, with norms."""
    found = work(Yolox(YoloxConfig(size=SIZES[size], side=side)), shown)
    assert 2e-9 * sum(layer.macs for layer in found.layers) == pytest.approx(gflop, rel=1e-3)
    assert all(layer.dense_macs == layer.macs for layer in found.layers)
    assert found.spike_rate == 0
    assert 0.3 < sum(layer.macs for layer in found.layers if layer.backbone) / (gflop * 5e8) < 0.7


def test_pictures_to_count_on_are_spread_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "set", 3)
    pictures = open_detection(DetectionData(root=str(tmp_path / "set"))).pictures
    assert shown_squares(pictures, 64).shape == (3, 64, 64, 3)
    many = shown_squares(pictures * 50, 64)
    assert len(many) == SHOWN
    assert np.array_equal(many[0], shown_squares(pictures[:1], 64)[0])
    assert np.array_equal(many[-1], shown_squares(pictures[-1:], 64)[0])
    for picture in pictures:
        picture.file.write_bytes(picture.file.read_bytes()[:200])  # the header is whole
    with pytest.raises(DataError, match="none of 3 pictures to count operations on can be read"):
        shown_squares(pictures, 64)
