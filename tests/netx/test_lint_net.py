"""Every rule about .net files: it finds the trap, it finds nothing in a sound file, and stock lava-dl does fall in."""

import h5py
import numpy as np
import pytest

from netx import FormatError, Shape, Sigma
from netx.bundle import load
from netx.lint import Severity, lint, rules

CUBA = {"type": "CUBA", "iDecay": 4096, "vDecay": 4096, "vThMant": 5, "refDelay": 1, "gradedSpike": False}
SDNN = {"type": "SDNN", "vThMant": 3}
KERNEL = np.array([4, -2, 6, 2]).reshape(2, 2, 1, 1)
ONES = np.ones((8, 2))
"""Frames of (step, neuron): spikes everywhere, at all of eight steps."""


def write(path, *layers, numbers=None):
    """A file as lava-dl writes it: a mapping a layer, nested where a group is. numbers: the groups' names."""
    with h5py.File(path, "w") as file:
        for name, layer in zip(numbers or range(len(layers)), layers, strict=True):
            _put(file.create_group(f"layer/{name}"), layer)
    return path


def _put(group, content):
    for name, value in content.items():
        if isinstance(value, dict):
            _put(group.create_group(name), value)
        elif isinstance(value, str):
            group.create_dataset(name, (1,), "S10", [value.encode()])
        else:
            group[name] = value


def pixels(*shape, **more):
    return {"type": "input", "shape": shape, **more}


def conv(weight, shape, **more):
    out, ins, *kernel = np.shape(weight)
    window = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "neuron": CUBA}
    channels = {"inChannels": ins * more.get("groups", 1), "outChannels": out, "kernelSize": kernel}
    return {"type": "conv", "shape": shape, "weight": np.asarray(weight, float), **channels, **window, **more}


def dense(weight, kind="dense", **more):
    out, ins = np.shape(weight)
    sizes = {"type": kind, "shape": [out], "inFeatures": ins, "outFeatures": out, "neuron": CUBA}
    return {**sizes, "weight": np.asarray(weight, float), **more}


def flatten(size):
    return {"type": "flatten", "shape": [size, 1, 1]}


def neuron(**changed):
    return {**CUBA, **changed}


def without(layer, *names):
    return {name: value for name, value in layer.items() if name not in names}


def on_two(weight, **more):
    """A dense layer that reads two inputs."""
    return (pixels(2, 1, 1), dense(weight, **more))


FIRST, SECOND = conv(KERNEL, [2, 2, 1], neuron={**CUBA, "vThMant": 3}), dense([[2, 4, 6, -2]])
SOUND = (pixels(2, 2, 1), FIRST, flatten(4), SECOND)
TWO = [[4, 6]]

