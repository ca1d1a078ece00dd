"""Detection goes the whole way on drawn pictures: trained, rounded, exported, simulated, verified, reported."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from drawn_pictures import SHAPES, draw_pictures
from PIL import Image

from netx.bundle import load
from netx.errors import FormatError, MonospikeError
from netx.fingerprint import fingerprint
from pipeline.cli import app as cli
from pipeline.core.config import ConfigError, read_values
from pipeline.core.progress import Progress
from pipeline.model_zoo.package import package
from pipeline.models.safetensors_file import read_metadata
from pipeline.tasks import find_task, task_of
from pipeline.tasks.checkpoint import read_checkpoint, round_to_half
from pipeline.tasks.config import parse_training
from pipeline.tasks.detection.detector import ModelDetector
from pipeline.tasks.detection.models.yolox import Yolox
from pipeline.tasks.detection.samples import as_set
from pipeline.tasks.detection.validation import split
from sim import engine

CONFIG = Path(__file__).parents[4] / "configs" / "detection_none.yaml"

pytestmark = pytest.mark.timeout(600)


def training(root: Path, **changes: object) -> dict:
    """The shipped configuration, made small and given a teacher that learns beside the student, a gate that holds it
    back, and a discriminator."""
    values = read_values(CONFIG)
    spiking = {"kind": "spiking_yolox", "width": "tiny", "side": 64, "classes": 2}
    student = {"architecture": spiking}
    teacher = {"architecture": {"kind": "yolox", "size": "pico", "side": 64, "classes": 2}, "stored": "float16"}
    levels = [{"features": f"features_{stride}", "stride": stride} for stride in (8, 16, 32)]
    pair = {"student": "student", "teacher": "teacher", "adapter": "align"}
    fsd = {"kind": "fsd", **pair, "levels": levels}
    told_apart = {"kind": "adversarial", **pair, "adapter_kind": "smooth", "tensor": "features_16"}
    return {
        **values,
        "name": "shapes",
        "models": {"student": student, "teacher": teacher},
        "losses": [*values["losses"], {"kind": "detection", "model": "teacher"}, fsd, told_apart],
        "learners": {"teacher": {"members": ["teacher"]}, "opponent": {"members": ["losses.student/adversarial"]}},
        "online": {"student": "student", "teacher": "teacher", "gate": "smooth"},
        "data": {**values["data"], "sets": [{"root": str(root)}]},
        "detector": {"classes": list(SHAPES)},
        "train": {**values["train"], "steps": 4, "batch": 2, "workers": 0, "blocks": "plain"},
        "validation": {"every": 100, "held_out": 0.25},
        **changes,
    }


def monospike(*words: str) -> int:
    before, sys.argv = sys.argv, ["monospike", *words]
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        sys.argv = before
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with pictures and trained models."""
    folder = tmp_path_factory.mktemp("detection")
    draw_pictures(folder / "pictures", 8)
    (folder / "training.yaml").write_text(yaml.safe_dump(training(folder / "pictures")))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert monospike("train", "training.yaml", "--device", "cpu") == 0
    return folder


def test_a_training_leaves_models_with_their_scores_and_what_is_done_around_them(place):
    metrics = json.loads((place / "runs/shapes/metrics.json").read_text())
    assert metrics["student"]["images"] == metrics["teacher"]["images"] == 2, "a quarter of eight is held out"
    assert 0 < metrics["student"]["spike_rate"] < 1
    assert set(metrics["student"]["rounding"]) == {"map", "spikes_differ"}
    lines = [json.loads(line) for line in (place / "runs/shapes/log.jsonl").read_text().splitlines()]
    names = {name for line in lines for name in line}
    assert {"student/box", "student/l1", "teacher/class", "student/fsd_foreground"} <= names
    assert {"student/adversarial", "student/adversarial_discriminator", "online/gap", "online/threshold"} <= names
    of_steps = [line for line in lines if "rate" in line]
    assert all(0 < line["rate/teacher"] < line["rate/opponent"] for line in of_steps), "the gate slows it down"
    stored = json.loads(read_metadata(place / "runs/shapes/student.safetensors")["processing"])
    assert stored == {"classes": list(SHAPES), "fill": 114, "score": 0.01, "overlap": 0.65, "most": 100}


def test_a_file_of_half_the_size_holds_the_model_that_was_scored(place):
    path = place / "runs/shapes/teacher.safetensors"
    task, config = parse_training(training(place / "pictures"), "here")
    model = read_checkpoint(path, task).model(task)
    parameters = sum(value.numel() for value in model.state_dict().values())
    assert path.stat().st_size < 2.3 * parameters
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32, torch.int64}
    assert all(torch.equal(value, value.half().float()) for value in model.parameters())
    scores = task.validator(config).validate(model, torch.device("cpu"))
    assert scores["map"] == json.loads((place / "runs/shapes/metrics.json").read_text())["teacher"]["map"]


