"""Every rule about .nir files: it finds the trap, and what nir and norse do with the file shows that it is one.

What snnTorch and sinabs do is shown in tests/peers, where they are installed.
"""

from itertools import pairwise

import h5py
import nir
import numpy as np
import pytest

from netx import LIF, Conv2d, Input, Layer, Network, Shape
from netx.bundle import save
from netx.lint import for_reader, lint, network_findings, rules

SIZE = (2, 3, 3)


def full(value, shape=SIZE):
    return np.full(shape, value, np.float32)


def lif(shape=SIZE, tau=1e-4, threshold=1.5, **more):
    values = {"tau": tau, "r": 1, "v_leak": 0, "v_reset": 0, "v_threshold": threshold} | more
    return nir.LIF(**{name: full(value, shape) for name, value in values.items()})


def conv(weight=None, **more):
    weight = np.full((2, 2, 1, 1), 2, np.float32) if weight is None else np.asarray(weight, np.float32)
    window = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": np.zeros(len(weight), np.float32)}
    return nir.Conv2d((3, 3), weight, **(window | more))


def graph(*nodes, edges=None, ends=("in", "out")):
    """Nodes n0, n1 and so on, in a row between input and output unless ``edges`` says more."""
    named = {f"n{index}": node for index, node in enumerate(nodes)}
    row = [ends[0], *named, ends[1]]
    both = {"in": nir.Input(np.array(SIZE)), "out": nir.Output(np.array(SIZE))}
    named = {**{name: both[name] for name in ends if name in both}, **named}
    links = list(pairwise(row)) if edges is None else edges
    return nir.NIRGraph(named, links, type_check=False)


def written(path, content, change=None):
    nir.write(path, content)
    if change is not None:
        with h5py.File(path, "r+") as file:
            change(file)
    return path


def delete(place):
    return lambda file: file.__delitem__(place)


def put(place, value):
    def change(file):
        if place in file:
            del file[place]
        file[place] = value

    return change


def node(name):
    return f"node/nodes/{name}"


def second_input(file):
    edges = [[b"in2", b"n0"], *file["node/edges"][()].tolist()]
    file.copy(node("in"), node("in2"))
    put("node/edges", np.array(edges, dtype=h5py.string_dtype()))(file)


def number(file):
    """As nir 0.0.6 wrote a graph: nodes are called by their numbers, and edges are pairs of these."""
    names = ["in", "n0", "n1", "out"]
    for index, name in enumerate(names):
        file.move(node(name), node(index))
    put("node/edges", np.array(list(pairwise(range(len(names))))))(file)


def cuba(**more):
    values = {"tau_mem": 1e-4, "tau_syn": 1e-4, "r": 1, "v_leak": 0, "v_threshold": 1, "w_in": 1, "v_reset": 0} | more
    return nir.CubaLIF(**{name: full(value) for name, value in values.items()})


