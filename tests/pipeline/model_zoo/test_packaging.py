"""Models that come with the package: made, listed, and known by name to the commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pipeline.model_zoo.names
from netx.bundle import load
from netx.errors import FormatError, MonospikeError
from netx.fingerprint import fingerprint
from pipeline.cli import app as cli
from pipeline.core.config import parse_config
from pipeline.core.files import file_digest
from pipeline.core.progress import Progress
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.model_zoo import networks
from pipeline.model_zoo.card import in_markdown
from pipeline.model_zoo.data_terms import data_terms
from pipeline.model_zoo.names import checkpoint_path, packaged
from pipeline.model_zoo.networks import read_network
from pipeline.model_zoo.package import MOST_BYTES, package
from pipeline.tasks import find_task
from pipeline.tasks.tracking.checkpoint import load_model
from pipeline.tasks.tracking.config import TrackerConfig, TrainingConfig
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.trackers import open_tracker
from pipeline.tasks.train import run_training
from pipeline.training.distributed import DistributedContext
from sim import engine
from sim.recording import Recording

CLIP = {"frames": 3, "height": 96, "width": 128, "object_size": [20, 30]}
TRAINING = {
    "task": "tracking",
    "name": "pair",
    "seed": 5,
    "models": {
        "teacher": {"architecture": {"kind": "siamfcpp", "width": "tiny", "template": 103, "search": 143}},
        "student": {"architecture": {"kind": "spiking", "width": "tiny", "template": 103, "search": 143}},
    },
    "losses": [{"kind": "tracking", "model": "teacher"}, {"kind": "tracking", "model": "student"}],
    "data": [{"kind": "composed", "clips": 3, "composition": CLIP}],
    "train": {"steps": 2, "batch": 2, "workers": 0, "optimiser": {"warm_up": 1}},
    "validation": {"sequences": 1, "composition": CLIP},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a training of a teacher and a student, two steps long."""
    folder = tmp_path_factory.mktemp("pair")
    config = parse_config(TRAINING, TrainingConfig, "pair")
    run_training(find_task("tracking"), config, folder, DistributedContext(torch.device("cpu")), Progress(quiet=True))
    return folder


def results_of(checkpoint: Path) -> dict:
    """What a study would say of the student, and of another seed."""
    scores = {"mean_iou": 0.512, "success": 0.5, "precision": 0.7, "sequences": {"Car": 0.6, "Bird": 0.424}}
    spread = {"mean": 0.5, "std": 0.017, "min": 0.488, "max": 0.512, "n": 2}
    cost = {"spike_rate": 0.1, "synops": 2e6, "macs": 1e7}
    energy = {scope: {"fp32": 4.78e-5, "int8": 2e-6} for scope in ("backbone", "full")}
    row = {"sha256": file_digest(checkpoint), "scores": {"otb": {"integer": scores}}, **cost, "energy": energy}
    other = {**row, "sha256": "0" * 64}
    summary = {"scores": {"otb": {"integer": {"mean_iou": spread}}}}
    return {
        "models": {"s4_kd": {"run": "s4_kd", "seeds": {"4": other, "5": row}, "summary": summary}},
        "commands": {
            "study": "monospike study configs/study_small.yaml",
            "train": [f"monospike train runs/x/{r}/seed{s}/config.yaml" for r in ("s4", "s4_kd") for s in (4, 5)],
        },
        "fixed": {"otb": {"mean_iou": 0.2, "sequences": {"Car": 0.3, "Bird": 0.1}}},
    }


