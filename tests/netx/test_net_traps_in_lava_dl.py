"""Stock lava-dl does fall into the traps that the rules about .net files name, and runs the code that mends them."""

import numpy as np
import pytest
from net_traps import OTHERS, TRAPS, write_all

from netx.lint import rules


@pytest.fixture(scope="module")
def outcomes(stock, tmp_path_factory):
    """What lava-dl and Lava make of every file."""
    files, wanted = write_all(tmp_path_factory.mktemp("traps")), {}
    for name, one in (TRAPS | OTHERS).items():
        job = {"path": str(files[name]), "options": one.get("options", {}), "compile": one.get("compile", False)}
        wanted[name] = job | ({"frames": np.asarray(one["frames"]).tolist()} if "frames" in one else {})
    return stock(wanted)


RAISES = {
    "net-layers-not-numbered": "",
    "net-no-layers": "IndexError",
    "net-input-shape-missing": "RuntimeError: Input shape could not be inferred",
    "net-layer-not-loaded": "NotImplementedError",
    "net-input-neuron-not-driven": "No subcompiler exists",
    "net-conv-after-dense": "",
    "net-flatten-missing": "",
    "net-shape-disagrees": "RuntimeError",
    "net-input-size-disagrees": "",
    "net-delay-not-usable": "RuntimeError",
    "net-weight-missing": "KeyError",
    "net-dense-all-zero": "OverflowError",
    "net-neuron-missing": "KeyError",
    "net-neuron-not-loaded": "'NoneType' object",
    "net-neuron-parameter": "KeyError",
    "net-bias-shape": "",
    "net-message-bits-not-loaded": "",
    "dense_comp": "AttributeError",
    "pool": "NotImplementedError",
}


@pytest.mark.lava
@pytest.mark.parametrize("name", RAISES)
def test_lava_dls_loader_fails_over_it(name, outcomes):
    raised = outcomes[name]["raises"]
    assert raised is not None
    assert RAISES[name] in raised


@pytest.mark.lava
def test_lava_dls_loader_takes_the_sound_file(outcomes):
    assert outcomes["sound"]["raises"] is None
    assert outcomes["with-shape"]["raises"] is None
    assert [layer["block"] for layer in outcomes["sound"]["layers"]] == ["Conv", "Dense"]


@pytest.mark.lava
def test_lava_dls_loader_takes_a_dense_layer_at_the_beginning(outcomes):
    assert outcomes["dense-first"]["raises"] is None
    assert [layer["block"] for layer in outcomes["dense-first"]["layers"]] == ["Dense"]


def layers(outcomes, name):
    assert outcomes[name]["raises"] is None, outcomes[name]["raises"]
    return outcomes[name]["layers"]


def last(outcomes, name):
    return layers(outcomes, name)[-1]


@pytest.mark.lava
def test_layers_of_unknown_type_and_later_inputs_are_left_out_without_a_word(outcomes):
    for name in ("net-layer-left-out", "net-input-not-first"):
        assert [layer["block"] for layer in layers(outcomes, name)] == ["Conv", "Dense"]


@pytest.mark.lava
def test_an_inputs_scale_is_truncated(outcomes):
    assert layers(outcomes, "net-input-transform-truncated")[0]["transform"] == {"weight": 5, "bias": -3}


@pytest.mark.lava
def test_128_groups_give_zeros(outcomes):
    assert not np.any(last(outcomes, "net-groups-overflow")["activation"])


@pytest.mark.lava
def test_a_padding_of_130_is_not_what_runs(outcomes):
    """Each neuron in the middle should get the sum of its kernel."""
    outcome = outcomes["net-window-overflows"]
    assert outcome["raises"] is not None or not np.any(outcome["layers"][-1]["activation"])


@pytest.mark.lava
def test_delays_of_a_conv_are_not_loaded_and_those_of_a_dense_clamped_and_truncated(outcomes):
    assert "delays" not in last(outcomes, "net-conv-delay-ignored")
    assert np.max(last(outcomes, "net-delay-clamped")["delays"]) == 62
    fraction, whole = (last(outcomes, name)["activation"] for name in ("net-delay-truncated", "whole-delay"))
    assert np.any(whole)
    assert fraction == whole


@pytest.mark.lava
@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("net-weight-truncated", [[4, -6]]),
        ("net-dense-weight-out-of-range", [[0, 0]]),
        ("net-weight-exponent-ignored", [[4, 6]]),
    ],
)
def test_weights_that_run_are_others_than_stand_in_the_file(name, weight, outcomes):
    assert last(outcomes, name)["weight"] == weight


@pytest.mark.lava
def test_a_weight_that_is_no_number_becomes_one(outcomes):
    outcome = outcomes["net-weight-not-finite"]
    assert outcome["raises"] is not None or np.isfinite(outcome["layers"][0]["weight"]).all()


@pytest.mark.lava
def test_a_weight_of_minus_256_among_none_above_zero_is_another(outcomes):
    assert last(outcomes, "net-dense-weight-loses-bits")["weight"] != [[-256, 0]]


