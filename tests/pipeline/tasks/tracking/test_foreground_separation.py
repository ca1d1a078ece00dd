"""FSD and FGD between trackers: the target in the search crop is the foreground, and a student learns by them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from pipeline.core.config import parse_config
from pipeline.core.progress import Progress
from pipeline.core.task import Batch
from pipeline.tasks import find_task
from pipeline.tasks.tracking.checkpoint import build, save_model
from pipeline.tasks.tracking.config import TrainingConfig
from pipeline.tasks.tracking.models.config import SiamFCppConfig, Width
from pipeline.tasks.tracking.terms import target, truth
from pipeline.tasks.train import run_training
from pipeline.training.distillation.config import BoxMask
from pipeline.training.distillation.foreground import box_masks
from pipeline.training.distributed import DistributedContext
from pipeline.training.term import Context, NamedTensors

DOCUMENT = Path(__file__).parents[4] / "docs" / "training.md"
SIDES = {"template": 103, "search": 159, "box_shift": 1.4}
TEACHER = {"kind": "siamfcpp", "width": {"backbone": [6, 8, 10, 10, 12], "neck": 8, "head": 8, "tower": 1}, **SIDES}
STUDENT = {"kind": "spiking", "width": "tiny", **SIDES}
CLIP = {"height": 96, "width": 128, "object_size": [20, 30]}
NAMES = ("foreground", "background", "attention", "relation")


def documented() -> dict:
    """The last of the terms that the document shows: the tracker's."""
    blocks = [part.partition("```")[0] for part in DOCUMENT.read_text().split("```yaml\n")[1:]]
    return [yaml.safe_load(block) for block in blocks if block.startswith("- kind: fsd")][-1][0]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_model(build(SiamFCppConfig(**{**TEACHER, "width": Width(**TEACHER["width"])})), path, {})
    return path


def training(teacher: Path, losses: list[dict]) -> TrainingConfig:
    return parse_config(
        {
            "task": "tracking",
            "name": "tiny",
            "models": {
                "teacher": {"architecture": TEACHER, "weights": str(teacher), "trained": False},
                "student": {"architecture": STUDENT},
            },
            "losses": losses,
            "data": [{"kind": "composed", "clips": 3, "composition": {"frames": 3, **CLIP}}],
            "train": {
                "steps": 16,
                "batch": 2,
                "blocks": "plain",
                "log_every": 1,
                "workers": 0,
                "optimiser": {"rate": 0.02, "warm_up": 2},
            },
            "validation": {"sequences": 1, "composition": {"frames": 2, **CLIP}},
        },
        TrainingConfig,
        "it",
    )


def test_a_spiking_tracker_learns_its_teachers_foreground_and_background(teacher, tmp_path):
    config = training(teacher, [documented(), {**documented(), "kind": "fgd"}])
    context = DistributedContext(torch.device("cpu"))
    run_training(find_task("tracking"), config, tmp_path, context, Progress(quiet=True))
    lines = [line for line in map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines()) if "rate" in line]
    losses = {f"student/{kind}_{name}" for kind in ("fsd", "fgd") for name in NAMES}
    assert {key for key in lines[0] if "/" in key} == losses
    for name in ("student/fsd_foreground", "student/fsd_background", "student/fgd_background"):
        first, last = (sum(line[name] for line in part) for part in (lines[:5], lines[-5:]))
        assert last < 0.7 * first, name
    state = load_file(tmp_path / "state.safetensors")
    assert state["model/losses.student/fsd/adapters.to_teacher.0.weight"].shape == (12, 8, 1, 1)
    assert not [name for name in load_file(tmp_path / "student.safetensors") if "adapter" in name or "pooling" in name]


def test_the_foreground_of_a_search_crop_is_where_its_target_is_and_nowhere_where_it_is_another():
    box = torch.tensor([[60.0, 80.0, 40.0, 24.0], [60.0, 80.0, 40.0, 24.0]])
    tensors = {"search": torch.zeros(2, 3, 159, 159), "box": box, "same": torch.tensor([True, False])}
    context = Context(NamedTensors({}), Batch(tensors, ("search",)), 0)
    masks = box_masks(target(context), 10, 10, 8, BoxMask(gaussian="none"))[0] > 0
    _, on_target = truth(context, 10)  # whose positions are the centres of the map's
    assert not masks[1].any()
    assert not (on_target & ~masks).any()
    # Positions begin at pixel 39.5: the box goes from 2.6 to 7.6 across, and from 5.1 to 8.1 down.
    assert [tuple(side.tolist()) for side in masks[0].nonzero().aminmax(dim=0)] == [(5, 2), (9, 8)]
    assert on_target[0].sum() == 5 * 3