def test_a_detector_is_packaged_with_a_card_of_its_task(place, tmp_path):
    package(place / "runs/shapes", "tiny-fsd", "student", None, tmp_path)
    card = json.loads((tmp_path / "tiny-fsd" / "card.json").read_text())
    network = find_task("detection").deployable(place / "runs/shapes/student.safetensors").network()
    assert (card["task"], card["time_steps"], card["fingerprint"]) == ("detection", 1, fingerprint(network))
    [source] = card["data"]
    assert (source["root"], source["what"]) == (str(place / "pictures"), "not described")
    text = (tmp_path / "tiny-fsd" / "README.md").read_text()
    assert "spiking YOLOX of 1 time step" in text
    assert "4 steps of 2 pictures" in text
    assert f"- validation: mAP {card['validation']['map']:.3f}" in text


def test_a_number_that_float16_cannot_say_is_named():
    model = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(model.bias, 1e6)
    with pytest.raises(MonospikeError, match="bias: holds 1e\\+06, and float16 ends at 65504"):
        round_to_half(model)


def test_no_picture_is_trained_on_that_is_validated_on(place):
    task, config = parse_training(training(place / "pictures"), "here")
    trained, held_out = split(config)
    assert (len(trained), len(held_out)) == (6, 2)
    assert not {one.file for one in trained.pictures} & {one.file for one in held_out.pictures}
    assert trained.classes == SHAPES
    images = task.batches(config, 0)[0]["images"]
    assert images.shape == (2, 3, 64, 64)


def test_a_small_set_may_come_several_times_an_epoch(place):
    sets = [{"root": str(place / "pictures"), "repeats": 3}]
    values = training(place / "pictures")
    _, config = parse_training({**values, "data": {**values["data"], "sets": sets}}, "here")
    trained, held_out = split(config)
    assert (len(trained), len({one.file for one in trained.pictures}), len(held_out)) == (18, 6, 2)


def test_what_is_wrong_in_the_pictures_is_named_and_costs_the_others_nothing(tmp_path):
    draw_pictures(tmp_path / "pictures", 8)
    task, config = parse_training(training(tmp_path / "pictures"), "here")
    held_out = split(config)[1].pictures[0].file
    held_out.write_bytes(held_out.read_bytes()[:200])  # its header is whole
    labels = tmp_path / "pictures" / "labels" / "004.txt"
    labels.write_text(labels.read_text() + "9 0.5 0.5 0.1 0.1\n")
    assert len(split(config)[1]) == 1
    model = task.build_model(config.models["student"].architecture).train()
    scores = task.validator(config).validate(model, torch.device("cpu"))
    assert scores["images"] == 1
    assert model.training
    assert len(scores["issues"]) == 2
    assert "004.txt" in scores["issues"][0]
    assert held_out.name in scores["issues"][1]
    assert "2 things are wrong in the pictures" in task.headline(scores)


def test_both_forms_of_a_student_find_what_its_network_says(place):
    checkpoint = place / "runs/shapes/student.safetensors"
    assert task_of(checkpoint).name == "detection"
    picture = np.asarray(Image.open(place / "pictures/images/000.png"))
    deployable = find_task("detection").deployable(checkpoint)
    everything = deployable.processing.model_copy(update={"score": 0.0})
    by_integers, by_float = (
        replace(find_task("detection").predictor(checkpoint, form), processing=everything)
        for form in ("integer", "float")
    )
    quantised = ModelDetector(
        lambda pictures: deployable.model(torch.from_numpy(pictures).permute(0, 3, 1, 2)), everything, 64
    )
    with torch.inference_mode():
        expected, found = quantised.step(picture), by_integers.step(picture)
    assert len(found) > 20, "boxes of a cell or so, which overlap little"
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-4)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    assert (found.boxes >= 0).all()
    assert (found.boxes <= np.tile((96, 64), 2)).all()
    real = by_float.step(picture)
    assert len(real) != len(found) or not np.allclose(real.scores, found.scores, atol=1e-9)


def test_a_teacher_has_no_integers(place):
    teacher = place / "runs/shapes/teacher.safetensors"
    task = find_task("detection")
    with pytest.raises(MonospikeError, match="a teacher has no integers"):
        task.predictor(teacher, "integer")
    with pytest.raises(MonospikeError, match="holds no spiking network"):
        task.deployable(teacher)
    assert len(task.predictor(teacher, "float").step(np.zeros((50, 70, 3), np.uint8))) >= 0