@pytest.fixture(scope="module")
def results(run, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("results") / "results.json"
    path.write_text(json.dumps(results_of(run / "student.safetensors")))
    return path


@pytest.fixture(scope="module")
def folder(run, results, tmp_path_factory) -> Path:
    """A package's weights with both models in it."""
    into = tmp_path_factory.mktemp("weights")
    package(run, "tiny-s4-kd", "student", results, into)
    package(run, "tiny-teacher", "teacher", None, into)
    return into


@pytest.fixture
def installed(folder, monkeypatch) -> Path:
    monkeypatch.setattr(pipeline.model_zoo.names, "FOLDER", folder)
    return folder


@pytest.fixture
def command(monkeypatch, capsys):
    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["monospike", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed, error = capsys.readouterr()
        return end.value.code or 0, printed + error

    return call


@pytest.fixture
def sequence(tmp_path) -> Path:
    clip = compose(open_pictures("builtin"), CompositionSpec(frames=3, height=96, width=128, object_size=(20, 30)), 8)
    folder = tmp_path / "sequences" / "Seq"
    (folder / "img").mkdir(parents=True)
    for number, frame in enumerate(clip.frames, start=1):
        Image.fromarray(frame).save(folder / "img" / f"{number:04}.png")
    np.savetxt(folder / "groundtruth_rect.txt", clip.boxes, "%.3f", ",")
    return folder


def test_a_packaged_student_becomes_the_integers_of_its_training_and_no_others(run, installed, monkeypatch):
    network = to_network(load_model(run / "student.safetensors"))
    assert read_network(Path("tiny-s4-kd")) == network
    said = json.loads((installed / "tiny-s4-kd" / "card.json").read_text())
    assert said["fingerprint"] == fingerprint(network)
    monkeypatch.setattr(networks, "card", lambda _: {"fingerprint": "0" * 64})
    with pytest.raises(FormatError, match=f"tiny-s4-kd: .*expected fingerprint 0{{64}}, got {fingerprint(network)}"):
        read_network(Path("tiny-s4-kd"))


@pytest.mark.usefixtures("installed")
def test_a_packaged_student_is_written_to_files_by_its_name(run, command, tmp_path):
    network = to_network(load_model(run / "student.safetensors"))
    for reader in ("net", "nir"):
        status, said = command("export", "tiny-s4-kd", tmp_path / reader, "--for", reader)
        assert (status, load(tmp_path / reader) == network) == (0, True), said


def test_a_packaged_student_keeps_its_weights(run, folder):
    stored = load_model(folder / "tiny-s4-kd" / "tiny-s4-kd.safetensors")
    assert all(
        torch.equal(v, stored.state_dict()[k]) for k, v in load_model(run / "student.safetensors").state_dict().items()
    )


def test_what_does_not_spike_has_no_network(installed):
    assert sorted(file.name for file in (installed / "tiny-teacher").iterdir()) == [
        "README.md", "card.json", "tiny-teacher.safetensors",
    ]  # fmt: skip
    with pytest.raises(MonospikeError, match="tiny-teacher"):
        read_network(Path("tiny-teacher"))


def test_a_card_says_how_the_model_was_made_and_what_it_scores(folder):
    card = json.loads((folder / "tiny-s4-kd" / "card.json").read_text())
    assert (card["seed"], card["steps"], card["time_steps"]) == (5, 2, 1)
    assert card["study"]["scores"] == {"otb": {"integer": {"mean_iou": 0.512, "success": 0.5, "precision": 0.7}}}
    text = (folder / "tiny-s4-kd" / "README.md").read_text()
    assert "| otb | integer | 0.512 | 0.500 | 0.700 | 0.500 ± 0.017 (0.488–0.512) |" in text
    assert "| Bird | 0.10 | 0.42 |" in text
    assert "monospike train runs/x/s4_kd/seed5/config.yaml" in text
    assert "seed4" not in text
    assert "CC BY 2.0" in text
    assert "47.8 µJ" in text


def test_a_card_without_a_study_tells_of_the_validation(folder):
    card = json.loads((folder / "tiny-teacher" / "card.json").read_text())
    assert f"validation: mean IoU {card['validation']['mean_iou']:.3f}" in in_markdown(card)


def test_terms_are_those_of_each_place_that_was_trained_on():
    found = data_terms(
        [
            {"kind": "video", "root": "${MONOSPIKE_DATA}/tracking/train"},
            {"kind": "voc", "root": "/elsewhere/detection/train/raccoon"},
            {"kind": "photos", "root": "/home/own/photos"},
            {"kind": "photos", "root": "${MONOSPIKE_DATA}/photos"},
            {"kind": "composed", "pictures": "builtin"},
        ]
    )
    assert [one["terms"].split(" ")[0] for one in found] == ["no", "MIT", "unknown;", "non-commercial", "CC"]


def test_models_are_known_by_name(installed):
    folder = installed
    assert list(packaged()) == ["tiny-s4-kd", "tiny-teacher"]
    assert checkpoint_path("tiny-teacher") == folder / "tiny-teacher" / "tiny-teacher.safetensors"
    frames = np.random.default_rng(1).integers(0, 256, (2, 96, 128, 3), np.uint8)
    tracker = open_tracker(str(checkpoint_path("tiny-s4-kd")), "integer", TrackerConfig())
    tracker.start(frames[0], np.array([40.0, 30, 30, 20]))
    assert np.isfinite(tracker.step(frames[1])).all()
    with pytest.raises(MonospikeError, match=r"no packaged model is called 'small' \(there are: tiny-s4-kd, tiny-teac"):
        checkpoint_path("small")


@pytest.mark.usefixtures("installed")
def test_the_list_has_their_scores(command):
    status, said = command("models")
    assert status == 0
    assert "tiny-s4-kd" in said
    assert "otb, integer: mean IoU 0.512" in said


@pytest.mark.usefixtures("installed")
def test_track_and_evaluate_take_a_name(command, sequence, tmp_path):
    status, said = command("track", sequence, "--tracker", "tiny-s4-kd", "--out", tmp_path / "out")
    assert status == 0, said
    assert "integer: 3 frames" in said
    out = tmp_path / "scores.json"
    status, said = command(
        "evaluate", "folder", "--root", sequence.parent, "--tracker", "tiny-s4-kd", "--engine", "integer", "--out", out
    )
    assert status == 0, said
    assert json.loads(out.read_text())["tracker"] == "tiny-s4-kd"


@pytest.mark.usefixtures("installed")
def test_simulate_takes_a_name(command, tmp_path):
    random = np.random.default_rng(2)
    crops = {
        "template": random.integers(-16, 16, (1, 3, 103, 103)),
        "search": random.integers(-16, 16, (2, 3, 143, 143)),
    }
    np.savez(tmp_path / "crops.npz", **crops)
    recorded = tmp_path / "recorded.npz"
    status, said = command("simulate", "tiny-s4-kd", "--input", tmp_path / "crops.npz", "--out", recorded)
    assert status == 0, said
    network = read_network(Path("tiny-s4-kd"))
    spikes = engine.run(network.template_network(), {"template": crops["template"]}).spikes
    searching = network.programmed({name: spikes[name][0] for name in ("class_kernel", "box_kernel")})
    expected = engine.run(searching, {"search": crops["search"]})
    found = Recording.load(recorded)
    for name in network.outputs:
        assert np.array_equal(found.membranes[name], expected.membranes[name])


@pytest.mark.usefixtures("installed")
def test_simulate_programs_one_target(command, tmp_path):
    random = np.random.default_rng(2)
    crops = {
        "template": random.integers(-16, 16, (2, 3, 103, 103)),
        "search": random.integers(-16, 16, (2, 3, 143, 143)),
    }
    np.savez(tmp_path / "crops.npz", **crops)
    status, said = command("simulate", "tiny-s4-kd", "--input", tmp_path / "crops.npz")
    assert status == 2
    assert "input 'template': the network is programmed for one target" in said


@pytest.mark.usefixtures("installed")
def test_a_name_alone_cannot_be_verified(command):
    status, said = command("verify", "tiny-s4-kd")
    assert status == 2
    assert "tiny-s4-kd: a model is verified on a sequence" in said


def test_the_command_packages(run, command, tmp_path):
    status, said = command("package", run, "--as", "one", "--model", "teacher", "--into", tmp_path)
    assert status == 0, said
    assert (tmp_path / "one" / "one.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("Bad Name", "teacher", None), "'Bad Name' is no name for a model: use small letters"),
        (("one", None, None), "choose one of its models with --model: student, teacher"),
        (("one", "pupil", None), "choose one of its models with --model: student, teacher"),
    ],
)
def test_what_cannot_be_packaged_is_said(run, tmp_path, arguments, complaint):
    name, model, results = arguments
    with pytest.raises(MonospikeError, match=complaint):
        package(run, name, model, results, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_study_that_has_not_judged_the_model_gives_it_no_scores(run, results, tmp_path):
    with pytest.raises(MonospikeError, match=r"teacher.safetensors: is none of the checkpoints .*s4_kd"):
        package(run, "one", "teacher", results, tmp_path)
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    with pytest.raises(FormatError, match=r"wrong.json: is not the results.json of a study"):
        package(run, "one", "teacher", wrong, tmp_path / "into")
    with pytest.raises(MonospikeError, match="holds no trained model"):
        package(tmp_path, "one", None, None, tmp_path / "into")


def test_a_model_that_is_too_large_is_refused(tmp_path):
    large = tmp_path / "large.safetensors"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(MonospikeError, match=r"large.safetensors: has 12,000,001 bytes, more than the 12,000,000"):
        package(large, "one", None, None, tmp_path / "into")


def test_what_comes_with_the_package_is_small_and_has_its_card():
    """Of the models that there are: none has to be there before it is trained."""
    for name, path in packaged().items():
        assert path.stat().st_size <= MOST_BYTES, name
        if not (path.parent / "card.json").exists():
            continue
        card = json.loads((path.parent / "card.json").read_text())
        assert card["sha256"] == file_digest(path), name
        assert (path.parent / "README.md").read_text() == in_markdown(card), name
