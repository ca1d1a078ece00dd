"""``monospike selfcheck``: goes on where it stopped, and leaves a counterexample."""

import json

import numpy as np
import pytest

from netx import LIF, Dense, FormatError, Input, Layer, Network
from netx.net_file import read_net
from pipeline.core.progress import Progress
from pipeline.core.workers import Workers
from pipeline.diagnostics import selfcheck
from pipeline.diagnostics.resumable import read_state, write_state
from pipeline.diagnostics.selfcheck import State
from sim.random_networks import Drawn
from sim.selfcheck import Difference, Outcome

QUIET = Progress(quiet=True)


@pytest.mark.lava
def test_a_check_is_remembered_and_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(selfcheck, "_NETWORKS_A_JOB", 5)
    first = selfcheck.selfcheck(7, 40, 1, tmp_path, QUIET)
    assert isinstance(first, State)
    assert (first.first, first.done, first.compared + first.refused) == (40, 7, 7)
    drawn = []
    monkeypatch.setattr(selfcheck, "seeded", lambda seed, make=selfcheck.seeded: drawn.append(seed) or make(seed))
    more = selfcheck.selfcheck(9, 40, 1, tmp_path, QUIET)
    assert drawn == [47, 48]
    assert isinstance(more, State)
    assert more.values > first.values > 0
    assert read_state(tmp_path / "state.json", State(41)) == State(41)


@pytest.mark.lava
def test_two_jobs_compare_the_same_networks_as_none(tmp_path, monkeypatch):
    monkeypatch.setattr(selfcheck, "_NETWORKS_A_JOB", 4)
    found = [selfcheck.selfcheck(10, 40, 1, tmp_path / str(n), QUIET, Workers(n)) for n in (2, 0)]
    assert found[0] == found[1] == State(40, 10, found[1].compared, found[1].refused, found[1].values, 1)
    assert found[1].values > 0
    assert read_state(tmp_path / "2" / "state.json", State(40)) == found[1]


def test_what_another_program_has_found_is_not_taken(tmp_path, monkeypatch):
    write_state(tmp_path / "state.json", State(0, 7, 7))
    assert read_state(tmp_path / "state.json", State(0)) == State(0, 7, 7)
    monkeypatch.setattr("pipeline.diagnostics.resumable.code_digest", lambda: "another")
    assert read_state(tmp_path / "state.json", State(0)) == State(0)


def test_networks_that_are_to_run_in_lava_do_so_though_they_were_compared_before(tmp_path, monkeypatch):
    asked = []

    def check(networks, simulated=False, **_):
        asked.append((len(networks), simulated))
        return Outcome(len(networks), 0, len(networks), None)

    monkeypatch.setattr(selfcheck, "check", check)
    for simulated in (0, 2, 2, 3):
        selfcheck.selfcheck(5, 0, simulated, tmp_path, QUIET)
    assert asked == [(5, False), (2, True), (3, True)]


@pytest.mark.parametrize("delay", [0, 3])
def test_the_first_difference_is_left_with_its_network_and_input(delay, tmp_path, monkeypatch):
    synapse = Dense(np.full((2, 3), 4), delay=np.full((1, 1), delay))
    network = Network((Input("x", (3, 1, 1)),), (Layer("a", ("x",), synapse, LIF(5)),), ("a",))
    frames = {"x": np.ones((4, 3, 1, 1), np.int32)}
    difference = Difference("a", "u", 2, (1, 0, 0), 12, 13)
    monkeypatch.setattr(selfcheck, "seeded", lambda _: Drawn(network, frames))
    monkeypatch.setattr(selfcheck, "check", lambda _, **__: Outcome(1, 0, 9, (0, difference)))
    assert selfcheck.selfcheck(5, 7, 0, tmp_path, QUIET) == difference
    left = tmp_path / selfcheck.COUNTEREXAMPLE
    assert "network 7: layer 'a', neuron (1, 0, 0), step 2: u is 12" in (left / "difference.txt").read_text()
    with np.load(left / "input.npz") as file:
        np.testing.assert_array_equal(file["x"], frames["x"])
    if delay:
        assert "delay=array([[3]]" in (left / "network.txt").read_text()
    else:
        assert read_net(left / "network.net") == network


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"first": 0, "last": 1})])
def test_a_damaged_state_is_named(text, tmp_path):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(FormatError, match=r"state\.json: is not the state of a selfcheck"):
        selfcheck.selfcheck(1, 0, 0, tmp_path, QUIET)
