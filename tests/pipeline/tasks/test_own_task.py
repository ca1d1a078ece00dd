"""A task of one's own goes the whole way: trained, rounded, exported, simulated in Lava, verified, priced, reported."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from netx.bundle import load
from netx.errors import MonospikeError
from pipeline import tasks
from pipeline.cli import app as cli
from pipeline.core.task import Task
from pipeline.tasks import find_task, register
from sim import engine

FILE = Path(__file__).with_name("digits.py")
DOCUMENT = Path(__file__).parents[3] / "docs" / "own_task.md"

TRAINING = {
    "task": "digits",
    "name": "digits",
    "models": {"student": {}},
    "train": {"steps": 150, "batch": 64, "workers": 0, "optimiser": {"rate": 0.01}},
}
RUN = {
    "task": "digits",
    "name": "deployed",
    "model": "runs/digits/student.safetensors",
    "training": "training.yaml",
    "data": {"samples": 60},
    "simulate": {"frames": 6, "lava_seconds": 280},
    "profile": {"energy": ["horowitz_45nm_int8"], "chips": ["loihi2"]},
}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def digits() -> Iterator[ModuleType]:
    """The task's file, registered as its user would."""
    spec = importlib.util.spec_from_file_location("digits", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["digits"] = module
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "_ROOMS", {"tracking": tasks._ROOMS["tracking"]})
        register(module.Digits)
        yield module


def monospike(*words: str) -> int:
    """The command line in this process, in which the task is registered."""
    before, sys.argv = sys.argv, ["monospike", *words]
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        sys.argv = before
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def place(digits, tmp_path_factory) -> Path:
    """A folder with a trained model."""
    assert digits.Digits.name in tasks.task_names()
    folder = tmp_path_factory.mktemp("own")
    (folder / "training.yaml").write_text(yaml.safe_dump(TRAINING))
    (folder / "run.yaml").write_text(yaml.safe_dump(RUN))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert monospike("train", "training.yaml", "--device", "cpu") == 0
    return folder


@pytest.mark.lava
def test_the_task_goes_from_training_to_report_by_the_commands(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert monospike("deploy", "run.yaml") == 0, capsys.readouterr()
    printed = capsys.readouterr().out
    assert "identical in slayer, engine, lava-proven, norse: 3 layers, 9 frames" in printed
    run = place / "runs" / "deployed"
    report = json.loads((run / "report.json").read_text())
    assert report["accuracy"]["samples"] == 60
    assert 0.6 < report["accuracy"]["integer"]["accuracy"] <= 1
    # conv1: 6x6 positions of 16 channels, each a sum over a 3x3 window; nothing else reads pixels.
    assert report["activity"]["macs_per_frame"] == 6 * 6 * 16 * 3 * 3
    assert report["planning"]["loihi2"]["fits"]
    assert sorted(path.name for path in (run / "export").iterdir()) == ["image-net", "image-nir"]
    html = (run / "report.html").read_text()
    assert '<section id="digits">\n<h2>Digits</h2>' in html
    assert "IoU" not in html, "that is tracking's"
    assert monospike("verify", "runs/deployed") == 0
    assert "identical in slayer, engine, lava-proven, norse" in capsys.readouterr().out

    samples = find_task("digits").read_samples(run / "data")
    logits = engine.run(load(run / "export" / "image-nir"), {"image": np.stack([image for image, _ in samples])})
    found = logits.membranes["digit"].argmax(axis=1).ravel()
    assert report["accuracy"]["integer"]["accuracy"] == np.mean(found == [digit for _, digit in samples])


def test_the_model_is_trained_again_where_that_is_asked_for(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    settings = {**TRAINING, "train": {**TRAINING["train"], "steps": 3}}
    (place / "short.yaml").write_text(yaml.safe_dump(settings))
    (place / "again.yaml").write_text(yaml.safe_dump({**RUN, "name": "again", "training": "short"}))
    assert monospike("deploy", "again.yaml", "--retrain", "--until", "quantize") == 0, capsys.readouterr()
    assert "trained by short.yaml" in capsys.readouterr().out
    trained = (place / "runs" / "again" / "train" / "student.safetensors").read_bytes()
    assert trained != (place / "runs" / "digits" / "student.safetensors").read_bytes()
    assert monospike("deploy", "again.yaml", "--retrain", "--until", "quantize") == 0
    assert capsys.readouterr().out.count("unchanged, skipped") == 3


def test_a_checkpoint_of_another_task_says_what_to_change(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    (place / "wrong.yaml").write_text(yaml.safe_dump({"name": "wrong", "model": RUN["model"]}))
    assert monospike("deploy", "wrong.yaml", "--until", "train") == 2
    message = capsys.readouterr().err
    assert "is a checkpoint of the task 'digits', and the configuration says 'tracking'" in message
    assert "give it 'task: digits', or another model" in message


def test_an_unknown_task_and_wrong_sections_of_a_known_one_are_named(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    for changes, message in (
        ({"task": "digit"}, "bad.yaml: task: there is no task 'digit'; the tasks are digits, tracking"),
        ({"data": {"samples": 0, "pictures": "builtin"}}, "bad.yaml: data.samples: Input should be greater than or"),
        ({"data": {"pictures": "builtin"}}, "bad.yaml: data.pictures: Extra inputs are not permitted"),
        ({"tracker": {"window": 0.2}}, "bad.yaml: tracker: Extra inputs are not permitted"),
        ({"processing": {"mean": 3}}, "processing.mean: is not saved with the weights"),
        ({"training": None}, "--retrain: the configuration names no training"),
        ({"training": "run.yaml"}, "run.yaml: models: Field required"),
    ):
        (place / "bad.yaml").write_text(yaml.safe_dump({**RUN, **changes}))
        again = ["--retrain"] if "training" in changes else []
        assert monospike("deploy", "bad.yaml", "--until", "train", *again) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_room_without_one_of_its_parts_says_which():
    class Half(Task):
        name = "half"

    with pytest.raises(MonospikeError, match=r"the task Half lacks batches, .*, training_config, data_config: see"):
        register(Half)


def test_a_task_without_sequences_says_so(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert monospike("verify", RUN["model"], "--sequence", ".") == 2
    assert "the task 'digits' has no sequences" in capsys.readouterr().err


def test_the_model_is_at_work_on_single_pictures(place, digits):
    checkpoint = place / "runs" / "digits" / "student.safetensors"
    [sample] = zip(*digits.digits(1600, 1601).values(), strict=True)
    by_form = {}
    for form in ("float", "integer"):
        predictor = find_task("digits").predictor(checkpoint, form)
        predictor.start(sample, None)
        by_form[form] = predictor.step(sample)
        assert by_form[form].shape == (10, 1, 1)
    assert np.abs(by_form["float"] - by_form["integer"]).max() > 0, "rounding changes something"
    with pytest.raises(MonospikeError, match="there is no engine 'lava'; the engines are float, integer"):
        find_task("digits").predictor(checkpoint, "lava")


def test_the_file_is_short_and_the_document_shows_all_of_it():
    code = FILE.read_text()
    assert len(code.splitlines()) < 150
    shown = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert "".join(shown).split() == code.split(), "docs/own_task.md quotes tests/pipeline/tasks/digits.py part by part"
