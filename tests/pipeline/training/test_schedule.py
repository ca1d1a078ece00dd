"""What changes as a training goes on, and how several processes agree."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.tasks.tracking.models.config import WIDTHS, SpikingConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.training import schedule
from pipeline.training.config import Freeze, OptimiserConfig, RateFactor
from pipeline.training.term import TrainingError


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine():
    config = OptimiserConfig(rate=0.08, first_rate=1e-6, last_rate=1e-6, warm_up=10)
    rates = [schedule.learning_rate(step, 110, config) for step in range(110)]
    assert rates[9] == pytest.approx(0.08)
    assert rates[4] == pytest.approx(1e-6 + (0.08 - 1e-6) / 2)
    assert rates[10] == pytest.approx(0.08)
    assert rates[60] == pytest.approx(0.04, abs=1e-6)
    assert rates[109] == pytest.approx(1e-6 + 0.08 * (1 - math.cos(math.pi / 100)) / 2, rel=1e-3)


def test_parameters_are_frozen_and_slowed_by_name():
    student = SpikingSiamFCpp(SpikingConfig(width=WIDTHS["tiny"]))
    config = OptimiserConfig(
        kind="sgd",
        rate=1.0,
        factors=(RateFactor(pattern=r"conv[12]\.", factor=0.1),),
        freeze=(Freeze(pattern=r"conv3\.weight", until=0.5), Freeze(pattern=r"decoder", until=1.0)),
    )
    parameters = schedule.learning_parameters({"student": student})
    assert not any("decay" in name for name in parameters), "leaks are not learned unless asked for"
    optimiser = schedule.build_optimiser(parameters, config)
    schedule.build_schedule(optimiser, 10, config.model_copy(update={"warm_up": 0, "rate": 0.5}))
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert rates[id(student.synapses["conv1"].weight)] == pytest.approx(0.05)
    assert rates[id(student.synapses["conv3"].weight)] == 0.5
    for step, frozen in ((4, {"conv3", "decoder"}), (5, {"decoder"})):
        schedule.thaw(parameters, step, 10, config)
        still = {name for name, parameter in parameters.items() if not parameter.requires_grad}
        assert {part for part in ("conv3", "decoder", "conv4") if any(part in name for name in still)} == frozen


@pytest.mark.parametrize(
    ("key", "rule"), [("freeze", Freeze(pattern=r"conv6\.")), ("factors", RateFactor(pattern="^backbone", factor=2))]
)
def test_a_pattern_that_is_in_no_parameters_name_is_told_those_that_there_are(key, rule):
    parameters = {"student.conv5.weight": torch.nn.Parameter(torch.zeros(1))}
    with pytest.raises(TrainingError, match=rf"train.optimiser\.{key}: .* they are student.conv5.weight"):
        schedule.build_optimiser(parameters, OptimiserConfig(**{key: (rule,)}))


def test_the_schedule_gives_every_group_its_factor_of_the_rate_at_every_step():
    config = OptimiserConfig(rate=0.08, warm_up=3, factors=(RateFactor(pattern="slow", factor=0.1),))
    parameters = {name: torch.nn.Parameter(torch.zeros(1)) for name in ("slow.weight", "usual.weight")}
    optimiser = schedule.build_optimiser(parameters, config)
    by_step = schedule.build_schedule(optimiser, 10, config)
    for step in range(10):
        rate = schedule.learning_rate(step, 10, config)
        rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
        assert rates[id(parameters["usual.weight"])] == rate
        assert rates[id(parameters["slow.weight"])] == 0.1 * rate
        optimiser.step()
        by_step.step()


AVERAGE = """
from pathlib import Path

import torch
from pipeline.training import distributed
from pipeline.training.config import OnlineConfig
from pipeline.training.gate import Gate

distributed._BUCKET = 40  # of numbers: several tensors a bucket, several buckets, and one tensor larger than any
with distributed.distributed_context("cpu") as context:
    def drawn(rank):
        generator = torch.Generator().manual_seed(rank)
        return [torch.randn(shape, generator=generator) for shape in ((3, 5), (7,), (2, 3, 4), (50,), (1,), ())]
    mine = drawn(context.rank)
    context.average(mine)
    for value, first, second in zip(mine, drawn(0), drawn(1), strict=True):
        assert torch.equal(value, (first + second) / 2), value
    answers = torch.tensor([[0.4 + context.rank / 5]]), torch.tensor([[0.9]]), torch.tensor([[1.0]])
    found = Gate(OnlineConfig(student="s", teacher="t"), "t", lambda *_: answers).distances(None, context)
    assert torch.allclose(torch.tensor(found), torch.tensor([0.4, 0.5, 0.1])), found  # means of 0.5, 0.3 and so on
    Path(f"alike-{context.rank}").touch()  # not printed: two processes may write into one line
"""


def test_two_processes_average_in_buckets_to_the_bits_of_the_mean_and_a_gate_sees_both(tmp_path):
    (tmp_path / "average.py").write_text(AVERAGE)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "average.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert sorted(file.name for file in tmp_path.glob("alike-*")) == ["alike-0", "alike-1"]
