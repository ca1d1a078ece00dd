"""Checkpoints of ``monospike train`` as trackers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netx.errors import FormatError, MonospikeError
from pipeline.cli.options import tracker_settings
from pipeline.core.boxes import iou
from pipeline.core.config import parse_config
from pipeline.core.seeds import derived_seed
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.tasks.tracking.checkpoint import load_model, save_model
from pipeline.tasks.tracking.config import TrackerConfig, ValidationConfig
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.initialisation import calibrate
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.predictor import Geometry, track
from pipeline.tasks.tracking.scorer import ModelScorer
from pipeline.tasks.tracking.trackers import open_tracker
from pipeline.tasks.tracking.validation import validate, validation_tracks

SIZES = {"width": WIDTHS["tiny"], "template": 103, "search": 143}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """An untrained spiking student and an untrained teacher on disk."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(2)
    noise = [torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (103, 143)]
    save_model(calibrate(SpikingSiamFCpp(SpikingConfig(**SIZES)), *noise), folder / "student.safetensors")
    save_model(SiamFCpp(SiamFCppConfig(**SIZES)), folder / "teacher.safetensors")
    return folder


def follow(tracker):
    frames = np.random.default_rng(4).integers(0, 256, (3, 120, 160, 3), np.uint8)
    tracker.start(frames[0], np.array([60.0, 40, 30, 24]))
    return np.array([tracker.follow(frame) for frame in frames[1:]])


def test_a_student_tracks_in_real_values_and_in_integers(checkpoints):
    path = str(checkpoints / "student.safetensors")
    boxes = {engine: follow(open_tracker(path, engine, TrackerConfig())) for engine in ("float", "integer")}
    for found in boxes.values():
        assert np.isfinite(found).all()
        assert (found[:, 2:] > 0).all()
    assert not np.array_equal(boxes["float"], boxes["integer"]), "the float form should not run on the integers"


def test_a_teacher_tracks_in_real_values_only(checkpoints):
    path = str(checkpoints / "teacher.safetensors")
    assert follow(open_tracker(path, "float", TrackerConfig())).shape == (2, 4)
    with pytest.raises(MonospikeError, match=r"teacher.safetensors: holds no spiking network"):
        open_tracker(path, "integer", TrackerConfig())


def test_a_cut_checkpoint_is_refused(checkpoints, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes((checkpoints / "student.safetensors").read_bytes()[:-50])
    with pytest.raises(FormatError, match=r"cut.safetensors: is not a complete safetensors file"):
        open_tracker(str(path), "float", TrackerConfig())


@pytest.mark.parametrize(("name", "engine"), [("student", "integer"), ("teacher", "float")])
def test_validation_during_a_training_follows_a_sequence_as_evaluate_does(checkpoints, name, engine):
    """The same boxes, with the configuration's defaults in one and the command's settings in the other."""
    path = checkpoints / f"{name}.safetensors"
    spec = CompositionSpec(frames=5, height=120, width=160, object_size=(24, 36))
    config = parse_config(
        {"sequences": 1, "composition": spec.model_dump(mode="json")}, ValidationConfig, "validation of the training"
    )
    (shown,) = validation_tracks(config, seed=3)
    validated = validate(load_model(path), [shown], TrackerConfig())["sequences"][shown.name]
    tracker = open_tracker(str(path), engine, tracker_settings(str(path), None, "otb100"))
    tracker.start(shown.frames[0], shown.boxes[0])
    boxes = np.array([tracker.follow(frame) for frame in shown.frames[1:]])
    scorer, geometry = ModelScorer(load_model(path)), Geometry(103, 143, 8, 8)
    followed = track(scorer, shown.frames, shown.boxes[0], geometry, TrackerConfig())
    np.testing.assert_array_equal(followed[1:], boxes)
    assert validated == pytest.approx(float(iou(boxes, shown.boxes[1:]).mean()), abs=0)


def test_a_tracker_around_other_crops_than_its_weights_were_trained_with_is_refused(checkpoints):
    with pytest.raises(FormatError, match=r"student.safetensors: was trained with context = 0.5, .* says 0.25"):
        open_tracker(str(checkpoints / "student.safetensors"), "integer", TrackerConfig(context=0.25))


def test_no_two_sequences_of_a_validation_have_one_seed_nor_one_of_another_purpose():
    seeds = [
        derived_seed(seed, purpose, index)
        for seed in range(3)
        for purpose in ("validation", "sequence")
        for index in range(2000)
    ]
    assert len(set(seeds)) == len(seeds)
