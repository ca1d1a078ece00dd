"""The engine holds the same values as Lava's stock processes in every variable, at every step, on drawn networks."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netx import LIF, SPIKES, Conv2d, Dense, Direct, Input, Layer, Network, NetworkError, Range, Recurrent, SigmaDelta
from sim import engine, random_networks
from sim.lava.states import states
from sim.random_networks import Drawn
from sim.selfcheck import check, first_difference, recorded_difference

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("traces")]

PACK = 30
"""Networks that share the second in which Lava is imported."""


@st.composite
def drawn_networks(draw):
    return random_networks.draw(lambda low, high: draw(st.integers(low, high)))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.lists(drawn_networks(), min_size=PACK, max_size=PACK))
def test_every_variable_of_any_network_is_that_of_lavas_stock_models(drawn):
    outcome = check(drawn)
    assert outcome.first is None, f"{drawn[outcome.first[0]].network}\n{outcome.first[1]}"
    assert outcome.compared > 0


def test_networks_by_number_agree_too_and_reach_the_edges_of_24_bits():
    drawn = [random_networks.seeded(seed) for seed in range(200)]
    outcome = check(drawn)
    assert outcome.first is None, outcome.first
    assert outcome.compared + outcome.refused == 200
    assert outcome.refused < 20
    traces = []
    for one in drawn:
        try:
            traces += engine.trace(one.network, one.frames, pipelined=True).values()
        except NetworkError:
            continue
    wrapped = [trace for trace in traces if "u" in trace.states and np.abs(trace.activation).max() > 131072]
    assert len(wrapped) > 20
    assert sum(bool((np.abs(trace.states["v"]) == (1 << 23) - 1).any()) for trace in wrapped) > 5


def test_lavas_runtime_does_what_its_models_do_when_called_one_by_one():
    drawn = [random_networks.seeded(seed) for seed in range(8)]
    outcome = check(drawn, simulated=True)
    assert outcome.first is None, outcome.first
    assert outcome.compared >= 6
    cases = [(one.network, one.frames) for one in drawn[3:6]]
    for stepped, simulated in zip(states(cases), states(cases, simulated=True), strict=True):
        for layer, kinds in simulated.items():
            for kind, values in kinds.items():
                np.testing.assert_array_equal(stepped[layer][kind], values, err_msg=f"{kind} of {layer}")


def test_a_changed_weight_is_found_at_its_first_step():
    weight = np.full((2, 3), 10)
    changed = weight.copy()
    changed[1, 2] = 11
    ours, theirs = (
        Network((Input("x", (3, 1, 1)),), (Layer("a", ("x",), Dense(w), LIF(1000)),), ("a",)) for w in (weight, changed)
    )
    frames = {"x": np.array([[0, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]]).reshape(4, 3, 1, 1)}
    [lava] = states([(theirs, frames)])
    found = first_difference(ours, engine.trace(ours, frames, pipelined=True), lava)
    assert found is not None
    assert (found.layer, found.variable, found.step, found.neuron) == ("a", "activation", 3, (1, 0, 0))
    assert (found.engine, found.lava) == (30, 31)


def test_a_recording_unlike_what_is_traced_is_found(monkeypatch):
    network = Network((Input("x", (1, 1, 1)),), (Layer("a", ("x",), Dense([[3]]), LIF(2)),), ("a",))
    drawn = Drawn(network, {"x": np.array([0, 1, 0, 1]).reshape(4, 1, 1, 1)})
    assert recorded_difference(drawn) is None
    run = engine.run
    monkeypatch.setattr(engine, "run", lambda network, frames: run(network, {"x": 1 - frames["x"]}))
    found = recorded_difference(drawn)
    assert found is not None
    assert (found.layer, found.variable, found.step, found.engine, found.lava) == ("a", "recorded", 0, 1, 0)
    outcome = check([Drawn(network, {"x": np.zeros((1, 1, 1, 1), int)}), drawn])
    assert outcome.first is not None
    assert outcome.first[0] == 0


@pytest.mark.parametrize("bits", [1, 3, 7, 8, 9])
@pytest.mark.parametrize("signs", ["mixed", "positive", "negative"])
def test_dense_weights_lose_the_bits_that_lava_drops(bits, signs):
    low, high = {"mixed": (-256, 255), "positive": (0, 255), "negative": (-255, 0)}[signs]
    weight = np.linspace(low, high, 41).astype(int)[:, None]
    network = Network((Input("x", (1, 1, 1)),), (Layer("a", ("x",), Dense(weight, 0, bits), LIF(1)),), ("a",))
    frames = {"x": np.ones((3, 1, 1, 1), int)}
    [lava] = states([(network, frames)])
    np.testing.assert_array_equal(
        engine.trace(network, frames, pipelined=True)["a"].activation, lava["a"]["activation"]
    )
    lost = 8 - bits + (signs == "mixed")
    if signs != "negative" and lost > 0:
        assert (lava["a"]["activation"][1, :, 0, 0] == weight[:, 0] // 2**lost * 2**lost).all()


@pytest.mark.parametrize("activation", [131071, 131072, 131073, -131071, -131072, -131073, 262145, 1 << 22, -(1 << 23)])
def test_activations_around_24_bits_wrap_as_in_lava(activation):
    network = Network(
        (Input("x", (1, 1, 1), Range(-(1 << 23), 1 << 23)),),
        (
            Layer("conv", ("x",), Conv2d(np.ones((1, 1, 1, 1))), LIF(100, current_decay=2000, voltage_decay=300)),
            Layer("dense", ("x",), Dense(np.full((1, 1), 2)), LIF(100, current_decay=0, voltage_decay=0)),
        ),
        ("conv", "dense"),
    )
    frames = {"x": np.full((8, 1, 1, 1), activation)}
    assert check([Drawn(network, frames)]).first is None


def test_feedback_and_its_delays_take_lavas_steps():
    rng = np.random.default_rng(5)
    feedback = Dense(rng.integers(-90, 90, (4, 4)), delay=rng.integers(0, 5, (4, 4)))
    network = Network(
        (Input("x", (3, 1, 1)),),
        (
            Layer("a", ("x",), Recurrent(Dense(rng.integers(-90, 90, (4, 3))), feedback), LIF(70, voltage_decay=500)),
            Layer("b", ("a",), Dense(rng.integers(-90, 90, (2, 4))), SigmaDelta(3)),
        ),
        ("b",),
    )
    frames = {"x": rng.integers(0, 2, (40, 3, 1, 1))}
    drawn = Drawn(network, frames)
    assert engine.run(network, frames).spikes["a"].mean() > 0.1
    assert check([drawn]).first is None
    assert check([drawn], simulated=True).first is None


@example(seed=3)
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_a_pipelined_run_is_the_run_itself_shifted_by_the_depth(seed):
    drawn = random_networks.seeded(seed)
    network = drawn.network
    # Biases act before the first frame arrives and resets refer to it: without them nothing but time differs.
    if any(layer.neuron is not None and layer.neuron.bias.any() for layer in network.layers):
        return
    if any(isinstance(layer.neuron, LIF) and layer.neuron.threshold < 0 for layer in network.layers):
        return
    try:
        exact = engine.trace(network, drawn.frames)
    except NetworkError:
        return
    depth = max(network.depth(name) for name in exact)
    padded = {name: np.pad(values, ((0, depth), *[(0, 0)] * 3)) for name, values in drawn.frames.items()}
    late = engine.trace(network, padded, pipelined=True)
    for name, trace in exact.items():
        start = network.depth(name)
        np.testing.assert_array_equal(late[name].output[start : start + len(trace.output)], trace.output)


def test_frames_of_spikes_are_all_that_lava_sees_of_a_binary_input():
    network = Network((Input("x", (1, 1, 1), SPIKES),), (Layer("a", ("x",), Dense(np.ones((1, 1))), LIF(0)),), ("a",))
    with pytest.raises(NetworkError, match=r"expected 0\.\.1"):
        engine.run(network, {"x": np.full((1, 1, 1, 1), 2)})


REFRACTORY = """
import os, sys
import subprocess
import sys

