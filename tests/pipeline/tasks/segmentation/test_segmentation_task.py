"""Segmentation goes the whole way on drawn sequences: trained, rounded, exported, simulated, verified, reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from moving_colours import write_scene
from safetensors.torch import save_file

from netx.errors import FormatError, MonospikeError
from pipeline.core.config import ConfigError, read_values
from pipeline.core.progress import Progress
from pipeline.core.task import Batch
from pipeline.datasets.label_masks import read_labels
from pipeline.models.mobilenet import MobileNetV2
from pipeline.tasks import find_task, task_of
from pipeline.tasks.config import parse_training
from pipeline.tasks.segmentation.config import SegmenterProcessing
from pipeline.tasks.segmentation.losses import hardest_cross_entropy, overlap_loss
from pipeline.tasks.segmentation.models.config import SegmenterConfig
from pipeline.tasks.segmentation.models.memory import Decoded, Encoded, Memory
from pipeline.tasks.segmentation.models.spiking import PARTS
from pipeline.tasks.segmentation.models.stm import Stm
from pipeline.tasks.segmentation.segmenter import MemorySegmenter

CONFIG = Path(__file__).parents[4] / "configs" / "segmentation_online.yaml"

pytestmark = pytest.mark.timeout(600)


def training(root: Path, **changes: object) -> dict:
    """The shipped online distillation, made small."""
    values, size = read_values(CONFIG), {"height": 32, "width": 48}
    student = {"architecture": {"kind": "spiking_stm", "channels": "tiny", **size}}
    teacher = {"architecture": {"kind": "stm", "size": "tiny", "frozen_norms": False, **size}}
    return {
        **values,
        "name": "scenes",
        "models": {"student": student, "teacher": teacher},
        "data": {**size, "frames": 3, "objects": 2, "sources": [{"kind": "masked", "root": str(root), "gap": 1}]},
        "train": {**values["train"], "steps": 3, "batch": 2, "workers": 0, "blocks": "plain"},
        "validation": {"every": 100, "data": {"root": str(root)}, "sequences": 1, "frames": 5},
        **changes,
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory, monospike) -> Path:
    """A folder with sequences and trained models."""
    folder = tmp_path_factory.mktemp("segmentation")
    for name in ("a", "b"):
        write_scene(folder / "scenes" / name)
    (folder / "training.yaml").write_text(yaml.safe_dump(training(folder / "scenes")))
    done = monospike("train", "training.yaml", "--device", "cpu", cwd=folder)
    assert done.returncode == 0, done
    return folder


def test_a_training_leaves_models_with_their_scores_and_what_is_done_around_them(place) -> None:
    metrics = json.loads((place / "runs/scenes/metrics.json").read_text())
    assert metrics["student"]["frames"] == metrics["teacher"]["frames"] == 5
    assert 0 <= metrics["student"]["j_and_f"] <= 1
    assert 0 < metrics["student"]["spike_rate"] < 1
    assert set(metrics["student"]["rounding"]["j_and_f"]) == {"float", "integer"}
    lines = [json.loads(line) for line in (place / "runs/scenes/log.jsonl").read_text().splitlines()]
    names = {name for line in lines for name in line}
    assert {"student/cross_entropy", "student/overlap", "teacher/cross_entropy", "teacher/overlap"} <= names
    distilled = ("class_kd", "stff_kd", "boundary_kd", "relation_kd", "adversarial", "adversarial_discriminator")
    assert {f"student/{name}" for name in distilled} | {"teacher/class_kd", "online/gap", "rate/discriminator"} <= names


def test_a_segmenter_of_either_form_is_scored_and_leaves_masks(place, monospike, tmp_path) -> None:
    checkpoint = place / "runs/scenes/student.safetensors"
    assert task_of(checkpoint).name == "segmentation"
    for form in ("float", "integer"):
        options = (
            "--root",
            place / "scenes",
            "--model",
            checkpoint,
            "--engine",
            form,
            "--out",
            tmp_path / f"{form}.json",
        )
        done = monospike("evaluate", "masks", *options, cwd=place)
        assert done.returncode == 0, done
        scores = json.loads((tmp_path / f"{form}.json").read_text())
        assert set(scores["sequences"]) == {"a", "b"}
        assert scores["fps"] > 0
    mask = place / "scenes/a/mask/0001.png"
    options = ("--mask", mask, "--model", checkpoint, "--engine", "integer", "--out", tmp_path / "out")
    done = monospike("segment", place / "scenes/a/img", *options, cwd=place)
    assert done.returncode == 0, done
    masks = sorted((tmp_path / "out/masks").glob("*.png"))
    assert len(masks) == 6
    assert np.array_equal(read_labels(masks[0]), read_labels(mask)), "the first one is given"


def test_a_teacher_has_no_integers(place) -> None:
    teacher, task = place / "runs/scenes/teacher.safetensors", find_task("segmentation")
    with pytest.raises(MonospikeError, match="a teacher has no integers"):
        task.predictor(teacher, "integer")
    with pytest.raises(MonospikeError, match="holds no spiking network"):
        task.deployable(teacher)
    task.predictor(teacher, "float")


@pytest.mark.lava
def test_the_student_goes_through_all_stages(place, monospike) -> None:
    values = {
        "task": "segmentation",
        "name": "deployed",
        "model": "runs/scenes/student.safetensors",
        "data": {"root": "scenes", "sequences": 1},
        "segmenter": {"every": 5},
        "simulate": {"frames": 1, "lava_seconds": 280, "lava_convolution": "fast"},
        "profile": {"energy": ["horowitz_45nm_int8"], "chips": ["loihi2"]},
    }
    (place / "run.yaml").write_text(yaml.safe_dump(values))
    done = monospike("deploy", "run.yaml", cwd=place)
    assert done.returncode == 0, done
    assert "identical in slayer, engine, lava-fast, norse: 18 layers, 12 frames" in done.stdout
    report = json.loads((place / "runs/deployed/report.json").read_text())
    assert report["accuracy"]["frames"] == 6
    assert set(report["accuracy"]["still"]) == {"j_and_f", "j", "f", "recall", "decay"}
    html = (place / "runs/deployed/report.html").read_text()
    assert '<section id="segmentation">\n<h2>The followed objects</h2>' in html
    assert "Line plot of J&amp;F by frame" in html
    assert (place / "runs/deployed/segmentation.gif").is_file()
    layers = {row["name"] for row in report["planning"]["loihi2"]["layers"]}
    assert {"key", "value", "answer"} <= layers, "all parts are planned for"


def test_what_enters_the_parts_is_what_the_host_made_of_the_sequence(place) -> None:
    task = find_task("segmentation")
    deployable = task.deployable(place / "runs/scenes/student.safetensors")
    config = task.data_config(root=str(place / "scenes"), sequences=1)
    folder = place / "samples"
    folder.mkdir()
    assert task.write_samples(config, 1, folder, Progress(quiet=True)) == "1 sequences, 6 frames"
    samples = task.read_samples(folder)
    targets = deployable.targets(deployable.network(), samples, 3, 1)
    assert tuple(targets) == PARTS == deployable.priced
    assert [target.real for target in targets.values()] == [3, 3, 3]
    image, masked = targets["encoder"].frames["image"], targets["memory"].frames["masked"]
    assert np.array_equal(masked[0, :3], image[0]), "the first frame, for the first of two objects"
    assert np.array_equal(masked[1, :3], image[0])
    assert np.array_equal(masked[0, 3], masked[1, 4]), "what is one object's is the other's others"
    skips = deployable.model.in_torch("encoder", {"image": torch.from_numpy(image[1:2])})
    joined = torch.cat([skips["conv_8"], skips["conv_8_1"]], dim=1).detach().numpy()
    assert np.array_equal(targets["decoder"].frames["skip_8"][0], joined[0]), "the second frame is the first to be read"
    np.savez(folder / "0000.npz", name="a")
    with pytest.raises(FormatError, match=r"0000\.npz: is no sequence with masks"):
        task.read_samples(folder)


class _Noted:
    """A memory network that notes which frames it reads, known by their red."""

    def __init__(self) -> None:
        self.read_from: list[list[int]] = []

    def encode(self, frames: torch.Tensor) -> Encoded:
        return Encoded(frames[:, :1, ::16, ::16], {})

    def memorise(self, frames, encoded, masks, others) -> Memory:
        del frames, masks, others
        return Memory.of(encoded.key, encoded.key)

    def read(self, memory: Memory, encoded: Encoded) -> torch.Tensor:
        self.read_from.append(sorted(set(memory.keys[0, 0].int().tolist())))
        return encoded.key

    def decode(self, encoded: Encoded, read: torch.Tensor) -> Decoded:
        del encoded
        return Decoded(torch.full((len(read), 1, 8, 8), 3.0), {})


@pytest.mark.parametrize(("most", "last"), [(None, [0, 5, 10, 11]), (1, [0, 10, 11]), (0, [0, 11])])
def test_the_first_the_previous_and_every_fifth_frame_are_remembered(most, last) -> None:
    network = _Noted()
    processing = SegmenterProcessing(every=5, most=most)
    segmenter = MemorySegmenter(network, SegmenterConfig(height=32, width=32), processing)
    mask = np.zeros((40, 50), np.uint8)
    mask[5:20, 5:20], mask[25:, 25:] = 3, 7
    for number in range(13):
        frame = np.full((40, 50, 3), number, np.uint8)
        if number:
            found = segmenter.step(frame)
        else:
            segmenter.start(frame, mask)
    assert network.read_from[:5] == [[0], [0, 1], [0, 2], [0, 3], [0, 4]]
    assert network.read_from[-1] == last
    assert found.shape == (40, 50)
    assert set(np.unique(found)) <= {0, 3, 7}


def test_the_losses_are_their_formulas() -> None:
    logits = torch.tensor([[[[2.0, 0.0, 1.0, 5.0]], [[0.0, 1.0, 1.0, -5.0]]]])
    labels = torch.tensor([[[0, 1, 1, 255]]])
    chances = logits.softmax(dim=1)[0, :, 0]
    worst = sorted([-chances[0, 0].log(), -chances[1, 1].log(), -chances[1, 2].log(), torch.tensor(0.0)])
    assert torch.isclose(hardest_cross_entropy(logits, labels, 0.5), (worst[-1] + worst[-2]) / 2)
    one = chances[1]
    assert torch.isclose(overlap_loss(logits, labels), 1 - (one[1] + one[2]) / (2 + one[0]))
    assert overlap_loss(logits, torch.zeros_like(labels)) == 0


def test_what_does_not_fit_together_is_refused(place) -> None:
    root = place / "scenes"
    for changes, message in (
        ({"data": {**training(root)["data"], "height": 48}}, "models.student.architecture: sees frames of 32 x 48"),
        ({"validation": {}}, "validation.data: name sequences; those of the training are trained on"),
        ({"data": {**training(root)["data"], "frames": 1}}, "data.frames: the first frame is given"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse_training(training(root, **changes), "here")
    values = training(root)
    values["models"]["student"]["backbone_weights"] = "x"
    with pytest.raises(ConfigError, match="backbone_weights: are for a teacher"):
        parse_training(values, "here")


def test_composed_sequences_need_no_data(tmp_path) -> None:
    composed = {"kind": "composed", "composition": {"object_size": [20, 25], "height": 96, "width": 128, "pan": 1}}
    data = {"height": 32, "width": 48, "frames": 3, "objects": 2, "sources": [composed]}
    validation = {"every": 100, "sequences": 1, "frames": 4}
    task, config = parse_training(training(tmp_path, data=data, validation=validation), "here")
    batch = task.batches(config, 0)[0]
    assert isinstance(batch, Batch)
    assert batch["frames"].shape == (2, 3, 3, 32, 48)
    scores = task.validator(config).validate(
        task.build_model(config.models["student"].architecture), torch.device("cpu")
    )
    assert scores["frames"] == 4


def test_both_encoders_of_a_teacher_start_from_the_weights_of_a_mobilenet(tmp_path) -> None:
    torch.manual_seed(2)
    source = MobileNetV2().state_dict()
    save_file(source, tmp_path / "mobilenet.safetensors")
    values = training(tmp_path)
    values["models"]["teacher"]["backbone_weights"] = str(tmp_path / "mobilenet.safetensors")
    task, config = parse_training(values, "here")
    model = task.initialised("teacher", task.build_model(config.models["teacher"].architecture), config, lambda _: [])
    assert isinstance(model, Stm)
    for encoder in (model.encoder, model.memory_encoder.backbone):
        state = encoder.state_dict()
        assert all(torch.equal(value, source[name]) for name, value in state.items())
        assert not any(name.startswith("features.14") for name in state), "nothing behind stride 16"
