"""Planning takes a model by its name or checkpoint, and real frames from a sequence that it follows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from netx import MonospikeError
from netx.bundle import save
from pipeline.cli.app import app
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.sequence import Sequence
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.tasks.tracking.checkpoint import load_model
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.crop import mean_colour
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.predictor import search_pixels, template_pixels, track
from pipeline.tasks.tracking.scorer import IntegerScorer, geometry_of


@pytest.fixture(scope="module")
def student(checkpoint: Path) -> SpikingSiamFCpp:
    model = load_model(checkpoint)
    assert isinstance(model, SpikingSiamFCpp)
    return model


@pytest.fixture(scope="module")
def sequence() -> Sequence:
    return compose(open_pictures("builtin"), CompositionSpec(frames=5, height=96, width=128, object_size=(20, 30)), 3)


@pytest.fixture(scope="module")
def place(
    checkpoint: Path, student: SpikingSiamFCpp, sequence: Sequence, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a checkpoint, its network as a file, and a sequence as pictures, with its first true box alone."""
    folder = tmp_path_factory.mktemp("planning")
    shutil.copyfile(checkpoint, folder / "tiny.safetensors")
    save(to_network(student), folder / "network")
    (folder / "pictures").mkdir()
    for number, frame in enumerate(sequence.frames):
        Image.fromarray(frame).save(folder / "pictures" / f"{number:04}.png")
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_checkpoint_is_mapped_as_its_network_is(place: Path) -> None:
    written = []
    for name in ("tiny.safetensors", "network"):
        result = run("map", place / name, "--chip", "loihi2", "--out", place / "map.json")
        assert result.exit_code == 0, result.output
        written.append(json.loads((place / "map.json").read_text()))
    assert written[0] == written[1]


@pytest.mark.parametrize("name", ["demo", "small-dst"])
def test_a_packaged_model_is_mapped_by_its_name(name: str, tmp_path: Path) -> None:
    run("map", name, "--chip", "loihi2", "--out", tmp_path / "map.json")
    layers = [layer["name"] for layer in json.loads((tmp_path / "map.json").read_text())["layers"]]
    assert {"template_conv1", "search_conv1", "class", "centre", "box"} <= set(layers)


def test_frames_of_a_sequence_are_the_crops_that_the_tracker_looks_at(
    place: Path, student: SpikingSiamFCpp, sequence: Sequence
) -> None:
    x, y, width, height = sequence.boxes[0]
    followed = place / "followed.json"
    asked = ("--chip", "loihi1_sanafe", "--chips", 4)
    result = run(
        *("profile", place / "tiny.safetensors", *asked, "--sequence", place / "pictures", "--most", 3),
        *("--box", f"{x},{y},{width},{height}", "--out", followed),
    )
    assert result.exit_code == 1, result.output  # pixels are numbers, which Loihi 1 cannot send

    geometry, settings = geometry_of(student.config), TrackerConfig()
    scorer = IntegerScorer(student)
    boxes = track(scorer, sequence.frames[:4], sequence.boxes[0], geometry, settings)
    border = [int(mean) for mean in mean_colour(sequence.frames[0])]
    crops = [search_pixels(sequence.frames[i], boxes[i - 1], geometry, settings, border) for i in (1, 2, 3)]
    template = template_pixels(sequence.frames[0], boxes[0], geometry, settings, border)
    bits = 8 - student.config.pixel_bits  # the chip takes the upper ones
    np.savez(place / "crops.npz", template=template >> bits, search=np.concatenate(crops) >> bits)
    cropped = place / "cropped.json"
    run("profile", place / "network", *asked, "--frames", place / "crops.npz", "--out", cropped)
    assert json.loads(followed.read_text()) == json.loads(cropped.read_text())
    assert json.loads(followed.read_text())["frames"] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("map", "nobody", "--chip", "loihi2"), "no packaged model is called 'nobody' (there are: demo, "),
        (("map", "gone.safetensors", "--chip", "loihi2"), "gone.safetensors: there is no such checkpoint"),
        (("map", "small-teacher", "--chip", "loihi2"), "holds no spiking network; take a student"),
        (("profile", "demo", "--chip", "loihi2"), "give real frames with --frames or, of a tracker, a sequence"),
        (("profile", "demo", "--chip", "loihi2", "--sequence", "gone"), "gone: there is no such sequence or video"),
        (("profile", "demo", "--chip", "loihi2", "--sequence", "x", "--layers", "2"), "--layers: is for a lava-dl"),
        (("profile", "demo", "--chip", "loihi2", "--frames", "x", "--box", "1,2,3,4"), "--box: is where a target"),
    ],
)
def test_what_is_no_model_or_sequence_is_named(words: tuple[str, ...], message: str) -> None:
    result = run(*words)
    assert isinstance(result.exception, MonospikeError)
    assert message in str(result.exception)


def test_a_sequence_without_a_box_asks_for_one_and_pictures_of_a_tracker_for_a_sequence(place: Path) -> None:
    asked = ("profile", place / "tiny.safetensors", "--chip", "loihi2")
    assert "give --box" in str(run(*asked, "--sequence", place / "pictures").exception)
    assert "with --sequence" in str(run(*asked, "--frames", place / "pictures").exception)
