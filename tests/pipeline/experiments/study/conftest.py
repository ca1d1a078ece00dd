"""A study small enough for tests: a teacher, a student, a distilled one, and pruning, over two seeds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec

TEACHER = """\
task: tracking
name: teacher
models:
  teacher:
    architecture: {kind: siamfcpp, width: tiny, template: 103, search: 143, box_shift: 1.4, head_deviation: 0.02}
losses:
  - {kind: tracking, model: teacher}
data:
  - kind: composed
    clips: 3
    composition: {frames: 3, height: 96, width: 128, object_size: [20, 30]}
train: {steps: 2, batch: 2, save_every: 1, log_every: 1, workers: 0, optimiser: {warm_up: 1}}
validation: {sequences: 1, composition: {frames: 3, height: 96, width: 128, object_size: [20, 30]}}
"""

S4 = TEACHER.replace("  teacher:\n", "  student:\n").replace("model: teacher", "model: student")
S4 = S4.replace("kind: siamfcpp", "kind: spiking").replace(", head_deviation: 0.02", "").replace("teacher", "s4")

S4_KD = """\
task: tracking
name: s4_kd
models:
  teacher:
    architecture: {kind: siamfcpp, width: tiny, template: 103, search: 143, box_shift: 1.4, head_deviation: 0.02}
    weights: runs/teacher/teacher.safetensors
    trained: false
  student:
    architecture: {kind: spiking, width: tiny, template: 103, search: 143, box_shift: 1.4}
losses:
  - {kind: tracking, model: student}
  - {kind: feature_kd, student: student, teacher: teacher}
  - {kind: class_kd, student: student, teacher: teacher}
""" + S4[S4.index("data:") :]

STUDY = """\
name: study
seeds: [1, 2]
benchmarks:
  - {name: folder, root: ROOT}
  - {name: folder, root: ROOT, starts: 2, forms: deployed}
  - {name: folder, root: ROOT, single_frame: 3, forms: deployed}
runs:
  teacher: {config: teacher.yaml, about: the teacher}
  s4: {config: s4.yaml}
  s4_kd: {config: s4_kd.yaml, weights: {teacher: teacher/teacher}}
  s4_kd_without_class: {like: s4_kd, without: [class_kd], seeds: [1]}
  pruning:
    config: s4.yaml
    seeds: [1]
    set: {pruning: {model: student, time_steps: [2, 1], steps: [1, 1]}, train.batch: 3}
goals:
  - {kind: ratio, of: s4_kd, to: teacher, at_least: 0.97}
  - {kind: above, of: s4_kd, to: s4}
  - {kind: above_fixed_box, margin: 0.05}
  - {kind: energy, of: pruning/T1, to: pruning/T2, at_most: 0.346}
  - {kind: parameters, of: s4, to: teacher, at_least: 18}
ablation: {whole: s4_kd, without: s4, rows: {s4_kd_without_class: no classes}}
"""


def draw_sequences(folder: Path) -> None:
    """Objects that hardly move."""
    pictures = open_pictures("builtin")
    spec = CompositionSpec(frames=4, height=96, width=128, object_size=(20, 30))
    for index, name in enumerate(("First", "Second")):
        clip = compose(pictures, spec, 900 + index)
        (folder / name / "img").mkdir(parents=True)
        for number, frame in enumerate(clip.frames, start=1):
            Image.fromarray(frame).save(folder / name / "img" / f"{number:04}.png")
        np.savetxt(folder / name / "groundtruth_rect.txt", clip.boxes, "%.3f", ",")


def write_study(folder: Path) -> Path:
    """The study's files; sequences lie in the same folder."""
    files = {"teacher": TEACHER, "s4": S4, "s4_kd": S4_KD, "study": STUDY.replace("ROOT", str(folder / "sequences"))}
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "study.yaml"


@pytest.fixture(scope="session")
def study_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Puts the study, and two sequences of a few frames to judge it on, into a folder; returns the study's file."""
    drawn = tmp_path_factory.mktemp("study") / "sequences"
    draw_sequences(drawn)

    def put(folder: Path) -> Path:
        shutil.copytree(drawn, folder / "sequences")
        return write_study(folder)

    return put


@pytest.fixture
def study_file(tmp_path: Path, study_in: Callable[[Path], Path]) -> Path:
    """The study, nothing of it done."""
    return study_in(tmp_path)