TRAPS = {
    "nir-no-input-or-output": (graph(conv(), lif()), delete(node("out"))),
    "nir-edge-to-nowhere": (graph(conv(), lif()), delete(node("n1"))),
    "nir-edges-numbered": (graph(conv(), lif()), number),
    "nir-edge-twice": (graph(conv(), lif(), edges=[("in", "n0"), ("in", "n0"), ("n0", "n1"), ("n1", "out")]), None),
    "nir-node-not-reached": (graph(conv(), lif(), lif(), edges=[("in", "n0"), ("n0", "n1"), ("n1", "out")]), None),
    "nir-loop-without-memory": (
        graph(conv(), conv(), edges=[("in", "n0"), ("n0", "n1"), ("n1", "n0"), ("n1", "out")]),
        None,
    ),
    "nir-neurons-in-a-row": (graph(conv(), lif(), lif()), None),
    "nir-node-unknown": (graph(conv(), lif()), put(f"{node('n1')}/type", b"ALIF")),
    "nir-parameter-missing": (graph(conv(), lif()), delete(f"{node('n1')}/v_threshold")),
    "nir-not-finite": (graph(conv(), lif(threshold=np.nan)), None),
    "nir-time-not-positive": (graph(conv(), lif(tau=0)), None),
    "nir-parameter-shapes": (graph(conv(), lif()), put(f"{node('n1')}/tau", np.ones(3))),
    "nir-scalar-parameters": (graph(conv(), lif()), put(f"{node('n1')}/tau", np.float32(1e-4))),
    "nir-reset-left-out": (graph(conv(), lif()), delete(f"{node('n1')}/v_reset")),
    "nir-threshold-not-above-reset": (graph(conv(), lif(threshold=-0.5)), None),
    "norse-node-not-read": (graph(nir.Threshold(full(0.5))), None),
    "snntorch-node-not-read": (graph(nir.LI(full(1e-4), full(1), full(0))), None),
    "sinabs-node-not-read": (graph(nir.Linear(np.eye(3, dtype=np.float32))), None),
    "nirtorch-several-inputs": (graph(conv(), lif()), second_input),
    "norse-time-step": (graph(conv(), lif()), None),
    "norse-default-time-step": (graph(conv(), lif(tau=1e-2, threshold=0.3)), None),
    "norse-cuba-leaks-twice": (graph(cuba(v_leak=0.5, v_threshold=0.8)), None),
    "norse-reset-ignored": (graph(conv(), lif(v_reset=-3)), None),
    "norse-sum-pool-padding": (graph(nir.SumPool2d((3, 3), (1, 1), np.array((1, 1)))), None),
    "norse-linear-swapped": (graph(nir.Linear(np.ones((2, 3), np.float32))), None),
    "snntorch-time-step": (graph(conv(), lif(tau=1e-3)), None),
    "snntorch-neuron-refused": (graph(conv(), lif(v_leak=0.5)), None),
    "snntorch-cuba-gain": (
        graph(cuba(r=7)),
        None,
    ),
    "snntorch-recurrence-refused": (
        graph(lif(), conv(), edges=[("in", "n0"), ("n0", "n1"), ("n1", "n0"), ("n0", "out")]),
        None,
    ),
    "snntorch-nested-neurons": (graph(graph(conv(), lif())), None),
    "sinabs-time-in-steps": (graph(conv(), lif(tau=1e-2)), None),
    "sinabs-subtracts": (graph(conv(), nir.IF(full(1), full(1.5))), None),
    "sinabs-shaped-parameters": (graph(conv(), lif()), None),
    "sinabs-several-spikes": (graph(conv(), lif()), None),
    "nirtorch-affine-bias": (graph(nir.Affine(np.eye(3, dtype=np.float32), np.ones(3, np.float32))), None),
    "nir-grouped-convolution": (graph(conv(np.ones((2, 1, 1, 1)), groups=2), lif()), None),
    "nir-kernel-not-square": (graph(conv(np.ones((2, 2, 3, 1)))), None),
    "nir-flatten-and-batch": (graph(nir.Flatten({"input": np.array(SIZE)}, 0, -1)), None),
    "nir-keeps-state": (graph(conv(), nir.IF(full(1), full(1.5))), None),
    "nir-to-be-quantised": (graph(conv(np.full((2, 2, 1, 1), 0.3)), lif()), None),
    "nir-threshold-tie": (graph(conv(np.full((2, 2, 1, 1), 0.25)), lif(threshold=1)), None),
    "nir-shapes-contradict": (graph(nir.Linear(np.ones((5, 7), np.float32)), lif((5,))), None),
    "nir-type-check": (graph(conv(), lif((2,))), None),
    "sinabs-old-nir": (graph(conv(), lif()), None),
    "nir-written-by-spikingjelly": (graph(conv(), nir.IF(full(1e4), full(1))), None),
    "nir-written-by-norse-rockpool-mlx-spyx": (graph(conv(), cuba(tau_syn=5e-3, tau_mem=1e-2)), None),
    "nir-written-by-norse-default-step": (graph(conv(), lif(tau=1e-5)), None),
    "nir-written-by-step-in-r": (graph(conv(), lif(tau=2e-3, r=2)), None),
    "nir-written-by-sinabs": (graph(conv(), lif(tau=20)), None),
    "nir-written-by-spyx": (graph(conv(), lif(tau=10, r=0.9)), None),
    "nir-written-by-subtracting": (graph(conv(), lif(tau=1e-3, r=10)), None),
    "nir-written-by-snntorch-beta-one": (graph(conv(), lif(tau=np.inf, r=np.inf)), None),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nir")
    found = {name: written(folder / f"{name}.nir", *trap) for name, trap in TRAPS.items()}
    return found | {"sound": written(folder / "sound.nir", graph(conv(), lif()))}


def found_in(path):
    return {finding.rule.name for finding in lint(path)}


@pytest.mark.parametrize("rule", TRAPS)
def test_the_trap_is_found_with_its_place(rule, files):
    found = [finding for finding in lint(files[rule]) if finding.rule.name == rule]
    assert found, found_in(files[rule])
    assert all(finding.place.startswith("node") and finding.message for finding in found)


def test_a_sound_graph_has_only_what_its_readers_have_to_be_told(files):
    sinabs = {"sinabs-shaped-parameters", "sinabs-several-spikes", "sinabs-old-nir"}
    assert found_in(files["sound"]) == {"norse-time-step", *sinabs}
    assert not {f.rule.name for f in for_reader(lint(files["sound"]), "snntorch")}


def test_every_rule_about_nir_files_has_a_trap():
    ours = {rule.name for rule in rules() if rule.name.startswith(("nir", "norse", "snntorch", "sinabs"))}
    assert ours == set(TRAPS)


def test_what_a_reader_refuses_is_an_error_to_it_and_nothing_to_others(files):
    found = lint(files["snntorch-neuron-refused"])
    named = {
        reader: {f.rule.name: f.rule.severity.value for f in for_reader(found, reader)}
        for reader in ("norse", "snntorch")
    }
    assert named["snntorch"]["snntorch-neuron-refused"] == "error"
    assert "snntorch-neuron-refused" not in named["norse"]


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ("nir-node-unknown", Exception),
        ("nir-parameter-missing", TypeError),
        ("nir-parameter-shapes", AssertionError),
        ("nir-edge-to-nowhere", Exception),
        ("nir-edges-numbered", TypeError),
        ("nir-edge-twice", ValueError),
        ("nir-no-input-or-output", Exception),
        ("nir-grouped-convolution", Exception),
        ("nir-kernel-not-square", Exception),
        ("nir-shapes-contradict", ValueError),
        ("nir-type-check", ValueError),
    ],
)
def test_nirs_own_reader_or_its_type_check_refuses_it(rule, error, files):
    with pytest.raises(error):
        nir.read(files[rule])


