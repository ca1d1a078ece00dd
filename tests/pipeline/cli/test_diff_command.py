"""``monospike diff``: any two files, what differs in them, and where it first shows in spikes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from netx import LIF, Accumulator, Conv2d, Correlation, Dense, Flatten, Input, Layer, Network, Shape
from netx.bundle import save
from netx.difference import differences
from netx.nir_file import write_nir_integers
from pipeline.cli.app import app

FIXTURES = Path(__file__).parents[2] / "fixtures" / "nir"


def network(weight: int = 3, threshold: int = 4, bias: int = 1, name: str = "conv") -> Network:
    layers = (
        Layer(name, ("x",), Conv2d([[[[weight, 2]]], [[[-1, 1]]]]), LIF(threshold, [bias, 0])),
        Layer("flat", (name,), Flatten()),
        Layer("out", ("flat",), Dense([[1, 2, 3, 4]]), Accumulator()),
    )
    return Network((Input("x", Shape(1, 1, 3)),), layers, ("out",))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["diff", *map(str, arguments)])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The same network in every form."""
    save(network(), tmp_path / "a.net")
    save(network(), tmp_path / "a.nir")
    save(network(), tmp_path / "folder")
    write_nir_integers(network(), tmp_path / "integers.nir")
    save(network(), tmp_path / "run" / "quantize" / "network")
    save(network(), tmp_path / "imported" / "network.nir")
    return tmp_path


@pytest.mark.parametrize("one", ["a.net", "a.nir", "run"])
@pytest.mark.parametrize("other", ["a.nir", "folder", "integers.nir", "run", "imported"])
def test_the_same_network_in_two_forms_is_the_same(files: Path, one: str, other: str) -> None:
    done = run(files / one, files / other, "--count", 4)
    assert done.exit_code == 0, done.output
    assert "the same integers\n" in done.output
    assert "the same spikes: 2 layers, 4 frames" in done.output


def test_what_is_the_same_runs_only_when_asked(files: Path, tmp_path: Path) -> None:
    nir.write(tmp_path / "other.nir", graph(0.5))
    for one, other in (("a.net", "a.nir"), ("other.nir", "other.nir")):
        done = run(files / one, files / other)
        assert done.exit_code == 0, done.output
        assert done.output.splitlines()[-1] == (
            "and so the same spikes on any frames; --count or --frames runs both all the same"
        )


@pytest.mark.parametrize(
    ("threshold", "what"), [(5, "no neuron spikes in any frame"), (-5, "every neuron spikes in every frame")]
)
def test_layers_whose_spikes_say_nothing_are_named(threshold: int, what: str, files: Path) -> None:
    """Without input the sums are the biases, 1 and 0."""
    for name in ("silent.net", "silent.nir"):
        save(network(threshold=threshold), files / name)
    np.save(files / "frames.npy", np.zeros((3, 1, 1, 3), np.int8))
    done = run(files / "silent.net", files / "silent.nir", "--frames", files / "frames.npy")
    assert done.exit_code == 0, done.output
    assert f"conv: {what}: its spikes say nothing on these frames" in done.output
    assert "say nothing" not in run(files / "a.net", files / "a.nir", "--count", 4).output


def test_a_weight_is_named_and_where_it_first_shows(files: Path) -> None:
    save(network(weight=5), files / "b.nir")
    frames = np.zeros((3, 1, 1, 3), np.int8)
    frames[1, 0, 0] = [0, 1, 0]  # the second neuron of channel 0 gets the weight: 3 + 1, or 5 + 1 against 4
    np.save(files / "frames.npy", frames)
    done = run(files / "a.net", files / "b.nir", "--frames", files / "frames.npy")
    assert done.exit_code == 1
    said = "weight: 1 of 4 values differ, by up to 2; the first, weight[0, 0, 0, 0], is 5, expected 3"
    assert f"conv: {said}\n" in done.output
    assert (
        "first divergence: layer 'conv', neuron (channel 0, row 0, column 1), frame 1: membrane voltages: A 4, B 6; "
        f"spikes: A 0, B 1. Likely cause: {said}"
    ) in done.output


def test_what_no_frame_shows_is_a_difference_all_the_same(files: Path) -> None:
    save(network(threshold=5), files / "b.net")
    np.save(files / "frames.npy", np.zeros((2, 1, 1, 3), np.int8))
    done = run(files / "a.net", files / "b.net", "--frames", files / "frames.npy")
    assert done.exit_code == 1
    assert "conv: threshold is 5, expected 4\n" in done.output
    assert "no neuron shows it: 2 layers, 2 frames" in done.output


