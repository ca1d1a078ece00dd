"""The teacher has the published sizes, costs, decoding and losses, worked out here from the published table alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from pipeline.tasks.tracking.cost_table import cost_table
from pipeline.tasks.tracking.losses import PUBLISHED, LossConfig, tracking_loss
from pipeline.tasks.tracking.models.config import WIDTHS, ModelConfig, SiamFCppConfig, Width
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp

# in, out, kernel, stride of the five convolutions, and whether a pooling of 3x3, stride 2, follows.
BACKBONE = [
    (3, 96, 11, 2, True),
    (96, 256, 5, 1, True),
    (256, 384, 3, 1, False),
    (384, 384, 3, 1, False),
    (384, 256, 3, 1, False),
]
PUBLISHED_SIZES = {127: [59, 25, 10, 8, 6], 303: [147, 69, 32, 30, 28]}


def backbone_costs(side: int) -> tuple[list[int], list[int]]:
    """(sizes, multiply-accumulates) of the five convolutions, by the usual formulas; pooling rounds up."""
    sizes, macs = [], []
    for inputs, outputs, kernel, stride, pooled in BACKBONE:
        side = (side - kernel) // stride + 1
        sizes.append(side)
        macs.append(side**2 * kernel**2 * inputs * outputs)
        if pooled:
            side = math.ceil((side - 3) / 2) + 1
    return sizes, macs


@pytest.fixture(scope="module")
def alexnet() -> SiamFCpp:
    return SiamFCpp(SiamFCppConfig(width=WIDTHS["alexnet"])).eval()


def test_sizes_and_costs_are_those_of_the_published_table(alexnet):
    template, search = cost_table(alexnet)
    neck, tower = 256 * 256 * 9, 256 * 256 * 9
    for rows, side, count in ((template, 127, 5), (search, 303, 5)):
        sizes, macs = backbone_costs(side)
        assert sizes == PUBLISHED_SIZES[side]
        assert [(row.side, row.macs) for row in rows[:count]] == list(zip(sizes, macs, strict=True))
    assert [(row.side, row.macs) for row in template[5:]] == [(4, 16 * neck)] * 2
    by_side: dict[int, int] = {}
    for row in search[5:]:
        by_side[row.side] = by_side.get(row.side, 0) + row.macs
    assert by_side == {
        26: 2 * 26**2 * neck,
        23: 2 * 23**2 * 256 * 4**2,
        21: 2 * 21**2 * tower,
        19: 2 * 19**2 * tower,
        17: 2 * 17**2 * tower + 17**2 * 256 * 6,
    }
    assert round(sum(row.macs for row in search) / 1e9, 3) == 8.561
    assert round(sum(row.macs for row in template) / 1e9, 4) == 0.7294


def test_the_parameters_are_those_of_the_published_table(alexnet):
    convolutions = {n: p.numel() for n, p in alexnet.named_parameters() if n.endswith("conv.weight")}
    backbone = sum(kernel**2 * inputs * outputs for inputs, outputs, kernel, _, _ in BACKBONE)
    assert sum(convolutions.values()) == backbone + (4 + 6) * 256 * 256 * 9 + 256 * 6
    assert round(sum(convolutions.values()) / 1e6, 2) == 9.65
    biases = sum(p.numel() for n, p in alexnet.named_parameters() if n.endswith("conv.bias"))
    assert round((backbone + 96 + 256 + 384 + 384 + 256) / 1e6, 3) == 3.747
    assert biases == 1376 + 4 * 256 + 6 * 256 + 6
    assert all(
        module.padding == (0, 0) and module.groups == 1 for module in alexnet.modules() if hasattr(module, "padding")
    )


def test_the_score_map_lies_where_it_is_published(alexnet):
    assert (alexnet.config.score_side, alexnet.config.score_offset) == (17, 87)
    target = alexnet.program(torch.zeros(1, 3, 127, 127, dtype=torch.uint8))
    answer = alexnet.respond(target, torch.zeros(2, 3, 303, 303, dtype=torch.uint8))
    shapes = {name: tuple(answer[name].shape) for name in ("class", "centre", "distances", "class_correlation")}
    assert shapes == {
        "class": (2, 1, 17, 17),
        "centre": (2, 1, 17, 17),
        "distances": (2, 4, 17, 17),
        "class_correlation": (2, 256, 23, 23),
    }


def test_no_relu_ends_the_backbone_and_only_the_last_tower_layer_has_a_norm(alexnet):
    names = dict(alexnet.named_modules())
    assert alexnet.backbone(torch.rand(1, 3, 127, 127) * 255).min() < 0
    norms = [isinstance(names[f"matcher.head.towers.class.{i}.norm"], torch.nn.BatchNorm2d) for i in range(3)]
    assert norms == [False, False, True]


def test_the_network_reads_blue_green_red_from_0_to_255():
    model = SiamFCpp(SiamFCppConfig(width=WIDTHS["tiny"], template=103, search=143)).eval()
    crop = torch.randint(0, 256, (1, 3, 103, 103), dtype=torch.uint8)
    turned = torch.stack([crop[:, 2], crop[:, 1], crop[:, 0]], dim=1).float()
    # In the model's own layout in memory: another one sums in another order.
    by_hand = model.backbone(turned.contiguous(memory_format=torch.channels_last))
    assert torch.equal(model.program(crop)["template_features"], by_hand)


def test_correlation_is_that_of_each_frame_and_channel_with_its_own_template():
    rng = np.random.default_rng(2)
    model = SiamFCpp(SiamFCppConfig(width=WIDTHS["tiny"], template=103, search=143))
    search, kernel = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(2, 3, 2, 3))
    result = model.matcher.correlation(torch.tensor(search), torch.tensor(kernel)).numpy()
    for frame, channel, row, column in np.ndindex(2, 3, 5, 3):
        window = search[frame, channel, row : row + 2, column : column + 3]
        assert result[frame, channel, row, column] == pytest.approx((window * kernel[frame, channel]).sum())


@pytest.mark.parametrize(("half_pixel", "extra"), [(True, 0.5), (False, 0.0)])
def test_distances_are_strides_to_the_power_of_a_learned_line(half_pixel, extra):
    model = SiamFCpp(SiamFCppConfig(width=WIDTHS["tiny"], template=103, search=143, half_pixel=half_pixel))
    with torch.no_grad():
        model.matcher.decoder.scale.fill_(0.5)
        model.matcher.decoder.shift.fill_(0.25)
        distances = model.matcher.decoder(torch.tensor([0.0, 1.0, -2.0, 3.0]).reshape(1, 4, 1, 1))
    expected = [8 * math.exp(0.5 * raw + 0.25) + extra for raw in (0.0, 1.0, -2.0, 3.0)]
    assert distances.flatten().tolist() == pytest.approx(expected, rel=1e-6)


def published_losses(outputs, box, same, offset=87, stride=8):
    """Section by section what the published code computes, in pixels counted from 0 and boxes x0, y0, x1, y1 inclusive.

    outputs: class and centre logits (row, column), distances (4, row, column) from pixel to pixel.
    """
    x0, y0, x1, y1 = box[0], box[1], box[0] + box[2] - 1, box[1] + box[3] - 1
    class_losses, centre_losses, box_losses, positives = [], [], [], 0
    for row, column in np.ndindex(outputs["class"].shape):
        x, y = offset + stride * column, offset + stride * row
        left, top, right, bottom = x - x0, y - y0, x1 - x, y1 - y
        inside = min(left, top, right, bottom) > 0
        label = (1 if inside else 0) if same else (0 if inside else -1)
        p = 1 / (1 + math.exp(-outputs["class"][row, column]))
        if label >= 0:
            pt, alpha = (p, 0.25) if label == 1 else (1 - p, 0.75)
            class_losses.append(-alpha * (1 - pt) ** 2 * math.log(pt))
        if inside:
            c = math.sqrt(min(left, right) * min(top, bottom) / (max(left, right) * max(top, bottom) + 1e-5))
            q = 1 / (1 + math.exp(-outputs["centre"][row, column]))
            entropy = [-(c * math.log(v) + (1 - c) * math.log(1 - v)) if 0 < v < 1 else 0 for v in (q, c)]
            centre_losses.append(entropy[0] - entropy[1])
        if label == 1:
            positives += 1
            o = outputs["distances"][:, row, column]
            width = min(x + o[2], x1) - max(x - o[0], x0) + 1
            height = min(y + o[3], y1) - max(y - o[1], y0) + 1
            union = (o[0] + o[2] + 1) * (o[1] + o[3] + 1) + box[2] * box[3] - width * height
            box_losses.append(-math.log(width * height / union))
    return {
        "class": sum(class_losses) / max(positives, 1),
        "centre": float(np.mean(centre_losses)) if centre_losses else 0.0,
        "box": 3 * float(np.mean(box_losses)) if box_losses else 0.0,
    }


@pytest.mark.parametrize("same", [True, False])
def test_losses_with_the_published_options_are_the_published_ones(same):
    rng = np.random.default_rng(4)
    outputs = {
        "class": rng.normal(size=(17, 17)),
        "centre": rng.normal(size=(17, 17)),
        "distances": rng.uniform(5, 60, size=(4, 17, 17)),
    }
    box = np.array([111.0, 95.0, 72.0, 88.0])  # its left edge falls on a column of the map: outside, strictly
    logits = {name: torch.tensor(outputs[name])[None, None] for name in ("class", "centre")}
    losses = tracking_loss(
        logits,
        torch.tensor(outputs["distances"])[None] + 0.5,  # from pixel's centre to pixel's centre, to from edge to edge
        torch.tensor(box)[None],
        torch.tensor([same]),
        torch.arange(17) * 8.0 + 87.5,  # where the pixels 87, 95, ... have their centres
        PUBLISHED,
    )
    expected = published_losses(outputs, box, same)
    assert expected["centre"] > 0
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(value, rel=1e-5), name


def test_the_options_change_what_they_name():
    logits = {name: torch.zeros(1, 1, 3, 3) for name in ("class", "centre")}
    points, box = torch.tensor([10.0, 18.0, 26.0]), torch.tensor([[8.0, 8.0, 20.0, 20.0]])

    def losses(same: bool, **options: float) -> dict[str, float]:
        predicted = torch.full((1, 4, 3, 3), 9.0)
        terms = tracking_loss(logits, predicted, box, torch.tensor([same]), points, LossConfig(**options))
        return {name: float(value) for name, value in terms.items()}

    plain = losses(True)
    assert losses(False)["centre"] == 0
    assert losses(False, centre_on_negatives=True)["centre"] == pytest.approx(plain["centre"])
    assert losses(True, box_weight=6.0)["box"] == pytest.approx(2 * plain["box"])
    # At probability one half: alpha / 4 ln 2 a position; all nine lie inside.
    assert plain["class"] == pytest.approx(0.25 * 0.25 * math.log(2))
    assert losses(True, alpha=0.75)["class"] == pytest.approx(0.75 * 0.25 * math.log(2))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"search": 300}, r"300 is not 7 more than a multiple of 8, .* try 303"),
        ({"template": 127, "search": 143}, r"the score map has -3 rows: make the search crop larger"),
        ({"width": "wide"}, r"is none of alexnet, small, tiny"),
        ({"width": {"backbone": [1, 2, 3, 4, 0], "neck": 2, "head": 2}}, r"channels must be 1 to 512"),
        ({"kind": "spiking", "conv5": "real"}, r'"head: chip" it has to be "spiking"'),
        ({"kind": "spiking", "thresholds": {"conv9": 3}}, r"'conv9' is none of conv1, conv2"),
        ({"kind": "spiking", "thresholds": {"conv1": 4}}, r"is even"),
    ],
)
def test_a_model_that_cannot_be_is_refused(values, complaint):
    values = {"kind": "siamfcpp", **values}
    with pytest.raises(ValidationError, match=complaint):
        TypeAdapter(ModelConfig).validate_json(json.dumps(values))


def test_an_architecture_survives_being_written():
    config = SiamFCppConfig(width=Width(backbone=(1, 2, 3, 4, 5), neck=6, head=7, tower=2))
    assert TypeAdapter(ModelConfig).validate_json(config.model_dump_json()) == config