def test_nirs_own_reader_takes_the_sound_graph_and_what_only_looks_sound(files):
    for rule in ("sound", "nir-not-finite", "nir-time-not-positive", "nir-reset-left-out"):
        nir.read(files[rule])
        assert not {"nir-type-check", "nir-shapes-contradict"} & found_in(files[rule])


def run_in_norse(path, frames, **step):
    norse = pytest.importorskip("norse.torch", reason="norse is not installed")
    torch = pytest.importorskip("torch")
    model = norse.from_nir(nir.read(path, type_check=False), **({"dt": 1e-4} | step))
    values = torch.as_tensor(np.asarray(frames), dtype=torch.float32)
    return model(values)[0].detach().numpy()


ONE = np.ones((1, *SIZE))


@pytest.mark.parametrize("rule", ["norse-node-not-read", "nir-node-unknown", "nir-grouped-convolution"])
def test_norse_fails_over_it(rule, files):
    pytest.importorskip("norse.torch", reason="norse is not installed")
    with pytest.raises(Exception):  # noqa: B017 - whatever it is
        run_in_norse(files[rule], ONE)


def test_norse_silently_takes_one_of_two_inputs(files):
    """Both together would be a sum of 2 * 0.8, above the threshold of 1.5."""
    assert not run_in_norse(files["nirtorch-several-inputs"], 0.2 * ONE).any()


def test_norse_fires_as_the_graph_says_with_its_time_step_and_not_with_norses_own(files):
    """A sum of 2 * 2 = 4 from spikes of 1, and of -4 from -1, against a threshold of 1.5."""
    assert run_in_norse(files["sound"], ONE).all()
    frames = 0.1 * ONE  # a sum of 0.4, below the threshold
    assert not run_in_norse(files["sound"], frames).any()
    assert run_in_norse(files["sound"], frames, dt=1e-3).any()


def test_norse_takes_a_thousandth_of_a_second_unless_it_is_told(files):
    """A sum of 4 at a tau of 0.01 s: a voltage of 0.04 after 1e-4 s, of 0.4 after 1e-3 s, against 0.3."""
    path = files["norse-default-time-step"]
    norse = pytest.importorskip("norse.torch", reason="norse is not installed")
    torch = pytest.importorskip("torch")
    assert norse.from_nir(nir.read(path))(torch.ones(1, *SIZE))[0].all()
    assert not run_in_norse(path, ONE).any()
    graph_of = nir.read(path)
    graph_of.metadata = {"dt": 1e-3}
    nir.write(path.with_name("told.nir"), graph_of)
    assert "norse-default-time-step" not in found_in(path.with_name("told.nir"))


def test_norse_leaks_into_the_current_of_a_cuba_neuron_too(files):
    """Without input a leak voltage of 0.5 is all of the voltage, below 0.8; norse's current brings another 0.5."""
    assert run_in_norse(files["norse-cuba-leaks-twice"], 0 * ONE).all()


