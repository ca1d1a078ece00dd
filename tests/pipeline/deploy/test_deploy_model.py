"""A model of ``monospike train`` deployed by its checkpoint: the same stages, the same proof."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
import yaml

from netx.bundle import load
from pipeline.cli import app as cli
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.tasks.tracking.checkpoint import load_model, save_model
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.initialisation import calibrate
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.predictor import Geometry, search_pixels, template_pixels
from pipeline.tasks.tracking.scorer import crops_of

SIZES = {"width": WIDTHS["tiny"], "template": 103, "search": 143, "box_shift": 1.4}
RUN = {
    "name": "deployed",
    "seed": 3,
    "data": {"sequences": 1, "composition": {"frames": 5, "height": 96, "width": 128, "object_size": [20, 30]}},
    "simulate": {"frames": 3, "lava_seconds": 280},
}


def crops() -> list[torch.Tensor]:
    """Templates and search crops of composed clips: thresholds that fit them let every layer spike."""
    spec = CompositionSpec(frames=2, height=96, width=128, object_size=(20, 30))
    clips = [compose(open_pictures("builtin"), spec, seed) for seed in range(8)]
    geometry, settings = Geometry(103, 143, 8, 8), TrackerConfig(context=0.5)
    return [
        torch.cat([crops_of(cut(clip.frames[0], clip.boxes[0], geometry, settings)) for clip in clips])
        for cut in (template_pixels, search_pixels)
    ]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    """Untrained models: a student on the chip, one with its head on the host, a teacher."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(2)
    student = calibrate(SpikingSiamFCpp(SpikingConfig(**SIZES)), *crops())
    student.freeze_norms()
    save_model(student, folder / "student.safetensors", {})
    host = SpikingConfig(**SIZES, head="host")
    save_model(SpikingSiamFCpp(host), folder / "host.safetensors", {})
    save_model(SiamFCpp(SiamFCppConfig(**SIZES)), folder / "teacher.safetensors", {})
    return folder


@pytest.fixture
def deploy(monkeypatch, capsys, tmp_path):
    def call(model: Path, *arguments: str, changes: dict[str, object] | None = None) -> tuple[int, str]:
        (tmp_path / "run.yaml").write_text(yaml.safe_dump({**RUN, "model": str(model), **(changes or {})}))
        command = ["monospike", "deploy", str(tmp_path / "run.yaml"), "--runs", str(tmp_path), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed, error = capsys.readouterr()
        return end.value.code or 0, printed + error

    return call


@pytest.mark.lava
def test_a_trained_model_is_the_same_in_four_engines(checkpoints, deploy, tmp_path):
    model = checkpoints / "student.safetensors"
    status, said = deploy(model)
    assert status == 0, said
    folder = tmp_path / "deployed"
    assert load(folder / "quantize" / "network") == to_network(load_model(model))
    verdict = json.loads((folder / "verify" / "verification.json").read_text())
    assert verdict["identical"] is True
    assert verdict["engines"] == ["slayer", "engine", "lava-proven", "norse"]
    layers = {layer["name"]: layer for layer in verdict["layers"]}
    assert {"template_conv5", "class_kernel", "box_kernel", "search_pool2", "class_correlation", "box"} <= set(layers)
    assert layers["class_correlation"]["spikes"] > 0
    report = json.loads((folder / "report.json").read_text())
    assert report["config"]["model"] == str(model)
    assert set(report["accuracy"]) >= {"float", "integer", "fixed_box"}


def test_what_is_not_all_on_the_chip_is_not_deployed(checkpoints, deploy):
    status, said = deploy(checkpoints / "host.safetensors", "--until", "train")
    assert (status, "host.safetensors: has an encoder or a head on the host" in said) == (2, True)
    status, said = deploy(checkpoints / "teacher.safetensors", "--until", "train")
    assert (status, "teacher.safetensors: holds no spiking network" in said) == (2, True)


def test_a_model_is_not_trained_again_here(checkpoints, deploy):
    status, said = deploy(checkpoints / "student.safetensors", "--retrain", "--until", "train")
    assert status == 2
    assert "--retrain: the configuration names no training; give it 'training: FILE'" in said


def test_post_processing_comes_with_the_weights_and_another_value_is_refused(checkpoints, deploy):
    model = checkpoints / "student.safetensors"
    status, said = deploy(model, "--until", "train", changes={"tracker": {"context": 0.5, "border": "first"}})
    assert status == 0, said
    status, said = deploy(model, "--until", "train", changes={"tracker": {"window": 0.3}})
    assert status == 2
    assert "tracker.window: is 0.3 in the configuration, and 0.23153228172839774 comes with the weights" in said
    status, said = deploy(model, "--until", "train", changes={"tracker": {"windows": 0.3}})
    assert status == 2
    assert "tracker.windows: is not saved with the weights" in said


def test_a_run_of_another_release_says_what_to_do(deploy, checkpoints, tmp_path, monkeypatch, capsys):
    assert deploy(checkpoints / "student.safetensors", "--until", "data")[0] == 0
    config = tmp_path / "deployed" / "config.yaml"
    config.write_text(config.read_text() + "student: null\ntrain: null\n")
    monkeypatch.setattr(sys, "argv", ["monospike", "verify", str(tmp_path / "deployed")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    message = capsys.readouterr().err
    assert end.value.code == 2
    assert "student and train: no longer belong here" in message
    assert "is the run of another release; run monospike deploy again with its configuration" in message
