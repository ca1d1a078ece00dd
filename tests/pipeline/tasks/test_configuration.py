"""The files of trainings: what names no task or an unknown one, what cannot be meant, and those that come along."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.config import ConfigError
from pipeline.tasks import task_names
from pipeline.tasks.config import parse_training, read_training
from pipeline.tasks.tracking.config import TrackerConfig, TrainingConfig

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
  - {kind: composed}
train: {steps: 6, optimiser: {warm_up: 2}}
validation: {sequences: 1}
"""

CONFIGS = Path(__file__).parents[3] / "configs"
TRAININGS = [path.stem for path in sorted(CONFIGS.glob("*.yaml")) if "\nlosses:" in path.read_text()]


def read(folder: Path, old: str, new: str) -> TrainingConfig:
    assert old in CONFIG
    path = folder / "training.yaml"
    path.write_text(CONFIG.replace(old, new))
    task, config = read_training(path)
    assert isinstance(config, task.training_config)
    return config


def test_the_task_of_a_training_stands_in_its_file(tmp_path):
    config = read(tmp_path, "seed: 3", "seed: 4")
    assert isinstance(config, TrainingConfig)
    assert (config.task, config.seed, config.tracker) == ("tracking", 4, TrackerConfig())


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        ("", r"training.yaml: names no task; add the line 'task: tracking' \(the tasks are .*tracking"),
        ("task: juggling\n", r"training.yaml: task: there is no task 'juggling'; the tasks are .*tracking"),
        ("task: [tracking]\n", r"training.yaml: task: there is no task \['tracking'\]"),
    ],
)
def test_a_file_without_a_task_or_of_an_unknown_one_is_told_in_one_message(tmp_path, new, complaint):
    assert "tracking" in task_names()
    with pytest.raises(ConfigError, match=complaint) as error:
        read(tmp_path, "task: tracking\n", new)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "{kind: tracking, model: student}",
            "{kind: tracking, model: pupil}",
            r"there is no model 'pupil', only student",
        ),
        ("search: 143", "search: 150", r"150 is not 7 more than a multiple of 8"),
        ("box_shift: 1.4}", "box_shift: 1.4}\n    trained: false", r"none of them is trained"),
        ("seed: 3", "seed: 3\npruning: {model: pupil}", r"pruning: 'pupil' is no spiking model"),
        ("seed: 3", "seed: 3\npruning: {model: student, time_steps: [3, 3]}", r"does not descend"),
        ("search: 143, box_shift", "search: 143, thresholds: {conv2: 160}, box_shift", r"thresholds.conv2: is even"),
        ("search: 143, box", "search: 143, thresholds: {conv2: 131073}, box", r"conv2: .*less than or equal to 131071"),
        ("search: 143, box_shift", "search: 143, pixel_bits: 9, box_shift", r"pixel_bits: .*less than or equal to 8"),
        ("search: 143, box_shift", "search: 143, correlation: {gain: 33}, box_shift", r"gain: .* multiple of 2"),
        ("warm_up: 2", "freeze: [{pattern: '('}]", r"is no regular expression"),
        ("kind: composed", "kind: videos", r"data.0.*videos"),
        ("sequences: 1", "pictures: null", r"validation: .*has no sequences"),
        ("student:\n", "'1st':\n", r"models: '1st' is no name"),
    ],
)
def test_an_impossible_training_is_refused_with_file_and_key(tmp_path, old, new, complaint):
    with pytest.raises(ConfigError, match=rf"training.yaml: .*{complaint}"):
        read(tmp_path, old, new)


def test_there_are_trainings_of_every_kind():
    kinds = ("teacher_small", "s4_small", "s4_kd_host_small", "s4_kd_small", "dst_small", "pruning_small")
    detection = ("detection_teacher", "detection_none")
    segmentation = ("segmentation_teacher", "segmentation_training", "segmentation_online")
    assert {*kinds, *detection, *segmentation, "demo_training", "teacher_alexnet", "dst_alexnet"} == set(TRAININGS)


@pytest.mark.parametrize("name", TRAININGS)
def test_the_configurations_that_come_along_are_valid(name):
    task, config = read_training(CONFIGS / f"{name}.yaml")
    assert config.name == name
    assert isinstance(config, task.training_config)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_configuration_that_is_written_down_with_all_its_defaults_is_the_same_one(name):
    """As a study writes those of its trainings."""
    _, config = read_training(CONFIGS / f"{name}.yaml")
    assert parse_training(config.model_dump(mode="json"), "again")[1] == config


@pytest.mark.parametrize("name", [name for name in TRAININGS if not name.startswith(("detection", "segmentation"))])
def test_the_trainings_of_trackers_copy_no_published_constants(name):
    _, config = read_training(CONFIGS / f"{name}.yaml")
    assert isinstance(config, TrainingConfig)
    assert config.tracker == TrackerConfig()
    assert "tracker:" not in (CONFIGS / f"{name}.yaml").read_text()