@pytest.mark.lava
def test_the_student_goes_through_all_stages(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    values = {
        "task": "detection",
        "name": "deployed",
        "model": "runs/shapes/student.safetensors",
        "data": {"root": "pictures", "pictures": 4},
        "detector": {"classes": list(SHAPES), "fill": 114},
        "simulate": {"frames": 1, "lava_seconds": 280, "lava_convolution": "fast"},
        "profile": {"energy": ["horowitz_45nm_int8"], "chips": ["loihi2"]},
    }
    (place / "run.yaml").write_text(yaml.safe_dump(values))
    assert monospike("deploy", "run.yaml") == 0, capsys.readouterr()
    printed = capsys.readouterr().out
    assert "identical in slayer, engine, lava-fast, norse: 28 layers, 4 frames" in printed
    report = json.loads((place / "runs/deployed/report.json").read_text())
    assert report["accuracy"]["images"] == 4
    assert set(report["accuracy"]["integer"]) == {"map", "map50", "map75", "voc07"}
    assert report["planning"]["loihi2"]["fits"]
    html = (place / "runs/deployed/report.html").read_text()
    assert '<section id="detections">\n<h2>Objects found</h2>' in html
    assert "Precision of the integer network by recall" in html
    samples = find_task("detection").read_samples(place / "runs/deployed/data")
    assert [sample.names[sample.picture.classes[0]] for sample in samples] == [
        SHAPES[int(sample.picture.id - 1) % 2] for sample in samples
    ]
    deployable = find_task("detection").deployable(place / "runs/shapes/student.safetensors")
    frames = np.random.default_rng(0).integers(-16, 16, (1, 3, 64, 64))
    theirs = engine.run(load(place / "runs/deployed/export/image-nir"), {"image": frames}).membranes
    ours = engine.run(deployable.network(), {"image": frames}).membranes
    assert all(np.array_equal(theirs[name], ours[name]) for name in deployable.model.readouts)


def test_classes_and_sides_have_to_fit(place):
    for changes, message in (
        ({"detector": {"classes": ["disc"]}}, "models.student.architecture.classes: is 2, and detector.classes has 1"),
        ({"detector": {"classes": ["disc", "disc"]}}, "detector.classes: names a class twice"),
        ({"detector": {"classes": list(SHAPES), "fill": 0}}, "detector.fill: Input should be 114"),
    ):
        with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
            parse_training(training(place / "pictures", **changes), "here")
    values = training(place / "pictures")
    values["models"]["teacher"]["architecture"]["side"] = 96
    with pytest.raises(ConfigError, match=r"models: see pictures of different sides, \[64, 96\]"):
        parse_training(values, "here")
    values["models"]["teacher"] = {"architecture": {"kind": "yolox", "side": 64, "classes": 2}, "backbone_weights": "x"}
    with pytest.raises(ConfigError, match="backbone_weights: are for 'backbone: mobilenet_v2'"):
        parse_training(values, "here")


def test_a_teacher_starts_from_a_backbone_of_imagenet(tmp_path):
    from safetensors.torch import save_file

    from pipeline.models.mobilenet import MobileNetV2

    torch.manual_seed(1)
    source = MobileNetV2()
    save_file(source.state_dict(), tmp_path / "mobilenet.safetensors")
    values = training(tmp_path)
    values["models"]["teacher"] = {
        "architecture": {"kind": "yolox", "backbone": "mobilenet_v2", "size": "pico", "side": 64, "classes": 2},
        "backbone_weights": str(tmp_path / "mobilenet.safetensors"),
    }
    task, config = parse_training(values, "here")
    model = task.initialised("teacher", task.build_model(config.models["teacher"].architecture), config, lambda _: [])
    assert isinstance(model, Yolox)
    for name, tensor in source.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], tensor), name


def test_damaged_samples_and_classes_that_a_model_does_not_know_are_named(place, tmp_path):
    task = find_task("detection")
    config = task.data_config(root=str(place / "pictures"), pictures=3)
    assert task.write_samples(config, 5, tmp_path, Progress(quiet=True)) == "3 pictures, 3 objects"
    samples = task.read_samples(tmp_path)
    assert as_set(samples, ("square", "disc")).pictures[0].classes[0] != samples[0].picture.classes[0]
    with pytest.raises(MonospikeError, match=r"shows a 'disc', and the model knows square"):
        as_set(samples, ("square",))
    np.savez(tmp_path / "labels.npz", names=np.array(SHAPES))
    with pytest.raises(FormatError, match=r"labels\.npz: is no list of pictures .* run again with --from data"):
        task.read_samples(tmp_path)
