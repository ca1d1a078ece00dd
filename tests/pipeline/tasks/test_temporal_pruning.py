"""Temporal pruning: each stage has fewer time steps and starts from the models of the one before."""

from __future__ import annotations

import json

import torch
from safetensors.torch import load_file
from tiny_training import configuration

from pipeline.core.progress import Progress
from pipeline.tasks import find_task
from pipeline.tasks.temporal_pruning import prune, stage_config
from pipeline.tasks.tracking.checkpoint import load_model
from pipeline.training.distributed import DistributedContext

TRACKING = find_task("tracking")
CPU = DistributedContext(torch.device("cpu"))


def test_pruning_goes_down_in_time_steps_from_the_state_of_the_stage_before(tmp_path):
    config = configuration(
        tmp_path,
        ("box_shift: 1.4", "box_shift: 1.4, neurons: {learn_decays: true}"),
        ("steps: 6", "steps: 2"),
        ("name: tiny", "name: tiny\npruning: {model: student, time_steps: [3, 2, 1], steps: [2, 2, 1]}"),
    )
    record = prune(TRACKING, config, config.pruning, tmp_path, CPU, Progress(quiet=True))
    assert [stage["time_steps"] for stage in record] == [3, 2, 1]
    assert all({"mean_iou", "spike_rate", "spikes_per_neuron"} <= stage.keys() for stage in record)
    assert json.loads((tmp_path / "pruning.json").read_text()) == record
    last = load_model(tmp_path / "T1" / "student.safetensors")
    assert last.time_steps == 1
    # At one step nothing teaches the leaks: they are the second stage's, and are kept.
    before = load_file(tmp_path / "T2" / "student.safetensors")
    assert torch.equal(last.state_dict()["neurons.conv1.voltage_decay"], before["neurons.conv1.voltage_decay"])
    assert before["neurons.conv1.voltage_decay"] != 2048
    assert last.config.thresholds == load_model(tmp_path / "T3" / "student.safetensors").config.thresholds
    again = prune(TRACKING, config, config.pruning, tmp_path, CPU, Progress(quiet=True))
    assert again == record


def test_what_is_trained_beside_a_pruned_model_goes_on_from_the_stage_before_as_well(tmp_path):
    config = configuration(tmp_path)
    student = config.models["student"]
    fixed = student.model_copy(update={"trained": False, "weights": "teacher.safetensors"})
    models = {"student": student, "other": student, "teacher": fixed}
    stage = stage_config(config.model_copy(update={"models": models}), "student", 7, 5, tmp_path / "T9")
    assert {name: entry.weights for name, entry in stage.models.items()} == {
        "student": str(tmp_path / "T9" / "student.safetensors"),
        "other": str(tmp_path / "T9" / "other.safetensors"),
        "teacher": "teacher.safetensors",
    }
    assert stage.models["student"].architecture.time_steps == 7
    assert stage.models["other"].architecture == student.architecture