TRAPS = {
    "net-layers-not-numbered": {"layers": SOUND, "numbers": [0, 1, 2, 5]},
    "net-no-layers": {"layers": SOUND[:1]},
    "net-input-shape-missing": {"layers": SOUND[1:]},
    "net-layer-not-loaded": {"layers": (*SOUND[:2], {"type": "average", "shape": [1, 1, 1]})},
    "net-layer-left-out": {"layers": (*SOUND[:2], {"type": "dropout", "shape": [2, 2, 1]}, *SOUND[2:])},
    "net-input-not-first": {"layers": (*SOUND[:2], pixels(9, 9, 9), *SOUND[2:])},
    "net-input-neuron-not-driven": {"layers": (pixels(2, 2, 1, neuron=CUBA), *SOUND[1:]), "compile": True},
    "net-input-transform-truncated": {
        "layers": (pixels(2, 2, 1, neuron=CUBA, weight=[[5.7]], bias=[[-3.5]]), *SOUND[1:])
    },
    "net-conv-after-dense": {"layers": (*on_two(TWO), conv(np.full((1, 1, 1, 1), 2), [1, 1, 1]))},
    "net-flatten-missing": {"layers": (*SOUND[:2], SECOND)},
    "net-shape-disagrees": {"layers": (pixels(2, 2, 1), {**FIRST, "shape": [2, 3, 3]})},
    "net-input-size-disagrees": {"layers": (*SOUND[:3], dense([[2, 4, 6]]))},
    "net-groups-overflow": {
        "layers": (pixels(128, 1, 1), conv(np.full((128, 1, 1, 1), 6), [128, 1, 1], groups=128)),
        "frames": np.ones((3, 1, 1, 128)),
    },
    "net-window-overflows": {
        "layers": (pixels(2, 2, 1), conv(KERNEL, [2, 262, 261], padding=[130, 130])),
        "frames": np.ones((2, 1, 2, 2)),
    },
    "net-conv-delay-ignored": {"layers": (pixels(2, 2, 1), {**FIRST, "delay": [0.0, 3.0]})},
    "net-delay-clamped": {"layers": on_two(TWO, delay=[70.0])},
    "net-delay-truncated": {"layers": on_two(TWO, delay=[1.7]), "frames": ONES},
    "net-delay-not-usable": {"layers": on_two(TWO, delay=[1.0, 2, 3])},
    "net-weight-missing": {"layers": (pixels(2, 1, 1), without(dense(TWO), "weight"))},
    "net-weight-not-finite": {"layers": on_two([[4, np.nan]])},
    "net-weight-truncated": {"layers": on_two([[4.9, -6.9]])},
    "net-dense-all-zero": {"layers": on_two([[0, 0]])},
    "net-dense-weight-out-of-range": {"layers": on_two([[256, 2]])},
    "net-dense-weight-loses-bits": {"layers": on_two([[-256, 0]])},
    "net-conv-weight-out-of-range": {
        "layers": (pixels(2, 1, 1), conv(np.array([1000, 3]).reshape(1, 2, 1, 1), [1, 1, 1])),
        "frames": np.ones((2, 1, 1, 2)),
    },
    "net-weight-exponent-ignored": {"layers": on_two(TWO, wgtExp=2, neuron=neuron(weight_exp=1))},
    "net-neuron-missing": {"layers": (pixels(2, 2, 1), without(FIRST, "neuron"))},
    "net-default-neuron-integrates": {"layers": (pixels(2, 1, 1), without(dense(TWO), "neuron")), "frames": ONES},
    "net-neuron-not-loaded": {"layers": on_two(TWO, neuron=neuron(type="ALIF"))},
    "net-neuron-parameter": {"layers": on_two(TWO, neuron=without(CUBA, "iDecay"))},
    "net-decay-out-of-range": {"layers": on_two(TWO, neuron=neuron(vDecay=5000, vThMant=100)), "frames": ONES},
    "net-current-never-decays": {"layers": on_two(TWO, neuron=neuron(iDecay=0, vThMant=1000)), "frames": ONES},
    "net-remembers": {"layers": on_two(TWO, neuron=neuron(vDecay=1024, vThMant=100)), "frames": ONES},
    "net-threshold-unreachable": {
        "layers": (*on_two(TWO, neuron=neuron(vThMant=131072, vDecay=0), bias=[32000.0]), dense([[2]])),
        "frames": ONES,
    },
    "net-threshold-not-positive": {"layers": on_two(TWO, neuron=neuron(vThMant=-1)), "frames": 0 * ONES},
    "net-threshold-tie": {"layers": on_two(TWO, neuron=neuron(vThMant=4096))},
    "net-bias-not-finite": {"layers": on_two(TWO, bias=[np.inf])},
    "net-bias-truncated": {"layers": on_two(TWO, bias=[-2.9])},
    "net-bias-wraps": {"layers": on_two(TWO, bias=[40000.0]), "frames": 0 * ONES},
    "net-bias-shape": {"layers": (pixels(2, 2, 1), {**FIRST, "bias": [1.0, 2, 3]})},
    "net-refractory-ignored": {"layers": on_two(TWO, neuron=neuron(refDelay=4)), "frames": ONES},
    "net-graded-ignored": {"layers": on_two(TWO, neuron=neuron(gradedSpike=True)), "frames": ONES},
    "net-message-bits-not-loaded": {
        "layers": (*on_two(TWO, neuron=neuron(messageBits=8)), dense([[6]])),
        "frames": ONES,
    },
    "net-sigma-delta-not-reset": {
        "layers": (pixels(2, 1, 1), dense(TWO, neuron=SDNN)),
        "options": {"reset_interval": 2},
    },
    "headroom": {
        "layers": (pixels(600, 1, 1), conv(np.full((1, 600, 1, 1), 254), [1, 1, 1])),
        "frames": np.ones((3, 1, 1, 600)),
    },
    "headroom-over-time": {
        "layers": (pixels(20, 1, 1), dense(np.full((1, 20), 254), neuron=neuron(iDecay=1, vThMant=3))),
        "frames": np.ones((40, 20)),
    },
    "never-fires": {"layers": on_two(TWO, neuron=neuron(vThMant=11)), "frames": ONES},
    "always-fires": {"layers": on_two(TWO, bias=[8.0]), "frames": 0 * ONES},
    "silent-layer": {"layers": (*on_two(TWO, neuron=neuron(vThMant=11)), dense([[2]])), "frames": ONES},
}
OTHERS = {
    "sound": {"layers": SOUND, "frames": np.ones((4, 1, 2, 2))},
    "with-shape": {"layers": SOUND[1:], "options": {"input_shape": [1, 2, 2]}},
    "dense-first": {"layers": (SECOND,)},
    "dense_comp": {"layers": (*SOUND[:3], dense([[2, 4, 6, -2]], "dense_comp"))},
    "pool": {"layers": (*SOUND[:2], {"type": "pool", "shape": [2, 1, 1]})},
    "whole-delay": {"layers": on_two(TWO, delay=[1.0]), "frames": ONES},
    "graded": {"layers": SOUND, "frames": np.full((4, 1, 2, 2), 3)},
    "reachable": {
        "layers": on_two(TWO, neuron=neuron(vThMant=131071, vDecay=0), bias=[32000.0]),
        "frames": ONES,
    },
}
"""What the traps are measured against."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traps")
    return {
        name: write(folder / f"{name}.net", *one["layers"], numbers=one.get("numbers"))
        for name, one in (TRAPS | OTHERS).items()
    }


@pytest.fixture(scope="module")
def outcomes(files, stock):
    """What lava-dl and Lava make of every file."""
    wanted = {}
    for name, one in (TRAPS | OTHERS).items():
        job = {"path": str(files[name]), "options": one.get("options", {}), "compile": one.get("compile", False)}
        wanted[name] = job | ({"frames": np.asarray(one["frames"]).tolist()} if "frames" in one else {})
    return stock(wanted)


def found_in(path):
    return {finding.rule.name for finding in lint(path)}


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


@pytest.mark.lava
def test_lava_dls_loader_takes_a_dense_layer_at_the_beginning(outcomes):
    assert outcomes["dense-first"]["raises"] is None
    assert [layer["block"] for layer in outcomes["dense-first"]["layers"]] == ["Dense"]


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
