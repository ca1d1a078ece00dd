"""Every rule about .net files finds its trap, and nothing in what is sound."""

import numpy as np
import pytest
from net_traps import TRAPS, TWO, conv, dense, found_in, neuron, on_two, pixels, write, write_all

from netx import FormatError, Shape, Sigma
from netx.bundle import load
from netx.lint import Severity, lint, rules


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("traps"))


@pytest.mark.parametrize("rule", TRAPS)
def test_the_trap_is_found_with_its_place(rule, files):
    found = [finding for finding in lint(files[rule]) if finding.rule.name == rule]
    assert found, found_in(files[rule])
    for finding in found:
        assert finding.file == files[rule]
        assert finding.message
        assert finding.place or rule in ("net-no-layers",)


def test_a_sound_file_has_no_errors_or_warnings_and_notes_the_chips_registers(files):
    assert found_in(files["sound"]) == {"chip-register"}


def test_every_rule_about_net_files_has_a_trap():
    elsewhere = {"file-not-readable", "not-importable", "unread-layer", "graded-input", "chip-register"}
    elsewhere.add("changed-since-export")  # in tests of the command
    ours = {rule.name for rule in rules() if not rule.name.startswith(("nir", "norse", "snntorch", "sinabs"))}
    assert ours - elsewhere == set(TRAPS)


def test_a_read_out_is_no_trap(tmp_path):
    path = write(tmp_path / "readout.net", *on_two(TWO, neuron=neuron(vThMant=262143)))
    assert "net-threshold-unreachable" not in found_in(path)


def test_odd_thresholds_over_even_sums_do_not_tie(tmp_path):
    path = write(tmp_path / "odd.net", *on_two(TWO, neuron=neuron(vThMant=4097)))
    assert "net-threshold-tie" not in found_in(path)


def test_a_file_that_is_not_whole_is_one_finding(tmp_path):
    (tmp_path / "broken.net").write_bytes(b"\x89HDF nonsense")
    [finding] = lint(tmp_path / "broken.net")
    assert (finding.rule.name, finding.rule.severity) == ("file-not-readable", Severity.ERROR)


def test_neurons_that_only_lava_dl_runs_are_not_importable(tmp_path):
    path = write(tmp_path / "rf.net", *on_two(TWO, neuron={"type": "RF", "vThMant": 1}))
    assert [finding.rule.name for finding in lint(path)] == ["not-importable"]


@pytest.mark.parametrize(
    ("more", "found"), [({"sigma_output": True}, set()), ({"activation": "relu"}, {"net-neuron-parameter"})]
)
def test_neurons_that_send_their_sum_have_no_threshold(more, found, tmp_path):
    """As lava-dl's heads of YOLO networks; its loader makes a Sigma process of them."""
    path = write(tmp_path / "sum.net", *on_two(TWO, neuron={"type": "SDNN", **more}))
    errors = {finding.rule.name for finding in lint(path) if finding.rule.severity is Severity.ERROR}
    assert errors & {"net-neuron-parameter"} == found
    if not found:
        assert load(path).layers[-1].neuron == Sigma()


def test_a_shape_that_is_given_lets_the_network_be_looked_at(files):
    given = {finding.rule.name for finding in lint(files["with-shape"], Shape(2, 2, 1))}
    assert given == {"net-input-shape-missing", "chip-register"}
    [refused] = [finding for finding in lint(files["with-shape"]) if finding.rule.severity is Severity.ERROR]
    assert refused.rule.name == "not-importable"
    assert "pass --input-shape C,H,W (channel, height, width, of which C is 2)" in refused.message


def test_a_dense_layer_at_the_beginning_says_what_it_reads(files):
    assert found_in(files["dense-first"]) == {"chip-register"}
    assert load(files["dense-first"]).inputs[0].shape == Shape(4, 1, 1)


@pytest.mark.parametrize("size", [-1, 0])
def test_flat_weights_of_a_shape_that_cannot_be_are_looked_at_all_the_same(size, tmp_path):
    flat = {**dense(np.full((2, 4), 3)), "weight": np.full(8, 3.0), "shape": [size]}
    found = {one.rule.name for one in lint(write(tmp_path / "flat.net", pixels(4, 1, 1), flat))}
    assert "not-importable" in found


def test_a_missing_file_and_one_of_another_kind_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"none\.net: there is no such file"):
        lint(tmp_path / "none.net")
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(FormatError, match=r"photo\.jpg: is no \.net or \.nir"):
        lint(tmp_path / "photo.jpg")


def test_what_neurons_remember_can_tie_with_an_odd_threshold(tmp_path):
    path = write(tmp_path / "leaky.net", *on_two(TWO, neuron=neuron(vThMant=4097, vDecay=1024)))
    assert "net-threshold-tie" in found_in(path)


def test_neurons_whose_current_wraps_to_a_spike_are_not_called_silent(tmp_path):
    """600 weights of -254 are -152400, which Lava takes for 109744."""
    low = {"layers": (pixels(600, 1, 1), conv(np.full((1, 600, 1, 1), -254), [1, 1, 1]))}
    found = found_in(write(tmp_path / "low.net", *low["layers"]))
    assert "headroom" in found
    assert "never-fires" not in found