@pytest.mark.lava
def test_lavas_conv_runs_weights_that_fit_into_no_chip(outcomes):
    assert np.max(last(outcomes, "net-conv-weight-out-of-range")["activation"]) == 1003


@pytest.mark.lava
def test_the_default_neuron_sums_up(outcomes):
    layer = last(outcomes, "net-default-neuron-integrates")
    assert (layer["du"], layer["vth"]) == (-1, 131072)
    voltages = np.ravel(layer["v"]) / 64
    assert voltages[-1] >= 5 * 10


@pytest.mark.lava
def test_a_decay_above_one_turns_the_sign(outcomes):
    voltages = np.ravel(last(outcomes, "net-decay-out-of-range")["v"]) / 64
    assert voltages[1] == 10
    assert voltages[2] < 10


@pytest.mark.lava
def test_a_current_decay_of_zero_never_forgets(outcomes):
    layer = last(outcomes, "net-current-never-decays")
    assert layer["du"] == -1
    assert np.ravel(layer["v"])[-1] / 64 == 7 * 10


@pytest.mark.lava
def test_a_voltage_decay_below_one_remembers_the_step_before(outcomes):
    voltages = np.ravel(last(outcomes, "net-remembers")["v"]) / 64
    assert voltages[1] == 10
    assert voltages[2] == 17.5


@pytest.mark.lava
def test_a_threshold_of_131072_is_never_reached_and_one_less_is(outcomes):
    assert not np.any(layers(outcomes, "net-threshold-unreachable")[0]["spikes"])
    assert np.any(layers(outcomes, "reachable")[0]["spikes"])


@pytest.mark.lava
def test_a_negative_threshold_fires_without_input(outcomes):
    assert np.all(last(outcomes, "net-threshold-not-positive")["spikes"])


@pytest.mark.lava
def test_slayer_fires_when_a_sum_equals_a_threshold_of_4096(outcomes):
    assert outcomes["ties"] == [1, 1]


@pytest.mark.lava
def test_biases_are_truncated_and_wrapped(outcomes):
    assert np.ravel(last(outcomes, "net-bias-truncated")["bias_mant"]) == [-2]
    assert np.isfinite(last(outcomes, "net-bias-not-finite")["bias_mant"]).all()
    assert np.ravel(last(outcomes, "net-bias-wraps")["v"])[0] == (40000 - 65536) * 64


@pytest.mark.lava
def test_a_refractory_delay_silences_nothing_and_graded_spikes_are_binary(outcomes):
    for name in ("net-refractory-ignored", "net-graded-ignored"):
        assert np.ravel(last(outcomes, name)["spikes"])[1:].tolist() == [1] * 7


@pytest.mark.lava
def test_sigma_delta_neurons_are_not_reset(outcomes):
    assert last(outcomes, "net-sigma-delta-not-reset")["neuron"] == "SigmaDelta"
    assert "reset_interval" not in last(outcomes, "net-sigma-delta-not-reset")["parameters"]


@pytest.mark.lava
def test_sums_beyond_24_bits_wrap(outcomes):
    layer = last(outcomes, "headroom")
    assert np.max(layer["activation"]) == 600 * 254
    assert not np.any(layer["spikes"])
    over_time = np.ravel(last(outcomes, "headroom-over-time")["v"])
    assert over_time.min() < 0


@pytest.mark.lava
def test_neurons_never_or_always_fire(outcomes):
    assert not np.any(last(outcomes, "never-fires")["spikes"])
    assert np.all(last(outcomes, "always-fires")["spikes"])
    assert not np.any([layer["spikes"] for layer in layers(outcomes, "silent-layer")])


@pytest.mark.lava
def test_graded_frames_are_spikes_to_a_loader_that_is_not_told(outcomes):
    graded, binary = (last(outcomes, name)["activation"] for name in ("graded", "sound"))
    assert np.any(binary)
    assert graded == binary


MENDS = [rule for rule in rules() if "`slayer." in rule.mend]


def test_mends_that_are_code_of_slayer_are_known_as_such():
    assert {rule.name for rule in MENDS} == {
        "net-input-shape-missing",
        "net-flatten-missing",
        "net-default-neuron-integrates",
    }
    assert not [
        rule.name for rule in rules() if "slayer.block" in rule.mend.replace("`slayer", "") and "(" in rule.mend
    ]


@pytest.mark.lava
@pytest.mark.parametrize("rule", MENDS, ids=lambda rule: rule.name)
def test_a_mend_that_is_code_runs_in_stock_lava_dl(rule):
    """Over a batch of one with as many values, of spikes, in three steps."""
    slayer = pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl is not installed")
    torch = pytest.importorskip("torch")
    neuron = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 1.0}
    code = rule.mend.split("`")[1]
    block = eval(code, {"slayer": slayer, "neuron": neuron, "ins": 8, "outs": 5})
    shape = (1, 8, 3) if "Affine" in code else (1, 2, 2, 2, 3)
    answer = block(torch.ones(shape))
    assert answer.shape == {"Affine": (1, 5, 3), "Flatten": (1, 8, 3)}.get(code.split(".")[3].split("(")[0], shape)
