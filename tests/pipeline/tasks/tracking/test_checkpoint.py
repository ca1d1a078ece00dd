"""Checkpoints give the same model back, and are checked when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from netx import FormatError
from pipeline.models.safetensors_file import read_metadata
from pipeline.tasks.tracking.checkpoint import load_model, save_model


def test_a_checkpoint_gives_the_same_model_back(checkpoint: Path, tmp_path: Path) -> None:
    model = load_model(checkpoint)
    save_model(model, tmp_path / "it.safetensors", {"seed": "3"})
    loaded = load_model(tmp_path / "it.safetensors")
    assert not loaded.training
    assert loaded.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert read_metadata(tmp_path / "it.safetensors")["seed"] == "3"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.pop("decoder.scale"), r"tensor 'decoder.scale' is missing: this is the checkpoint of another"),
        (
            lambda t: t.update({"decoder.scale": torch.ones(2)}),
            r"'decoder.scale' has shape \(2,\), not \(\): .*another",
        ),
        (lambda t: t.update({"decoder.scale": torch.tensor(float("nan"))}), r"'decoder.scale' holds NaN or infinity"),
        (lambda t: t.update(extra=torch.ones(1)), r"tensor 'extra' belongs to no part of this architecture"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_the_tensor(
    checkpoint: Path, tmp_path: Path, change, complaint
) -> None:
    tensors = load_file(checkpoint)
    change(tensors)
    save_file(tensors, tmp_path / "bad.safetensors", read_metadata(checkpoint))
    with pytest.raises(FormatError, match=rf"bad.safetensors: .*{complaint}"):
        load_model(tmp_path / "bad.safetensors")


def test_a_truncated_checkpoint_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    path.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"it.safetensors: is not a complete safetensors file"):
        load_model(path)
    with pytest.raises(FormatError, match=r"nowhere.safetensors: there is no such checkpoint"):
        load_model(tmp_path / "nowhere.safetensors")


def test_a_students_checkpoint_of_an_older_release_is_told_to_be_trained_again(tmp_path: Path) -> None:
    save_file({"box_scale": torch.ones(())}, tmp_path / "old.safetensors", {"student": '{"template": 48}'})
    with pytest.raises(FormatError, match=r"old.safetensors: .*a student of an older release, .*trained again"):
        load_model(tmp_path / "old.safetensors")