import numpy as np
from lava.proc.lif.models import PyLifRefractoryModelFloat

class Port:
    def recv(self):
        return self.value
    def send(self, value):
        self.value = np.array(value)

inputs, period, dv, threshold, bias = np.load(sys.argv[1]), *map(int, sys.argv[3:])
model = PyLifRefractoryModelFloat({"refractory_period": period})
shape = inputs.shape[1:]
model.u, model.v, model.refractory_period_end = np.zeros(shape), np.zeros(shape), np.zeros(shape, int)
model.bias_mant, model.du, model.dv, model.vth = np.full(shape, float(bias)), 1.0, float(dv), float(threshold)
model.a_in, model.s_out = Port(), Port()
rows = []
for step, values in enumerate(inputs, 1):
    model.time_step, model.a_in.value = step, values
    model.run_spk()
    rows.append((model.v.copy(), model.s_out.value))
np.save(sys.argv[2], np.array(rows))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.parametrize(("period", "dv"), [(1, 0), (3, 0), (2, 1)])
def test_the_refractory_period_is_that_of_lavas_floating_point_model(period, dv, tmp_path):
    """The only model of it that Lava has; with decays of none and all it computes in whole numbers."""
    inputs = np.random.default_rng(period).integers(-5, 20, (60, 7))
    np.save(tmp_path / "in.npy", inputs.astype(float))
    arguments = [str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), str(period), str(dv), "30", "2"]
    subprocess.run([sys.executable, "-c", REFRACTORY, *arguments], check=True, timeout=200, start_new_session=True)
    expected = np.load(tmp_path / "out.npy")
    neuron = LIF(30, np.full(7, 2), voltage_decay=4096 * dv, refractory=period)
    network = Network((Input("x", (7, 1, 1), Range(-5, 19)),), (Layer("n", ("x",), Direct(), neuron),), ("n",))
    trace = engine.trace(network, {"x": inputs[..., None, None]})["n"]
    np.testing.assert_array_equal(trace.output[..., 0, 0], expected[:, 1])
    np.testing.assert_array_equal(trace.states["v"][..., 0, 0], expected[:, 0] * 64)
    assert expected[:, 1].any() == (dv == 0)
