"""``monospike verify NETWORK --input FRAMES``: any network held against Lava's stock processes.

That an imported network is found identical is what docs/tutorials/own_network.md shows, which a test runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from netx import LIF, Dense, Input, Layer, MonospikeError, Network, Range
from netx.bundle import save
from pipeline.cli.app import app
from sim import selfcheck
from sim.lava.states import states

FRAMES = np.array([[1, 0], [0, 1], [1, 1]], np.int8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two layers, the first of which remembers, and frames on which both spike."""
    first = Layer("first", ("x",), Dense([[4, 2], [2, -2]]), LIF(3, voltage_decay=1024))
    second = Layer("second", ("first",), Dense([[6, 2]]), LIF(5))
    save(Network((Input("x", (2, 1, 1)),), (first, second), ("second",)), tmp_path / "a.net")
    np.save(tmp_path / "x.npy", FRAMES)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *(str(one) for one in arguments)])


@pytest.mark.lava
def test_a_lava_that_does_otherwise_is_named_and_ends_with_1(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lava gets a threshold of 7 in place of 5, which the sum of 6 does not exceed."""

    def others(cases: Sequence[Any], **how: Any) -> Any:
        [(network, frames)] = cases
        changed = tuple(replace(layer, neuron=LIF(7)) if layer.name == "second" else layer for layer in network.layers)
        return states([(Network(network.inputs, changed, network.outputs), frames)], **how)

    monkeypatch.setattr(selfcheck, "states", others)
    done = run(folder / "a.net", "--input", folder / "x.npy")
    assert done.exit_code == 1, done.output
    # A sum of 6 fires at a threshold of 5 and not at 7; it arrives at Lava's third step, behind two synapses.
    assert "NOT identical: layer 'second', neuron (0, 0, 0), step 2: v is 0 in the engine, 384 in Lava" in done.output


def test_a_network_without_frames_and_frames_without_a_network_are_told_what_is_missing(folder: Path) -> None:
    for arguments, why in (
        ((folder / "a.net",), "a network is verified on frames; name them with --input"),
        ((folder / "a.net", "--input", folder / "x.npy", "--every", 2), "--every: is for a check with --sequence"),
        (("demo", "--input", folder / "x.npy", "--sequence", folder), "with --sequence a model looks at its own"),
        ((folder / "none.net", "--input", folder / "x.npy"), "there is no such file"),
    ):
        ended = run(*arguments)
        assert isinstance(ended.exception, MonospikeError), ended.output
        assert why in str(ended.exception)


def test_a_sum_beyond_32_bits_is_refused_with_its_layer(tmp_path: Path) -> None:
    high = (1 << 31) - 1
    layer = Layer("wide", ("x",), Dense([[200]]), LIF(1))
    save(Network((Input("x", (1, 1, 1), Range(0, high)),), (layer,), ("wide",)), tmp_path / "a.nir")
    np.save(tmp_path / "x.npy", np.full((1, 1), high, np.int32))
    ended = run(tmp_path / "a.nir", "--input", tmp_path / "x.npy")
    assert isinstance(ended.exception, MonospikeError), ended.output
    assert "'wide'" in str(ended.exception)
