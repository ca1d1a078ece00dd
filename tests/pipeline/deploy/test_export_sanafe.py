"""``monospike export --for sanafe``: from a file, with the placement that planning has written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from netx import LIF, Accumulator, Conv2d, Correlation, Input, Layer, Network, Range, Shape
from netx.bundle import save
from pipeline.cli.app import app
from sim.mapping import Mapping


@pytest.fixture
def file(tmp_path: Path) -> Path:
    layers = (
        Layer("pixels", ("x",), Conv2d([[[[3, -1]]], [[[1, 2]]]]), LIF(4)),
        Layer("out", ("pixels",), Conv2d([[[[1]], [[2]]]]), Accumulator()),
    )
    save(Network((Input("x", Shape(1, 1, 4), Range(-4, 7)),), layers, ("out",)), tmp_path / "a.net")
    return tmp_path / "a.net"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_the_placement_of_planning_is_taken(file: Path) -> None:
    plan, out = file.with_name("plan.json"), file.with_name("out")
    run("map", file, "--chip", "loihi1_sanafe", "--out", plan)  # ends with 1: pixels are no spikes
    mapping = Mapping.load(plan)
    mapping.placed([9, 2]).save(plan)
    done = run("export", file, out, "--for", "sanafe", "--mapping", plan, "--golden", 3)
    assert done.exit_code == 0, done.output
    assert "their spikes are played back: pixels" in done.output
    places = yaml.safe_load((out / "network.yaml").read_text())["mappings"]
    assert places[0] == {"l_pixels.0": {"core": 8.1, "soma": "inputs[0]"}}  # tile 2 of a row, one core in
    assert places[-1] == {"l_out.2": {"core": 0.2, "soma": "lif", "synapse": "conv_synapse"}}
    done = run("export", file, out, "--for", "sanafe", "--mapping", plan, "--chip", "loihi2")
    assert "is a mapping on loihi1_sanafe, not on loihi2" in str(done.exception)


def test_frames_come_from_a_file_or_a_seed(file: Path) -> None:
    out = file.with_name("out")
    np.save(file.with_name("x.npy"), np.array([[2, 1, 0, 0], [0, 0, 0, 3]], np.int8).reshape(2, 1, 1, 4))
    assert run("export", file, out, "--for", "sanafe", "--frames", file.with_name("x.npy")).exit_code == 0
    spikes = json.loads((out / "manifest.json").read_text())["groups"]["l_pixels"]["spikes"]
    # 3 * 2 - 1 = 5 and 3 * 1 = 3 against 4; 2 + 2 and 1 do not reach; then 0 + 2 * 3 = 6 alone does.
    assert spikes == [0, 1, 1, 0]
    written = []
    for seed in (1, 1, 2):
        assert run("export", file, out, "--for", "sanafe", "--seed", seed).exit_code == 0
        written.append((out / "network.yaml").read_text())
    assert written[0] == written[1] != written[2]


def test_a_tracker_is_programmed_first(tmp_path: Path) -> None:
    layers = (
        Layer("t", ("template",), Conv2d([[[[1]]]]), LIF(0)),
        Layer("s", ("search",), Conv2d([[[[1]]]]), LIF(0)),
        Layer("match", ("s", "t"), Correlation(2), LIF(3)),
    )
    inputs = (Input("template", Shape(1, 2, 2)), Input("search", Shape(1, 4, 4)))
    save(Network(inputs, layers, ("match",)), tmp_path / "tracker")
    done = run("export", tmp_path / "tracker", tmp_path / "out", "--for", "sanafe")
    assert done.exit_code == 0, done.output
    assert list(json.loads((tmp_path / "out" / "manifest.json").read_text())["groups"]) == [
        "in_search",
        "l_s",
        "l_match",
    ]
