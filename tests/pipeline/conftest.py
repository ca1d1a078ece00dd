"""A student, a run and a search small enough for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.deploy.config import load_config

TINY_RUN = """\
name: tiny
seed: 3
data:
  sequences: 2
  composition: {frames: 8, height: 96, width: 128, object_size: [20, 30]}
student:
  template: 24
  search: 48
  pixel_bits: 5
  backbone:
    - {channels: 6, kernel: 5, stride: 2, threshold: 1023}
    - {channels: 8, kernel: 3, stride: 2, threshold: 161}
  correlation: {gain: 32, copies: 2, threshold: 33}
  tower:
    - {channels: 8, kernel: 3, padding: 1, threshold: 201}
train:
  steps: 6
  batch: 4
  warm_up: 2
  save_every: 2
  clips: 3
  fresh_clips: 1
  composition: {frames: 4, height: 96, width: 128, object_size: [20, 30]}
simulate: {frames: 5, lava_seconds: 120}
"""

SEARCH = """\
name: tiny
models: {{tiny: {checkpoint}}}
weight_bits: [8, 3]
thresholds: [1.0, 0.5]
encoder: [chip, host]
head: [chip, host]
chips: [loihi2, loihi1_sanafe, horowitz_45nm_fp32]
host: horowitz_45nm_fp32
objectives: [mean_iou, agreement, energy, latency, cores]
data: {{sequences: 2, composition: {{frames: 4, height: 96, width: 128, object_size: [20, 30]}}}}
frames: 2
"""


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a configuration of a whole run that takes seconds."""
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(TINY_RUN)
    return path


@pytest.fixture(scope="session")
def checkpoint(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small student, not trained."""
    # Here: the tests of the core run where there is neither torch nor Lava.
    import torch

    from pipeline.tasks.tracking.demo_student import Student
    from pipeline.tasks.tracking.demo_train import save_checkpoint

    torch.manual_seed(0)
    config = load_config(tiny_run).student
    assert config is not None
    path = tmp_path_factory.mktemp("search") / "tiny.safetensors"
    save_checkpoint(Student(config).eval(), path, {})
    return path


@pytest.fixture(scope="session")
def search_file(checkpoint: Path) -> Path:
    """The configuration of a search among four variants of it."""
    path = checkpoint.with_name("search.yaml")
    path.write_text(SEARCH.format(checkpoint=checkpoint))
    return path