def test_other_names_are_said_and_are_no_difference(files: Path) -> None:
    save(network(name="first"), files / "b.net")
    done = run(files / "a.net", files / "b.net")
    assert done.exit_code == 0, done.output
    assert "names differ" in done.output
    save(network(name="first", bias=2), files / "c.net")
    done = run(files / "a.net", files / "c.net")
    assert done.exit_code == 1
    assert "conv: bias: 1 of 2 values differ, by up to 1; the first, bias[0], is 2, expected 1" in done.output


def test_layers_and_shapes_that_only_one_has(files: Path) -> None:
    longer = Network(
        network().inputs, (*network().layers[:2], Layer("end", ("flat",), Dense([[1, 2, 3, 4]]), LIF(1))), ("end",)
    )
    assert differences(network(), longer) == {
        "out": ["layer is missing"],
        "end": ["layer is additional"],
        "": ["outputs are end, expected out"],
    }
    wide = Network((Input("x", Shape(1, 1, 4)),), network().layers[:1], ("conv",))
    save(wide, files / "wide.net")
    done = run(files / "a.net", files / "wide.net")
    assert done.exit_code == 1
    assert "conv: shape is 2x1x3, expected 2x1x2\n" in done.output
    assert "their inputs differ: spikes cannot be compared\n" in done.output


def test_a_file_that_was_changed_is_named(files: Path) -> None:
    import h5py

    with h5py.File(files / "a.net", "r+") as file:
        file["layer/1/neuron/vThMant"][()] = 5
    done = run(files / "a.nir", files / "a.net")
    assert done.exit_code == 1
    assert "the file was changed after monospike" in done.output


def test_trackers_are_programmed_with_the_same_template(tmp_path: Path) -> None:
    layers = (
        Layer("t", ("template",), Conv2d(np.ones((1, 1, 1, 1), int)), LIF(0)),
        Layer("s", ("search",), Conv2d(np.ones((1, 1, 1, 1), int)), LIF(0)),
        Layer("match", ("s", "t"), Correlation(2), LIF(3)),
        Layer("out", ("match",), Conv2d(np.ones((1, 1, 1, 1), int)), Accumulator()),
    )
    inputs = (Input("template", Shape(1, 3, 3)), Input("search", Shape(1, 6, 6)))
    one = Network(inputs, layers, ("out",))
    save(one, tmp_path / "one")
    save(Network(inputs, (*layers[:2], replace(layers[2], neuron=LIF(6)), layers[3]), ("out",)), tmp_path / "other")
    assert run(tmp_path / "one", tmp_path / "one").exit_code == 0
    done = run(tmp_path / "one", tmp_path / "other")
    assert done.exit_code == 1
    assert "first divergence: layer 'match'" in done.output
    assert "threshold is 6, expected 3" in done.output.splitlines()[-1]


def graph(threshold: float, weight: float = 1.0) -> nir.NIRGraph:
    one = np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2])),
        "linear": nir.Linear(np.eye(2) * weight),
        "lif": nir.LIF(tau=one * 1e-4, r=one, v_leak=0 * one, v_threshold=one * threshold, v_reset=0 * one),
        "output": nir.Output(np.array([2])),
    }
    return nir.NIRGraph(nodes, [("input", "linear"), ("linear", "lif"), ("lif", "output")])


def test_graphs_of_others_are_held_against_each_other(tmp_path: Path) -> None:
    nir.write(tmp_path / "a.nir", graph(0.5))
    nir.write(tmp_path / "b.nir", graph(2.0))
    same = run(tmp_path / "a.nir", tmp_path / "a.nir", "--count", 4)
    assert same.exit_code == 0, same.output
    assert "the same nodes, parameters and edges\nthe same spikes: 1 nodes, 4 frames\n" in same.output
    done = run(tmp_path / "a.nir", tmp_path / "b.nir")
    assert done.exit_code == 1
    said = "v_threshold: 2 of 2 values differ, by up to 1.5; the first, v_threshold[0], is 2.0, expected 0.5"
    assert f"lif: {said}" in done.output
    assert "first divergence: node 'lif'" in done.output
    assert done.output.splitlines()[-1].endswith(f"spikes: A 1, B 0. Likely cause: {said}")


def test_a_graph_of_others_and_a_network_of_integers_are_refused(files: Path) -> None:
    done = run(files / "a.net", FIXTURES / "snntorch_recurrent.nir")
    assert done.exit_code not in (0, 1) or done.exception is not None
    assert "import" in str(done.exception)
    assert run(files / "a.net", files / "none.net").exception is not None
    (files / "empty").mkdir()
    assert "has no network" in str(run(files / "a.net", files / "empty").exception)
