"""What the configurations of distillation train: how many parameters, beside which teacher, and by which losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.core.config import read_config
from pipeline.tasks.tracking.checkpoint import build
from pipeline.tasks.tracking.config import TrainingConfig
from pipeline.tasks.tracking.models.config import SiamFCppConfig, SpikingConfig, Width

CONFIGS = Path(__file__).parents[4] / "configs"


def convolutions(width: dict) -> int:
    """Weights of backbone, four necks, and two towers, from the widths alone."""
    sides, channels = (11, 5, 3, 3, 3), [3, *width["backbone"]]
    backbone = sum(side * side * a * b for side, a, b in zip(sides, channels, channels[1:], strict=False))
    return backbone + 4 * 9 * channels[-1] * width["neck"]


def teacher_parameters(width: dict) -> int:
    """Of SiamFC++: weights and biases, scale and offset of every norm, and scale and shift of the box."""
    head, depth = width["head"], width["tower"]
    weights = convolutions(width) + 2 * 9 * (width["neck"] * head + (depth - 1) * head * head) + 6 * head
    normed = sum(width["backbone"]) + 4 * width["neck"] + 2 * head + 6
    return weights + 3 * normed + 2 * (depth - 1) * head + 2


def student_parameters(width: dict) -> int:
    """Of an S4: weights, an offset for each channel, two decays for each layer that spikes, and the box's two."""
    head, depth, copied = width["head"], width["tower"], 2 * width["neck"]
    weights = convolutions(width) + 2 * 9 * (copied * head + (depth - 1) * head * head) + 6 * head
    offsets = sum(width["backbone"]) + 4 * width["neck"] + 2 * copied + 2 * depth * head + 6
    return weights + offsets + 2 * (5 + 4 + 2 + 2 * depth) + 2


TINY = {"backbone": [6, 8, 10, 10, 8], "neck": 8, "head": 8, "tower": 1}
DEEP = {"backbone": [4, 4, 6, 6, 6], "neck": 4, "head": 4, "tower": 2}
SMALL = {"backbone": [16, 32, 64, 64, 64], "neck": 64, "head": 64, "tower": 3}
ALEXNET = {"backbone": [96, 256, 384, 384, 256], "neck": 256, "head": 256, "tower": 3}


@pytest.mark.parametrize("width", [TINY, DEEP, SMALL])
def test_parameters_are_those_counted_from_the_widths(width):
    kinds = {"teacher": SiamFCppConfig, "student": SpikingConfig}
    models = {name: build(kind(width=Width(**width), template=103, search=175)) for name, kind in kinds.items()}
    counts = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
    assert counts == {"teacher": teacher_parameters(width), "student": student_parameters(width)}


@pytest.mark.parametrize(("name", "teacher_width"), [("dst_small", SMALL), ("dst_alexnet", ALEXNET)])
def test_the_students_of_the_configurations_have_at_least_18_times_fewer_parameters_than_their_teacher(
    name, teacher_width
):
    path = CONFIGS / f"{name}.yaml"
    models = read_config(path, TrainingConfig).models
    counts = {key: sum(p.numel() for p in build(entry.architecture).parameters()) for key, entry in models.items()}
    assert counts.pop("teacher") == teacher_parameters(teacher_width)
    written = yaml.safe_load(path.read_text())["models"]
    comment = path.read_text().split("name:")[0]
    assert len(counts) >= 2
    for student, count in counts.items():
        assert count == student_parameters(written[student]["architecture"]["width"])
        assert teacher_parameters(teacher_width) >= 18 * count
        assert f"{count:,}" in comment


def test_s4_kd_teaches_the_student_of_s4_what_the_teacher_of_teacher_small_knows():
    names = ("s4_kd_small", "s4_kd_host_small", "s4_small", "teacher_small")
    s4_kd, host, s4, teacher_small = (read_config(CONFIGS / f"{name}.yaml", TrainingConfig) for name in names)
    assert s4_kd.models["student"].architecture == s4.models["student"].architecture
    for taught in (s4_kd, host):
        assert taught.models["teacher"].architecture == teacher_small.models["teacher"].architecture
        assert taught.losses[0] == s4.losses[0]
        assert {loss.kind for loss in taught.losses} == {"tracking", "feature_kd", "class_kd", "box_kd", "centre_kd"}
        assert (taught.data, taught.tracker) == (s4.data, s4.tracker)
        for key in ("batch", "search", "pairs", "mixed_precision"):
            assert getattr(taught.train, key) == getattr(s4.train, key), key
    assert s4_kd.models["host"].architecture == host.models["student"].architecture
    assert s4_kd.train.optimiser == s4.train.optimiser
    assert host.train.steps + s4_kd.train.steps == s4.train.steps, "as many steps with distillation as without"
