"""A search that takes seconds, of a student with weights at random."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.config import load_config
from pipeline.student import Student
from pipeline.train import save_checkpoint

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
def checkpoint(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small student, not trained."""
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
