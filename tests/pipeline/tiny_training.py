"""A training of a student that takes seconds, and changes to it."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.config import read_config
from pipeline.tasks.tracking.config import TrainingConfig

CONFIG = """\
task: tracking
name: tiny
seed: 3
models:
  student:
    architecture: {kind: spiking, width: tiny, template: 103, search: 143, box_shift: 1.4}
losses:
  - {kind: tracking, model: student}
data:
  - kind: composed
    clips: 3
    composition: {frames: 3, height: 96, width: 128, object_size: [20, 30]}
train: {steps: 6, batch: 2, save_every: 2, log_every: 1, workers: 0, optimiser: {warm_up: 2}}
validation:
  sequences: 1
  every: 4
  composition: {frames: 4, height: 96, width: 128, object_size: [20, 30]}
"""


def configuration(folder: Path, *changes: tuple[str, str]) -> TrainingConfig:
    """As ``CONFIG``, with pieces of its text replaced by others."""
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "training.yaml"
    path.write_text(text)
    return read_config(path, TrainingConfig)