def test_norse_never_fires_at_a_threshold_that_is_no_number_and_over_times_of_zero_anything(files):
    assert not run_in_norse(files["nir-not-finite"], ONE).any()
    assert not np.isfinite(1 / nir.read(files["nir-time-not-positive"]).nodes["n1"].tau).any()


def test_norse_ignores_the_reset_voltage_and_the_padding_of_a_sum(files):
    """Reset to -3, a leaky neuron would be silent at the next step; with a tau of the time step nothing is kept."""
    model = pytest.importorskip("norse.torch", reason="norse is not installed").from_nir(
        nir.read(files["norse-reset-ignored"]), dt=1e-4
    )
    torch = pytest.importorskip("torch")
    _, state = model(torch.ones(1, *SIZE))
    assert (state.state["n1"][0].v == 0).all()
    assert run_in_norse(files["norse-sum-pool-padding"], ONE).shape == (1, 2, 1, 1)


def test_norse_flattens_the_batch_too(files):
    assert run_in_norse(files["nir-flatten-and-batch"], np.ones((4, *SIZE))).shape == (72,)


def test_norse_keeps_the_state_of_an_if_when_the_caller_does(files):
    norse = pytest.importorskip("norse.torch", reason="norse is not installed")
    torch = pytest.importorskip("torch")
    model = norse.from_nir(nir.read(files["nir-keeps-state"]), dt=1e-4)
    frames = torch.full((1, *SIZE), 0.25)  # a sum of 1, below the threshold of 1.5
    first, state = model(frames)
    second, _ = model(frames, state)
    assert not first.any()
    assert second.any()


def test_norses_linear_says_the_wrong_sizes(files):
    norse = pytest.importorskip("norse.torch", reason="norse is not installed")
    model = norse.from_nir(nir.read(files["norse-linear-swapped"], type_check=False), dt=1e-4)
    [linear] = [module for module in model.modules() if type(module).__name__ == "Linear"]
    assert (linear.in_features, linear.out_features) == (2, 3)
    assert linear.weight.shape == (2, 3)


def test_nirtorchs_own_map_loses_the_bias_of_an_affine(files):
    nirtorch = pytest.importorskip("nirtorch", reason="nirtorch is not installed")
    torch = pytest.importorskip("torch")
    module = nirtorch.nir_to_torch(nir.read(files["nirtorch-affine-bias"], type_check=False), {})
    answer = module(torch.zeros(1, 3))
    answer = answer[0] if isinstance(answer, tuple) else answer
    assert not torch.equal(answer, torch.ones(1, 3))


def test_what_monospike_writes_has_no_errors(tmp_path):
    layer = Layer("edges", ("pixels",), Conv2d(np.full((4, 1, 3, 3), 2), groups=2), LIF(81, [2, 0, -4, 6]))
    network = Network((Input("pixels", Shape(2, 5, 6), (0, 15)),), (layer,), ("edges",))
    save(network, tmp_path / "own.nir")
    found = lint(tmp_path / "own.nir")
    assert not [finding for finding in found if finding.rule.severity.value == "error"]
    assert {"graded-input", "chip-register"} <= {finding.rule.name for finding in found}
    save(network, tmp_path / "folder", format="nir")
    assert {finding.rule.name for finding in lint(tmp_path / "folder")} == {finding.rule.name for finding in found}


def test_a_layer_that_nothing_reads_is_named(tmp_path):
    one = Conv2d([[[[2]]]])
    layers = (Layer("a", ("x",), one, LIF(1)), Layer("b", ("x",), one, LIF(1)))
    network = Network((Input("x", Shape(1, 1, 1)),), layers, ("a",))
    [finding] = [f for f in network_findings(network, tmp_path) if f.rule.name == "unread-layer"]
    assert finding.place == "b"


def test_a_graph_that_contains_itself_is_one_finding(tmp_path):
    path = written(tmp_path / "self.nir", graph(conv(), lif()))
    with h5py.File(path, "r+") as file:
        file[node("again")] = file["node"]
    assert "file-not-readable" in found_in(path)


def test_a_time_constant_that_is_norses_step_in_double_precision_is_not_shorter_than_it(tmp_path):
    times = {
        "tau": np.full(SIZE, 1e-3),
        "r": np.ones(SIZE),
        "v_leak": np.zeros(SIZE),
        "v_threshold": np.full(SIZE, 0.5),
    }
    path = written(tmp_path / "double.nir", graph(conv(), nir.LIF(**times)))
    assert "norse-time-step" not in found_in(path)
