"""A .net file that begins with a convolution does not say the size of its frames: every command takes it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from netx.bundle import load
from netx.errors import FormatError, NetworkError
from netx.types import Shape
from pipeline.cli.app import app


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def conv_first(tmp_path: Path) -> Path:
    """As lava-dl 0.6.0 exports a block without an input block: two channels, 3x3, four outputs of 4x5."""
    path = tmp_path / "conv.net"
    with h5py.File(path, "w") as file:
        layer = file.create_group("layer/0")
        layer["type"] = np.array([b"conv"])
        layer["shape"] = np.array([4, 4, 5])
        layer["inChannels"], layer["outChannels"], layer["groups"] = 2, 4, 1
        for name, value in (("kernelSize", 3), ("stride", 1), ("padding", 0), ("dilation", 1)):
            layer[name] = np.array([value, value])
        layer["weight"] = np.random.default_rng(0).integers(-4, 5, (4, 2, 3, 3)) * 2.0
        neuron = layer.create_group("neuron")
        for name, value in (("type", b"CUBA"), ("iDecay", 4096), ("vDecay", 4096), ("vThMant", 5), ("refDelay", 1)):
            neuron[name] = value
        neuron["gradedSpike"] = False
    return path


def commands(path: Path) -> dict[str, tuple[object, ...]]:
    frames = path.with_name("frames.npy")
    np.save(frames, np.random.default_rng(1).integers(0, 2, (3, 2, 6, 7)))
    return {
        "lint": ("lint", path),
        "simulate": ("simulate", path, "--input", frames),
        "map": ("map", path, "--chip", "loihi2"),
        "profile": ("profile", path, "--chip", "loihi1_sanafe", "--frames", frames),
        "export": ("export", path, path.with_name("out.nir"), "--for", "norse"),
        "diff": ("diff", path, path, "--frames", frames),
    }


@pytest.mark.parametrize("name", ["lint", "simulate", "map", "profile", "export", "diff"])
def test_the_option_is_asked_for_by_name_and_then_is_enough(conv_first: Path, name: str) -> None:
    words = commands(conv_first)[name]
    without = run(*words)
    assert without.exit_code != 0
    assert "--input-shape" in (without.output if name == "lint" else str(without.exception))
    assert isinstance(without.exception, SystemExit if name == "lint" else FormatError)
    with_it = run(*words, "--input-shape", "2,6,7")
    assert with_it.exit_code == 0, with_it.output


def test_frames_have_the_size_that_was_said(conv_first: Path) -> None:
    network = load(conv_first, Shape(2, 6, 7))
    assert network.inputs[0].shape == (2, 6, 7)
    assert network.shape(network.outputs[0]) == (4, 4, 5)


@pytest.mark.parametrize("text", ["2,6", "2;6;7", "two,6,7", "2,6,-7"])
def test_what_is_no_shape_is_refused(conv_first: Path, text: str) -> None:
    result = run("map", conv_first, "--chip", "loihi2", "--input-shape", text)
    assert isinstance(result.exception, NetworkError)
    assert "--input-shape" in str(result.exception)
