"""Checkpoints of ``monospike train`` as trackers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netx.errors import FormatError, MonospikeError
from pipeline.tasks.tracking.checkpoint import save_model
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.initialisation import calibrate
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.trackers import open_tracker

SIZES = {"width": WIDTHS["tiny"], "template": 103, "search": 143}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """An untrained spiking student and an untrained teacher on disk."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(2)
    noise = [torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (103, 143)]
    save_model(calibrate(SpikingSiamFCpp(SpikingConfig(**SIZES)), *noise), folder / "student.safetensors", {})
    save_model(SiamFCpp(SiamFCppConfig(**SIZES)), folder / "teacher.safetensors", {})
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
