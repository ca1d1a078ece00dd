"""What rounding to integers changes in a trained student: spikes near a threshold alone, and all of it is reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netx import limits, prove_headroom
from pipeline.core.config import parse_config
from pipeline.core.progress import Progress
from pipeline.models.quantisation import ChannelBias
from pipeline.tasks import find_task
from pipeline.tasks.tracking.checkpoint import load_model
from pipeline.tasks.tracking.config import TrainingConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.rounding import rounding_difference
from pipeline.tasks.tracking.validation import ValidationSequence, validation_tracks
from pipeline.tasks.train import run_training
from pipeline.training.distributed import DistributedContext

CPU = DistributedContext(torch.device("cpu"))
CLIP = {"height": 96, "width": 128, "object_size": [20, 30]}
VARIANTS = {
    "all on the chip": {},
    "encoder and head on the host, real features": {"head": "host", "encoder": "host", "conv5": "real"},
    "two time steps": {"time_steps": 2},
}


def training(rate: float, **options: object) -> TrainingConfig:
    architecture = {"kind": "spiking", "width": "tiny", "template": 103, "search": 143, "box_shift": 1.4, **options}
    return parse_config(
        {
            "task": "tracking",
            "name": "tiny",
            "models": {"student": {"architecture": architecture}},
            "losses": [{"kind": "tracking", "model": "student"}],
            "data": [{"kind": "composed", "clips": 3, "composition": {"frames": 3, **CLIP}}],
            "train": {
                "steps": 4,
                "batch": 2,
                "workers": 0,
                "optimiser": {"rate": rate, "warm_up": 0, "clip_norm": 1e9},
            },
            "validation": {"sequences": 2, "composition": {"frames": 4, **CLIP}},
        },
        TrainingConfig,
        "it",
    )


def trained(config: TrainingConfig, folder: Path) -> SpikingSiamFCpp:
    run_training(find_task(config.task), config, folder, CPU, Progress(quiet=True))
    student = load_model(folder / "student.safetensors")
    assert isinstance(student, SpikingSiamFCpp)
    return student


@pytest.fixture(scope="module", params=VARIANTS)
def run(request, tmp_path_factory) -> tuple[SpikingSiamFCpp, Path, TrainingConfig]:
    folder, config = tmp_path_factory.mktemp("run"), training(0.01, **VARIANTS[request.param])
    return trained(config, folder), folder, config


def tracks(config: TrainingConfig) -> list[ValidationSequence]:
    return validation_tracks(config.validation, config.seed)


def test_a_training_reports_what_rounding_changed_in_every_layer_that_spikes(run):
    student, folder, config = run
    reported = json.loads((folder / "metrics.json").read_text())["student"]["rounding"]
    assert reported == rounding_difference(student, tracks(config), config.tracker)
    shared = [name for name in student.neurons if name.startswith("conv")]
    wanted = {f"{role}_{name}" for role in ("template", "search") for name in shared}
    assert set(reported["layers"]) == wanted | (set(student.neurons) - set(shared))
    assert 0 <= reported["box_iou"] <= 1
    assert 0 < reported["spikes_differ"] < 0.5
    assert any(layer["whole"] > 0 for layer in reported["layers"].values())


def test_the_first_layer_differs_by_its_own_rounding_alone(run):
    student, _, config = run
    layers = rounding_difference(student, tracks(config), config.tracker)["layers"]
    assert layers["search_conv1"]["whole"] == layers["search_conv1"]["alone"]
    if student.config.encoder == "host":
        assert layers["search_conv1"]["whole"] == 0, "the host's encoder is real-valued in both"


def test_a_student_whose_values_are_integers_already_differs_in_nothing(run):
    _, folder, config = run
    student = load_model(folder / "student.safetensors")
    assert isinstance(student, SpikingSiamFCpp)
    with torch.no_grad():
        for name, synapse in student.synapses.items():
            if not (name == "conv1" and student.config.encoder == "host"):
                synapse.weight.copy_(synapse.pre_hook_fx(synapse.weight))
        for module in student.modules():
            if isinstance(module, ChannelBias):
                module.offset.copy_(module.value)
                module.running_mean.zero_()
    reported = rounding_difference(student, tracks(config), config.tracker)
    assert reported["box_iou"] == pytest.approx(1)
    assert reported["spikes_differ"] == 0
    assert all(layer == {"whole": 0, "alone": 0} for layer in reported["layers"].values())


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> SpikingSiamFCpp:
    return trained(training(0.01), tmp_path_factory.mktemp("student"))


@torch.no_grad()
def test_on_the_same_inputs_spikes_differ_only_within_rounding_of_the_threshold(student):
    rng = np.random.default_rng(1)
    pixels = torch.tensor(rng.integers(-16, 16, (2, 3, 143, 143)), dtype=torch.float32)
    differing = 0
    for name in student.config.spiking_layers:
        synapse, neuron = student.synapses[name], student.neurons[name]
        channels = synapse.weight.shape[1]
        inputs = pixels if name == "conv1" else torch.tensor(rng.random((2, channels, 20, 20)) < 0.2).float()
        spikes, voltage = neuron(synapse(inputs[None]))
        with student.float_weights():
            reference, _ = neuron(synapse(inputs[None]))
        ones = torch.ones(1, *synapse.weight.shape[1:4])
        on = F.conv2d(inputs.abs(), ones, stride=synapse.stride)
        differs = (spikes != reference)[0]
        near = ((voltage[0] - neuron.threshold).abs() * 64 <= on + 2).expand_as(differs)
        assert near[differs].all(), name
        assert not near.all(), name
        differing += int(differs.sum())
    assert differing > 100


def test_however_fast_it_learns_a_student_stays_within_the_proven_bound_with_odd_thresholds(tmp_path):
    student = trained(training(1.0), tmp_path)
    rows = student.synapses["conv1"].weight.flatten(1).abs().sum(dim=1) * 64 * 16
    assert rows.max() > 0.9 * limits.ACTIVATION_MAX, "the rate is high enough to run into the bound"
    prove_headroom(to_network(student))
    for name in student.config.spiking_layers:
        assert student.neurons[name].v_th_mant % 2 == 1, name
