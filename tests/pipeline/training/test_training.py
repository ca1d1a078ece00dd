"""The training loop: stopping and going on, several processes, what learns when, and what stops it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_training import CONFIG, configuration

from netx import FormatError
from netx.errors import MonospikeError
from pipeline.core.config import ConfigError
from pipeline.core.progress import Progress
from pipeline.core.task import Batch
from pipeline.datasets.errors import DataError
from pipeline.models.safetensors_file import read_safetensors
from pipeline.tasks import find_task
from pipeline.tasks.tracking.checkpoint import load_model, save_model, start_from
from pipeline.tasks.tracking.config import TrainingConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.train import run_training
from pipeline.training import distributed as place
from pipeline.training import loop, schedule
from pipeline.training.batches import batches
from pipeline.training.distributed import DistributedContext, distributed_context
from pipeline.training.term import NamedTensors, TrainingError

pytestmark = pytest.mark.usefixtures("one_thread")

TRACKING = find_task("tracking")
CPU = DistributedContext(torch.device("cpu"))


def drawn(config: TrainingConfig, first: int = 0, rank: int = 0, workers: int = 0) -> Iterator[Batch]:
    return batches(TRACKING.batches(config, rank), first, workers)


def run(config: TrainingConfig, folder: Path) -> dict:
    return run_training(TRACKING, config, folder, CPU, Progress(quiet=True))


def assert_same_weights(first: Path, second: Path) -> None:
    theirs = load_file(second)
    for name, tensor in load_file(first).items():
        assert torch.equal(tensor, theirs[name]), name


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    run(configuration(folder), folder)
    return folder


def test_a_training_leaves_model_metrics_and_log(unbroken):
    metrics = json.loads((unbroken / "metrics.json").read_text())["student"]
    assert 0 <= metrics["mean_iou"] <= 1
    assert 0 < metrics["spike_rate"] < 1
    assert set(metrics["layers"]) >= {"search_conv1", "class_tower1", "box_correlation"}
    lines = [json.loads(line) for line in (unbroken / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "rate" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines if "student/mean_iou" in line] == [4, 6]
    assert all(line["pairs_per_second"] > 0 for line in lines if "rate" in line)
    model = load_model(unbroken / "student.safetensors")
    assert isinstance(model, SpikingSiamFCpp)
    assert set(model.config.thresholds) == set(model.config.spiking_layers), "thresholds come from the first batch"
    assert "monospike" in read_safetensors(unbroken / "student.safetensors")[1]["versions"]


def test_training_changes_every_parameter_that_learns(unbroken):
    trained = load_model(unbroken / "student.safetensors")
    torch.manual_seed(3)
    start = dict(SpikingSiamFCpp(trained.config).named_parameters())
    for name, parameter in trained.named_parameters():
        assert torch.equal(parameter, start[name]) != parameter.requires_grad, name


def test_a_finished_training_is_not_done_again(unbroken):
    before = (unbroken / "student.safetensors").stat().st_mtime_ns
    assert run(configuration(unbroken), unbroken) == json.loads((unbroken / "metrics.json").read_text())
    assert (unbroken / "student.safetensors").stat().st_mtime_ns == before


def test_a_training_that_was_killed_goes_on_to_the_weights_of_an_unbroken_one(unbroken, tmp_path):
    configuration(tmp_path)
    command = [sys.executable, "-m", "pipeline", "train", "training.yaml", "--runs", "."]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    state = tmp_path / "tiny" / "state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped_at = int(read_safetensors(state)[1]["step"])
    assert stopped_at >= 2
    run(configuration(tmp_path), tmp_path / "tiny")
    assert_same_weights(tmp_path / "tiny" / "student.safetensors", unbroken / "student.safetensors")


def test_two_trainings_never_write_into_one_folder(unbroken, tmp_path):
    configuration(tmp_path)
    command = [sys.executable, "-m", "pipeline", "train", "training.yaml", "--runs", "."]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "tiny" / "config.yaml").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)
    second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert "tiny: somebody else is working there" in second.stderr
    assert first.wait() == 0
    assert_same_weights(tmp_path / "tiny" / "student.safetensors", unbroken / "student.safetensors")


def test_a_stopped_training_repeats_no_step(unbroken, tmp_path, monkeypatch):
    seen: list[int] = []
    real = schedule.thaw

    def stopping(*arguments):
        if len(seen) == 5:
            raise KeyboardInterrupt
        seen.append(len(seen))
        real(*arguments)

    monkeypatch.setattr(schedule, "thaw", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(configuration(tmp_path), tmp_path)
    monkeypatch.setattr(schedule, "thaw", real)
    run(configuration(tmp_path), tmp_path)
    assert_same_weights(tmp_path / "student.safetensors", unbroken / "student.safetensors")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "rate" in line] == [1, 2, 3, 4, 5, 6]


def test_a_state_from_before_an_option_existed_is_gone_on_from_while_the_option_has_its_default(unbroken, tmp_path):
    tensors, notes = read_safetensors(unbroken / "state.safetensors")
    values, weights = json.loads(notes["fingerprint"])
    del values["tracker"]["window"]
    (tmp_path / "metrics.json").write_text("{}")
    save_file(tensors, tmp_path / "state.safetensors", {**notes, "fingerprint": json.dumps([values, weights])})
    assert run(configuration(tmp_path), tmp_path) == {}, "it is done already"
    other = configuration(tmp_path, ("steps: 6", "steps: 1"), ("seed: 3", "seed: 3\ntracker: {window: 0.5}"))
    assert run(other, tmp_path) != {}


def test_another_seed_is_another_training(unbroken, tmp_path):
    run(configuration(tmp_path, ("seed: 3", "seed: 4"), ("steps: 6", "steps: 2")), tmp_path)
    first, second = (load_file(folder / "student.safetensors") for folder in (tmp_path, unbroken))
    assert not torch.equal(first["synapses.conv2.weight"], second["synapses.conv2.weight"])


def test_a_first_part_of_training_may_see_smaller_search_crops(tmp_path):
    small = ("steps: 6,", "steps: 6, search: {side: 135, until: 0.5},")
    with pytest.raises(ConfigError, match=r"train.search.side: .*greater than or equal to 143"):
        configuration(tmp_path, small)
    larger = ("search: 143", "search: 159")
    config = configuration(tmp_path, larger, ("steps: 6,", "steps: 6, search: {side: 143, until: 0.5},"))
    sides = [batch["search"].shape[-1] for batch in drawn(config)]
    assert sides == [143, 143, 143, 159, 159, 159]
    metrics = run(config, tmp_path / "run")
    assert metrics["student"]["layers"]["search_conv1"]
    model = load_model(tmp_path / "run" / "student.safetensors")
    assert model.config.search == 159, "the model is what its architecture says"


def test_crops_that_leave_no_score_map_are_refused_with_the_least_that_do(tmp_path):
    deep = ("width: tiny,", "width: {backbone: [6, 8, 10, 10, 8], neck: 8, head: 8, tower: 2},")
    larger = ("search: 143", "search: 175")
    with pytest.raises(ConfigError, match=r"search.side: leaves 'student' too small a score map; 151 is the least"):
        configuration(tmp_path, deep, larger, ("steps: 6,", "steps: 6, search: {side: 143},"))
    configuration(tmp_path, deep, larger, ("steps: 6,", "steps: 6, search: {side: 151},"))


def test_where_a_processor_has_no_bfloat16_mixed_precision_is_float32_and_the_user_is_told(
    unbroken, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(place, "_processor_has_bfloat16", lambda: False)
    config = configuration(tmp_path, ("steps: 6,", "steps: 6, mixed_precision: true,"))
    run_training(TRACKING, config, tmp_path / "run", CPU, Progress())
    assert "in float32: this processor has no bfloat16" in capsys.readouterr().out
    assert_same_weights(tmp_path / "run" / "student.safetensors", unbroken / "student.safetensors")


def test_batches_are_the_same_with_any_number_of_processes_and_from_any_step(tmp_path):
    config = configuration(tmp_path)
    alone, helped = list(drawn(config)), list(drawn(config, first=3, workers=2))
    assert len(alone) == 6
    for left, right in zip(alone[3:], helped, strict=True):
        assert left.inputs == right.inputs == ("template", "search")
        assert left.tensors.keys() == right.tensors.keys() == {"template", "search", "box", "same"}
        assert all(torch.equal(left[name], right[name]) for name in left.tensors)
    assert not torch.equal(next(drawn(config, rank=1))["search"], alone[0]["search"])


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_wrong_with_the_data_reaches_the_user_as_one_message(tmp_path, workers):
    pictures = f"kind: photos\n    root: {tmp_path}"
    old = CONFIG[CONFIG.index("kind: composed") : CONFIG.index("train:")].rstrip()
    config = configuration(tmp_path, (old, pictures))
    with pytest.raises(DataError, match=r"holds no picture"):
        next(drawn(config, workers=workers))
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(FormatError, match=r"a.jpg: cannot be read as a picture") as error:
        next(drawn(config, workers=workers))
    assert "Traceback" not in str(error.value)


def test_several_processes_train_one_model(tmp_path):
    configuration(tmp_path, ("steps: 6", "steps: 2"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "pipeline", "train", "training.yaml", "--runs", ".", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("afresh on 2 x cpu") == 1
    assert load_model(tmp_path / "tiny" / "student.safetensors").time_steps == 1


def test_a_loss_that_is_no_number_stops_the_training_with_term_and_step(unbroken, tmp_path, monkeypatch):
    def broken(terms, seen):
        losses, taught = real(terms, seen)
        calls.append(None)
        return {**losses, "student/box": losses["student/box"] * (math.nan if len(calls) == 4 else 1)}, taught

    calls: list[None] = []
    real = loop._losses
    monkeypatch.setattr(loop, "_losses", broken)
    with pytest.raises(TrainingError, match=r"step 4: the loss 'student/box' is nan"):
        run(configuration(tmp_path), tmp_path)
    assert read_safetensors(tmp_path / "state.safetensors")[1]["step"] == "2"
    run(configuration(tmp_path), tmp_path)
    assert_same_weights(tmp_path / "student.safetensors", unbroken / "student.safetensors")


def test_a_finite_loss_without_a_finite_slope_stops_the_training_before_it_is_learned(tmp_path, monkeypatch):
    def broken(method, learners, losses, taught, step, context):
        weight = method.trained["student"].synapses["conv3"].weight
        steep = (weight - weight.detach()).sqrt().sum() if step == 1 else 0  # 0, with an infinite slope
        real(method, learners, {**losses, "student/box": losses["student/box"] + steep}, taught, step, context)

    real = loop._learn
    monkeypatch.setattr(loop, "_learn", broken)
    config = configuration(tmp_path, ("save_every: 2", "save_every: 1"))
    with pytest.raises(TrainingError, match=r"step 2: the gradient of 'student.synapses.conv3.weight' is no number"):
        run(config, tmp_path)
    tensors, notes = read_safetensors(tmp_path / "state.safetensors")
    assert notes["step"] == "1"
    assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_a_training_in_which_nothing_may_learn_is_refused(tmp_path):
    config = configuration(tmp_path, ("warm_up: 2", "freeze: [{pattern: student}]"))
    with pytest.raises(TrainingError, match=r"step 1: train.optimiser.freeze leaves no parameter that could learn"):
        run(config, tmp_path)


def test_scores_of_another_training_are_not_taken_for_those_of_one_that_was_stopped_at_its_end(tmp_path, monkeypatch):
    """A training is done in the folder of another; killed after its last state, it has no scores of its own yet."""
    first = run(configuration(tmp_path, ("steps: 6", "steps: 1")), tmp_path)
    other = configuration(tmp_path, ("steps: 6", "steps: 1"), ("seed: 3", "seed: 4"))
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.tasks.train._Session.finish", _stopped)
        with pytest.raises(KeyboardInterrupt):
            run(other, tmp_path)
    assert run(other, tmp_path) != first


def _stopped(_: object) -> None:
    raise KeyboardInterrupt


def test_a_training_that_is_killed_while_it_validates_logs_as_an_unbroken_one(unbroken, tmp_path, monkeypatch):
    """Step 4 is saved and validated."""
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.tasks.tracking.task.validate", _stopped_at_validation)
        with pytest.raises(KeyboardInterrupt):
            run(configuration(tmp_path), tmp_path)
    run(configuration(tmp_path), tmp_path)
    ours, theirs = (
        [
            {name: value for name, value in json.loads(line).items() if name != "pairs_per_second"}
            for line in (folder / "log.jsonl").read_text().splitlines()
        ]
        for folder in (tmp_path, unbroken)
    )
    assert ours == theirs


def _stopped_at_validation(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_state_without_one_of_the_models_tensors_is_refused_by_name(unbroken, tmp_path):
    tensors, notes = read_safetensors(unbroken / "state.safetensors")
    del tensors["model/student/synapses.conv2.weight"]
    save_file(tensors, tmp_path / "state.safetensors", notes)
    with pytest.raises(FormatError, match=r"state.safetensors: tensor 'synapses.conv2.weight' is missing"):
        run(configuration(tmp_path), tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_told():
    with pytest.raises(MonospikeError, match=r"needs a GPU, and torch finds 0"), distributed_context("cuda"):
        pass


def test_a_sequence_that_nothing_can_be_judged_on_is_named_before_training(tmp_path):
    folder = tmp_path / "sequences" / "Short"
    (folder / "img").mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(folder / "img" / "0001.png")
    (folder / "groundtruth_rect.txt").write_text("5,5,20,20\n")
    config = configuration(tmp_path, ("  sequences: 1\n", f"  sequences: 1\n  root: {tmp_path / 'sequences'}\n"))
    with pytest.raises(DataError, match=r"Short has no box in its first frame, or none in the 0 after it"):
        run(config, tmp_path)


def test_a_loss_that_names_no_tensor_is_told_which_there_are():
    with pytest.raises(TrainingError, match=r"names the tensor 'student/neck'; there are student/box, student/class"):
        NamedTensors({"student/class": torch.zeros(1), "student/box": torch.zeros(1)})["student/neck"]


def test_a_model_is_started_from_a_checkpoint_of_its_own_kind_only(unbroken, tmp_path):
    path = unbroken / "student.safetensors"
    config = load_model(path).config
    assert start_from(path, config.model_copy(update={"time_steps": 4, "thresholds": {}})).time_steps == 4
    with pytest.raises(
        FormatError, match=r"student.safetensors: its model has pixel_bits = 5, the configuration says 4"
    ):
        start_from(path, config.model_copy(update={"pixel_bits": 4}))
    save_file({}, tmp_path / "nothing.safetensors", {"task": "tracking"})
    with pytest.raises(FormatError, match=r"nothing.safetensors: does not say which model it holds"):
        load_model(tmp_path / "nothing.safetensors")
    save_model(load_model(path), tmp_path / "it.safetensors")
    assert_same_weights(tmp_path / "it.safetensors", path)
