"""Moving averages of weights: the formula, and that a stopped training goes on to the same ones."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pipeline.core.config import ConfigError, parse_config
from pipeline.core.progress import Progress
from pipeline.tasks import find_task
from pipeline.tasks.tracking.config import TrainingConfig
from pipeline.tasks.train import run_training
from pipeline.training import schedule
from pipeline.training.averaging import Averages
from pipeline.training.config import AveragingConfig, OptimiserConfig
from pipeline.training.distributed import DistributedContext

pytestmark = pytest.mark.usefixtures("one_thread")

COMPOSITION = {"frames": 3, "height": 96, "width": 128, "object_size": [20, 30]}
VALUES = {
    "task": "tracking",
    "name": "averaged",
    "models": {"student": {"architecture": {"kind": "spiking", "width": "tiny", "template": 103, "search": 143}}},
    "losses": [{"kind": "tracking", "model": "student"}],
    "data": [{"kind": "composed", "clips": 2, "composition": COMPOSITION}],
    "train": {"steps": 4, "batch": 2, "save_every": 2, "workers": 0, "optimiser": {"warm_up": 0, "rate": 0.05}},
    "validation": {"sequences": 1, "composition": COMPOSITION},
}


def training(averaging: dict) -> TrainingConfig:
    return parse_config({**VALUES, "train": {**VALUES["train"], "averaging": averaging}}, TrainingConfig, "here")


def run(config: TrainingConfig, folder) -> dict:
    context = DistributedContext(torch.device("cpu"))
    return run_training(find_task("tracking"), config, folder, context, Progress(quiet=True))


def test_an_average_follows_by_the_decay_of_the_step():
    model = nn.BatchNorm1d(1)
    averages = Averages({"net": model}, AveragingConfig(decay=0.9, warm_up=2))
    expected = 1.0
    for step, value in enumerate((3.0, 5.0), start=1):
        with torch.no_grad():
            model.weight.fill_(value)
        model.num_batches_tracked += 1
        averages.update(step)
        decay = 0.9 * (1 - math.exp(-step / 2))
        expected = decay * expected + (1 - decay) * value
        assert averages.models["net"].weight.item() == pytest.approx(expected)
    assert averages.models["net"].num_batches_tracked == 2, "whole numbers are taken"
    assert not averages.models["net"].training
    assert model.weight.item() == 5, "the trained model learns on as it is"


def test_a_stopped_training_has_the_averages_of_an_unbroken_one(tmp_path, monkeypatch):
    config = training({"decay": 0.7, "warm_up": 0})
    run(config, tmp_path / "unbroken")
    real, calls = schedule.thaw, []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(schedule, "thaw", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "stopped")
    run(config, tmp_path / "stopped")
    unbroken, stopped = (load_file(tmp_path / name / "student.safetensors") for name in ("unbroken", "stopped"))
    for name, tensor in unbroken.items():
        assert torch.equal(tensor, stopped[name]), name
    last = load_file(tmp_path / "unbroken" / "state.safetensors")
    assert torch.equal(last["average/student/synapses.conv2.weight"], unbroken["synapses.conv2.weight"])
    assert not torch.equal(last["model/student/synapses.conv2.weight"], unbroken["synapses.conv2.weight"])


def test_the_rate_may_rise_as_a_square_and_end_flat():
    config = OptimiserConfig(rate=0.1, first_rate=0.0, last_rate=0.005, warm_up=10, warm_up_power=2, flat=0.2)
    rates = [schedule.learning_rate(step, 100, config) for step in range(100)]
    assert rates[4] == pytest.approx(0.1 * 0.25)
    assert rates[9] == rates[10] == pytest.approx(0.1)
    assert rates[45] == pytest.approx((0.1 + 0.005) / 2), "halfway between the steps 10 and 80"
    assert rates[80:] == [0.005] * 20
    assert rates[79] > 0.005


def test_decay_may_leave_out_biases_and_norms():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    parameters = schedule.learning_parameters({"net": model})
    config = OptimiserConfig(kind="sgd", weight_decay=0.01, decayed="weights", nesterov=True)
    optimiser = schedule.build_optimiser(parameters, config)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in parameters.items()} == {
        "net.0.weight": 0.01,
        "net.0.bias": 0,
        "net.1.weight": 0,
        "net.1.bias": 0,
    }
    assert all(group["nesterov"] for group in optimiser.param_groups)
    everything = schedule.build_optimiser(parameters, config.model_copy(update={"decayed": "all"}))
    assert [group["weight_decay"] for group in everything.param_groups] == [0.01]


def test_only_sgd_looks_ahead():
    values = {**VALUES, "train": {"steps": 1, "optimiser": {"kind": "adam", "nesterov": True}}}
    with pytest.raises(ConfigError, match="nesterov: is for sgd with momentum"):
        parse_config(values, TrainingConfig, "here")
