"""``simulate --nirdata`` and ``verify --against``: one simulator's results held against another's."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from netx import LIF, Conv2d, Input, Layer, Network, Shape
from netx.bundle import save
from pipeline.cli.app import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network, its input, and what the engine made of them."""
    layer = Layer("conv", ("x",), Conv2d([[[[3, -1]]]]), LIF(2))
    save(Network((Input("x", Shape(1, 1, 3)),), (layer,), ("conv",)), tmp_path / "a.net")
    np.save(tmp_path / "x.npy", np.array([[1, 0, 1], [0, 1, 0]], np.int8).reshape(2, 1, 1, 3))
    done = run("simulate", tmp_path / "a.net", "--input", tmp_path / "x.npy", "--nirdata", tmp_path / "a.h5")
    assert done.exit_code == 0, done.output
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_the_file_alone_is_enough(folder: Path) -> None:
    done = run("verify", folder / "a.net", "--against", folder / "a.h5")
    assert done.exit_code == 0, done.output
    assert "identical: 8 values of 1 layers" in done.output  # spikes and voltages of two neurons in two frames


@pytest.mark.parametrize(
    ("frames", "what"),
    [([[0, 0, 0]] * 2, "no neuron spikes in any frame"), ([[1, 0, 0], [1, 1, 0]], None)],
)
def test_that_a_silent_layer_agrees_is_said_to_mean_nothing(frames: list, what: str | None, folder: Path) -> None:
    """At weights 3 and -1 and a threshold of 2 the second frames fire once."""
    np.save(folder / "x.npy", np.array(frames, np.int8).reshape(2, 1, 1, 3))
    run("simulate", folder / "a.net", "--input", folder / "x.npy", "--nirdata", folder / "a.h5")
    done = run("verify", folder / "a.net", "--against", folder / "a.h5")
    assert done.exit_code == 0, done.output
    assert (f"conv: {what}: that its spikes agree means nothing" in done.output) == (what is not None)
    assert ("means nothing" in done.output) == (what is not None)


def test_a_difference_ends_with_1_and_names_the_neuron(folder: Path) -> None:
    data = nir.read_data(folder / "a.h5")
    data.nodes["neuron_conv"].observables["spikes"].data[0, 1, 1] ^= True
    nir.write_data(folder / "b.h5", data)
    done = run("verify", folder / "a.net", "--against", folder / "b.h5", "--input", folder / "x.npy")
    assert done.exit_code == 1
    assert (
        "first in layer 'conv', neuron (channel 0, row 0, column 1), frame 1: spike: engine 1, the file 0"
        in done.output
    )


def test_what_cannot_be_compared_is_refused(folder: Path) -> None:
    nir.write_data(folder / "c.h5", nir.NIRGraphData({"lif": nir.NIRNodeData({})}))
    done = run("verify", folder / "a.net", "--against", folder / "c.h5")
    assert "name it with --input" in str(done.exception)
    done = run("verify", folder / "a.net", "--against", folder / "c.h5", "--input", folder / "x.npy")
    assert "says nothing of any layer; its nodes are lif" in str(done.exception)
    done = run("verify", folder, "--input", folder / "x.npy")
    assert "manifest.json: cannot be read" in str(done.exception), "without --against the folder is a network's"
