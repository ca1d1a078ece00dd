"""``monospike verify CHECKPOINT --sequence``: the whole tracker, re-programmed on its way, in Lava over a sequence."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sim.lava
from netx import Network
from pipeline.cli import app as cli
from pipeline.core.task import SequenceRun
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.datasets.video_source import open_video
from pipeline.deploy.sequence_verification import CheckSettings, check_sequence, in_lava
from pipeline.tasks.tracking.checkpoint import save_model
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.initialisation import calibrate
from pipeline.tasks.tracking.model_tracker import around
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig, SpikingConfig, Width
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.predictor import search_pixels, template_pixels
from pipeline.tasks.tracking.recorded_crops import Passages, Programming, Selection, crops_of_sequence
from pipeline.tasks.tracking.scorer import IntegerScorer, geometry_of
from sim import engine
from sim.recording import Recording

FRAMES = 7
SIDES = {"template": 103, "search": 143}


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A composed sequence in OTB's layout."""
    folder = tmp_path_factory.mktemp("data") / "Walk"
    (folder / "img").mkdir(parents=True)
    composed = compose(open_pictures(), CompositionSpec(frames=FRAMES, height=160, width=200), seed=5)
    for number, frame in enumerate(composed.frames, start=1):
        Image.fromarray(frame).save(folder / "img" / f"{number:04}.png")
    np.savetxt(folder / "groundtruth_rect.txt", composed.boxes, delimiter=",", fmt="%.3f")
    return folder


def student(sequence: Path, **options: object) -> SpikingSiamFCpp:
    """An untrained student in every layer of which some neurons spike."""
    torch.manual_seed(1)
    config = SpikingConfig(**{"width": WIDTHS["tiny"], **SIDES, **options})
    pictures = [Image.open(path) for path in sorted((sequence / "img").iterdir())[:2]]
    crops = [
        torch.from_numpy(np.stack([np.array(p.resize((side, side))).transpose(2, 0, 1) for p in pictures]))
        for side in SIDES.values()
    ]
    made = calibrate(SpikingSiamFCpp(config), *crops)
    with torch.no_grad():
        made(*crops)  # the running means have seen something
    return made.eval()


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    def run(*arguments: object) -> tuple[int, str]:
        words = ["monospike", "verify", *map(str, arguments), "--runs", str(tmp_path / "runs")]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed, error = capsys.readouterr()
        return end.value.code or 0, printed + error

    return run


def watched(
    model: SpikingSiamFCpp, sequence: Path, selection: Selection, network: Network | None = None
) -> SequenceRun:
    """The tracker on its way. network: in place of the model's own integers."""
    passages = Passages(model, network or IntegerScorer(model).network)
    given = enumerate(looked_at(model, sequence, selection))
    return SequenceRun("Walk", to_network(model), "search", tuple(p for n, one in given for p in passages.of(n, one)))


def looked_at(model: SpikingSiamFCpp, sequence: Path, selection: Selection) -> list[Programming]:
    video, settings = open_video(sequence), TrackerConfig()
    assert video.annotated
    scorer = IntegerScorer(model)
    return crops_of_sequence(
        lambda s: around(s, model, settings), scorer, video, video.boxes[0], selection, lambda _: None
    )


@pytest.mark.lava
def test_every_layer_of_the_tracker_is_identical_in_lava_over_a_sequence(verify, sequence, tmp_path):
    checkpoint = tmp_path / "tiny.safetensors"
    model = student(sequence)
    save_model(model, checkpoint, {})
    code, printed = verify(checkpoint, "--sequence", sequence, "--reprogram", 4)
    assert code == 0, printed
    assert "6 frames, 2 targets programmed; Lava's own convolution, and in wide layers a drop-in" in printed
    folder = tmp_path / "runs" / "verify" / "tiny-Walk"
    written = json.loads((folder / "verification.json").read_text())
    assert written["identical"]
    assert written["engines"] == ["slayer", "plain", "engine", "lava-proven"]
    assert written["frames"] == [[1, 2, 3, 4], [5, 6]]
    network = IntegerScorer(model).network
    kernels = network.template_network()
    layers = {layer["name"]: layer for layer in written["layers"]}
    assert set(layers) == {layer.name for layer in network.layers}
    for name, layer in layers.items():
        frames = 2 if name in {k.name for k in kernels.layers} else FRAMES - 1
        assert layer["values"] == frames * network.shape(name).size
        assert layer["differing_by_engine"] == {"plain": 0, "engine": 0, "lava-proven": 0}
        assert name in network.outputs or 0 < layer["spikes"] < layer["values"], f"{name}: silence shows nothing"
    assert sorted(file.name for file in folder.iterdir()) == [".lock", "verification.json"]


@pytest.mark.lava
def test_more_groups_than_stock_lava_takes_are_identical_as_block_diagonal_kernels(sequence, tmp_path):
    width = Width(backbone=(4, 4, 6, 6, 6), neck=128, head=4, tower=1)  # at 128 groups stock Lava sends zeros
    model = student(sequence, width=width)
    network = IntegerScorer(model).network
    assert in_lava(network, "stock").endswith(
        "class_correlation (128 groups as 64), box_correlation (128 groups as 64)"
    )
    assert in_lava(network, "fast") == "the drop-in convolution for Lava"
    run = watched(model, sequence, Selection(most=2))
    verdict = check_sequence(run, CheckSettings("stock", 200, tmp_path, ""), lambda _: None)
    assert verdict.identical, verdict.message()
    spikes = {layer["name"]: layer["spikes"] for layer in verdict.to_json()["layers"]}
    assert spikes["class_correlation"] > 0
    assert spikes["box_correlation"] > 0


