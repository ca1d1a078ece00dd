"""Checkpoints say task and processing; older ones are converted once, and those of other tasks or crops refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from netx.errors import FormatError
from pipeline.cli import app as cli
from pipeline.core.config import ConfigError, Section
from pipeline.model_zoo.names import packaged
from pipeline.models.safetensors_file import read_metadata
from pipeline.tasks import task_of
from pipeline.tasks.convert import convert_checkpoint
from pipeline.tasks.tracking.checkpoint import load_model, load_processing, load_with_processing, save_model, start_from
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp

SIZES = {"width": WIDTHS["tiny"], "template": 103, "search": 143}


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    torch.manual_seed(1)
    path = tmp_path / "teacher.safetensors"
    save_model(SiamFCpp(SiamFCppConfig(**SIZES)), path, processing=TrackerConfig(context=0.3, window=0.4))
    return path


def with_metadata(path: Path, **changes: str | None) -> Path:
    """The same file, some of whose metadata is other or not there."""
    metadata = {**read_metadata(path), **changes}
    save_file(load_file(path), path, {key: value for key, value in metadata.items() if value is not None})
    return path


def older(path: Path, **notes: str) -> Path:
    return with_metadata(path, task=None, processing=None, **notes)


def test_crops_and_post_processing_are_saved_with_the_weights(checkpoint):
    assert load_processing(checkpoint) == TrackerConfig(context=0.3, window=0.4)
    model, processing = load_with_processing(checkpoint)
    assert model.config == SiamFCppConfig(**SIZES)
    assert processing.context == 0.3


def test_a_checkpoint_of_the_older_format_is_told_how_to_be_converted(checkpoint):
    path = older(checkpoint)
    with pytest.raises(
        FormatError, match=rf"teacher.safetensors: .* older format.*'monospike convert {path}' adds both"
    ):
        load_model(path)


def test_a_converted_checkpoint_has_the_same_weights_and_the_crops_of_its_training(checkpoint):
    before = load_file(checkpoint)
    path = older(checkpoint, training='{"tracker": {"context": 0.3, "window": 0.4, "border": "frame"}}', other="kept")
    assert "is of the task tracking" in convert_checkpoint(path)
    assert list(load_file(path)) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in load_file(path).items())
    assert load_processing(path) == TrackerConfig(context=0.3), "older trackers had all else as it is published"
    assert read_metadata(path)["other"] == "kept"
    bytes_before = path.read_bytes()
    assert "left as it is" in convert_checkpoint(path)
    assert path.read_bytes() == bytes_before


def test_the_command_converts_with_processing_from_a_file(checkpoint, tmp_path, monkeypatch, capsys):
    path, file = older(checkpoint), tmp_path / "mine.yaml"
    file.write_text("context: 0.25\nborder: frame\n")
    monkeypatch.setattr(sys, "argv", ["monospike", "convert", str(path), "--processing", str(file)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert "is of the task tracking" in " ".join(capsys.readouterr().out.split())
    assert load_processing(path) == TrackerConfig(context=0.25, border="frame")


@pytest.mark.parametrize(
    ("notes", "file", "error", "complaint"),
    [
        ({"model": None}, "", FormatError, r"does not say which model it holds"),
        ({"model": '{"kind": "yolo"}'}, "", FormatError, r"its architecture is not one of .*tracking"),
        ({"training": "[1"}, "", FormatError, r"its training's configuration says nothing .* --processing"),
        ({"training": '{"tracker": {"context": 7}}'}, "", FormatError, r"configuration says nothing"),
        ({}, "contxt: 0.25", ConfigError, r"mine.yaml: contxt: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_converted_is_left_as_it_is(checkpoint, tmp_path, notes, file, error, complaint):
    path = older(checkpoint, **notes)
    before = path.read_bytes()
    (tmp_path / "mine.yaml").write_text(file)
    with pytest.raises(error, match=complaint):
        convert_checkpoint(path, tmp_path / "mine.yaml" if file else None)
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_task_is_refused_by_name(checkpoint):
    with pytest.raises(FormatError, match=r"holds a model of the task 'detection', where one of 'tracking' is wanted"):
        load_model(with_metadata(checkpoint, task="detection"))


@pytest.mark.parametrize("text", ["{", '{"context": 7}', '{"contxt": 0.5}', "[]"])
def test_processing_that_is_none_of_ours_is_refused(checkpoint, text):
    with pytest.raises(FormatError, match=r"teacher.safetensors: its processing is not that of a model of ours"):
        load_model(with_metadata(checkpoint, processing=text))


def test_a_training_with_other_crops_does_not_start_from_it(checkpoint):
    config = SiamFCppConfig(**SIZES)
    assert start_from(checkpoint, config, TrackerConfig(context=0.3)).training
    with pytest.raises(FormatError, match=r"trained with context = 0.3, and the configuration says 0.5"):
        start_from(checkpoint, config, TrackerConfig())


def test_the_packaged_models_are_of_the_new_format_with_the_published_processing():
    models = packaged()
    assert set(models) >= {"demo", "small-teacher", "small-s4", "small-s4-kd", "small-s4-kd-host", "small-dst"}
    trackers = {name: path for name, path in models.items() if task_of(path).name == "tracking"}
    assert set(models) - set(trackers) == {"detector-teacher", "detector-fsd"}
    for path in trackers.values():
        model, processing = load_with_processing(path)
        assert isinstance(model.config, Section)
        assert processing == TrackerConfig()