@pytest.mark.usefixtures("engine_for_lava")
def test_another_threshold_in_the_network_is_found_in_its_layer_and_frame(sequence, tmp_path):
    model = student(sequence)
    network = IntegerScorer(model).network

    def raised(layer):
        other = layer.name == "box_map"
        return replace(layer, neuron=replace(layer.neuron, threshold=layer.neuron.threshold + 200)) if other else layer

    changed = replace(network, layers=tuple(map(raised, network.layers)))
    run = watched(model, sequence, Selection(most=4, every=2), changed)
    verdict = check_sequence(run, CheckSettings("fast", 60, tmp_path, ""), lambda _: None)
    assert not verdict.identical
    first = verdict.to_json()["first_divergence"]
    assert (first["layer"], first["frame"]) == ("box_map", 2)
    differing = {layer["name"]: layer["differing_by_engine"] for layer in verdict.to_json()["layers"]}
    assert differing["box_map"]["engine"] == differing["box_map"]["lava"] > 0
    assert differing["box_map"]["plain"] == 0
    assert not any(differing["search_conv5"].values())


@pytest.fixture
def engine_for_lava(monkeypatch):
    """Lava's place taken by the engine, for what is not about Lava; the list of the networks that were run."""
    calls: list[tuple[str, ...]] = []

    def run(network, frames, **_):
        calls.append(network.outputs)
        result = engine.run(network, frames)
        return Recording("lava", result.spikes, result.membranes)

    monkeypatch.setattr(sim.lava, "run", run)
    return calls


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"head": "host"},
        {"head": "host", "encoder": "host", "conv5": "real"},
        {"neurons": {"reset": "subtract", "voltage_decay": 0.3}, "surrogate": {"shape": "atan"}},
    ],
    ids=["all on the chip", "head on the host", "encoder and head on the host", "trained as SLAYER cannot"],
)
def test_students_of_every_kind_are_compared_in_all_their_layers(sequence, tmp_path, engine_for_lava, options):
    model = student(sequence, **options)
    run = watched(model, sequence, Selection(most=2))
    verdict = check_sequence(run, CheckSettings("stock", 60, tmp_path, ""), lambda _: None)
    assert verdict.identical, verdict.message()
    assert {layer["name"] for layer in verdict.to_json()["layers"]} == {
        la.name for la in IntegerScorer(model).network.layers
    }
    assert len(engine_for_lava) == 2


def test_a_check_that_was_stopped_goes_on_and_one_that_has_ended_starts_anew(
    sequence, tmp_path, engine_for_lava, monkeypatch
):
    monkeypatch.setattr("pipeline.deploy.sequence_verification._MOST_FRAMES", 2)
    model = student(sequence)
    run = watched(model, sequence, Selection())
    settings = CheckSettings("stock", 60, tmp_path, "a")

    def stop(done: int) -> None:
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_sequence(run, settings, stop)
    assert len(engine_for_lava) == 2
    whole = check_sequence(run, settings, lambda _: None)
    assert len(engine_for_lava) == 4
    assert whole.comparison.frames == 1 + 6
    assert check_sequence(run, settings, lambda _: None) == whole
    assert len(engine_for_lava) == 8
    with pytest.raises(KeyboardInterrupt):
        check_sequence(run, settings, stop)
    check_sequence(run, replace(settings, stamp="another checkpoint"), lambda _: None)
    assert len(engine_for_lava) == 14, "what another checkpoint has left is not taken"


def test_the_crops_are_those_around_the_trackers_own_boxes(sequence):
    model = student(sequence)
    video = open_video(sequence)
    frames, box = list(video.frames()), video.boxes[0]
    settings = TrackerConfig()
    tracker = around(IntegerScorer(model), model, settings)
    tracker.start(frames[0], box)
    boxes = [box, *(tracker.step(frame) for frame in frames[1:5])]
    first, second = looked_at(model, sequence, Selection(most=6, every=2, reprogram=4))
    geometry = geometry_of(model.config)
    assert (first.taken, first.frames, second.taken, second.frames) == (0, (2, 4), 4, (6,))
    np.testing.assert_array_equal(first.template, template_pixels(frames[0], box, geometry, settings))
    for crop, number in zip(first.searches, first.frames, strict=True):
        np.testing.assert_array_equal(crop[None], search_pixels(frames[number], boxes[number - 1], geometry, settings))
    np.testing.assert_array_equal(second.template, template_pixels(frames[4], boxes[4], geometry, settings))


def test_what_cannot_be_verified_is_refused_in_words(verify, sequence, tmp_path):
    teacher, spiking = tmp_path / "teacher.safetensors", tmp_path / "student.safetensors"
    save_model(SiamFCpp(SiamFCppConfig(width=WIDTHS["tiny"], **SIDES)), teacher, {})
    save_model(student(sequence), spiking, {})
    (tmp_path / "one" / "img").mkdir(parents=True)
    Image.fromarray(np.zeros((90, 90, 3), np.uint8)).save(tmp_path / "one" / "img" / "1.png")
    for arguments, message in (
        ((spiking,), "a model is verified on a sequence; name its folder with --sequence"),
        ((teacher, "--sequence", sequence), "holds no spiking network"),
        ((spiking, "--sequence", tmp_path / "nowhere"), "there is no such sequence or video"),
        (
            (spiking, "--sequence", sequence, "--convolution", "slow"),
            "--convolution 'slow': expected one of stock, fast, proven",
        ),
        ((spiking, "--sequence", sequence, "--box", "900,9,9,9"), "lies outside the frame"),
        ((spiking, "--sequence", tmp_path / "one", "--box", "9,9,30,30"), "no frame after the first is left to check"),
    ):
        code, printed = verify(*arguments)
        assert code == 2, printed
        assert message in printed
