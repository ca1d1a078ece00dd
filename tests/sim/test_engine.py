"""The engine: single neurons by hand-written formulas, time, batches, parts, bad input and strictness."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Delta,
    Dense,
    Direct,
    Flatten,
    Input,
    Layer,
    Network,
    NetworkError,
    Pool,
    Range,
    Recurrent,
    Sigma,
    SigmaDelta,
)
from sim import engine
from sim.compare import compare
from sim.kernels import native
from sim.random_networks import seeded
from sim.recording import Recording

ANY = Range(-(1 << 24), 1 << 24)


def alone(neuron, values=ANY):
    """A network of one neuron that reads its input at once."""
    return Network((Input("x", (1, 1, 1), values),), (Layer("n", ("x",), Direct(), neuron),), ("n",))


def trace_of(neuron, inputs):
    return engine.trace(alone(neuron), {"x": np.reshape(inputs, (-1, 1, 1, 1))})["n"]


def toward_zero(value, decay):
    """The part of a state that is left, its magnitude rounded down."""
    kept = abs(value) * (4096 - decay) // 4096
    return kept if value >= 0 else -kept


def plain_lif(inputs, threshold, bias, current_decay, voltage_decay, interval, offset, refractory):
    """u, v after the reset and spikes of one neuron, in Python's own integers, from the formulas of Loihi's manual."""
    u = v = wait = 0
    rows = []
    for step, a in enumerate(inputs):
        if interval and (step - offset) % interval == 0:
            u = v = 0
        u = toward_zero(u, current_decay) + 64 * a
        if u > 2**23:
            u -= 2**24
        elif u <= -(2**23):
            u += 2**24
        if wait:
            wait, v = wait - 1, 0
        else:
            v = max(-(2**23) + 1, min(2**23 - 1, toward_zero(v, voltage_decay) + u + bias))
        spike = v > 64 * threshold
        if spike:
            v, wait = 0, refractory
        rows.append((u, v, int(spike)))
    return rows


@settings(max_examples=300, deadline=None)
@given(
    inputs=st.lists(st.one_of(st.integers(-300, 300), st.integers(-262143, 262143)), min_size=1, max_size=20),
    threshold=st.integers(-50, 131071) | st.integers(0, 100),
    mantissa=st.integers(-32768, 32767),
    exponent=st.integers(0, 7),
    decays=st.tuples(st.integers(0, 4096), st.integers(0, 4096)),
    interval=st.none() | st.integers(1, 7),
    offset=st.integers(0, 9),
    refractory=st.sampled_from([0, 0, 1, 3]),
)
def test_a_neuron_follows_the_formulas(inputs, threshold, mantissa, exponent, decays, interval, offset, refractory):
    neuron = LIF(threshold, [mantissa], exponent, *decays, interval, offset, refractory)
    trace = trace_of(neuron, inputs)
    expected = plain_lif(inputs, threshold, mantissa << exponent, *decays, interval, offset, refractory)
    got = zip(trace.states["u"].ravel(), trace.states["v"].ravel(), trace.output.ravel(), strict=True)
    assert [tuple(map(int, row)) for row in got] == expected


def plain_sigma_delta(inputs, threshold, bias, spike_exponent, state_exponent, relu, sums):
    scale = 2 ** (spike_exponent + state_exponent)
    total = act = residue = 0
    messages = []
    for a in inputs:
        total = total + a if sums else a * scale
        new = total + bias * scale if sums else total
        if relu:
            new = max(new, 0)
        change = new - act + residue
        sent = change if abs(change) >= threshold * scale else 0
        act, residue = new, change - sent
        messages.append(sent // 2**state_exponent)
    return messages


@settings(max_examples=200, deadline=None)
@given(
    inputs=st.lists(st.integers(-4000, 4000), min_size=1, max_size=15),
    threshold=st.integers(0, 60),
    bias=st.integers(-50, 50),
    exponents=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    relu=st.booleans(),
    sums=st.booleans(),
)
def test_sigma_delta_neurons_follow_the_formulas(inputs, threshold, bias, exponents, relu, sums):
    neuron = SigmaDelta(threshold, [bias], *exponents, relu) if sums else Delta(threshold, *exponents)
    relu = relu and sums
    expected = plain_sigma_delta(inputs, threshold, bias, *exponents, relu, sums)
    assert trace_of(neuron, inputs).output.ravel().tolist() == expected


def test_a_sigma_is_the_running_sum():
    assert trace_of(Sigma(), [3, -5, 0, 7]).output.ravel().tolist() == [3, -2, -2, 5]


def test_a_read_out_that_remembers_never_spikes():
    neuron = LIF(131072, current_decay=0)
    trace = trace_of(neuron, [100, 0, 28])
    assert trace.states["u"].ravel().tolist() == [6400, 6400, 8192]
    assert trace.states["v"].ravel().tolist() == [6400, 6400, 8192]
    assert not trace.output.any()
    assert not trace_of(neuron, [131071] * 3).output.any()


def test_delays_are_the_steps_by_which_a_synapse_is_late():
    delay = np.array([[0, 2], [1, 0]])
    network = Network(
        (Input("x", (2, 1, 1)),),
        (Layer("a", ("x",), Dense(np.array([[1, 10], [100, 200]]), delay=delay), Sigma()),),
        ("a",),
    )
    frames = np.zeros((5, 2, 1, 1), int)
    frames[0] = 1
    got = engine.trace(network, {"x": frames})["a"].activation[..., 0, 0]
    assert got.tolist() == [[1, 200], [0, 100], [10, 0], [0, 0], [0, 0]]


def test_each_delay_is_shifted_on_its_own():
    dense = Dense(np.array([[3, 3]]), -2, delay=np.array([[0, 1]]))
    network = Network((Input("x", (2, 1, 1)),), (Layer("a", ("x",), dense, Sigma()),), ("a",))
    got = engine.trace(network, {"x": np.ones((3, 2, 1, 1), int)})["a"].activation.ravel()
    assert got.tolist() == [0, 0, 0]
    together = Network((Input("x", (2, 1, 1)),), (Layer("a", ("x",), Dense(dense.weight, -2), Sigma()),), ("a",))
    assert engine.trace(together, {"x": np.ones((1, 2, 1, 1), int)})["a"].activation.ravel().tolist() == [1]


def test_feedback_is_the_spikes_of_the_step_before():
    network = Network(
        (Input("x", (1, 1, 1)),),
        (Layer("a", ("x",), Recurrent(Dense([[5]]), Dense([[7]])), LIF(4)),),
        ("a",),
    )
    frames = np.array([0, 1, 0, 0, 1]).reshape(-1, 1, 1, 1)
    trace = engine.trace(network, {"x": frames})["a"]
    assert trace.activation.ravel().tolist() == [0, 5, 7, 7, 12]
    assert trace.output.ravel().tolist() == [0, 1, 1, 1, 1]


def same(one, other):
    assert one.spikes.keys() == other.spikes.keys()
    for kind in ("spikes", "membranes", "messages"):
        for name, values in getattr(one, kind).items():
            np.testing.assert_array_equal(values, getattr(other, kind)[name], err_msg=f"{kind} of {name}")


@pytest.mark.parametrize("seed", range(40))
def test_a_run_may_be_cut_anywhere_and_sequences_may_share_a_batch(seed):
    drawn = seeded(seed)
    backwards = {name: values[::-1] for name, values in drawn.frames.items()}
    try:
        whole, reverse = (engine.run(drawn.network, frames) for frames in (drawn.frames, backwards))
    except NetworkError:
        return  # past 32 bits
    for size in (1, 3):
        same(Recording.joined(list(engine.run_in_parts(drawn.network, drawn.frames, size))), whole)
    both = {name: np.stack([values, backwards[name]]) for name, values in drawn.frames.items()}
    first, second = engine.run_batch(drawn.network, both)
    same(first, whole)
    same(second, reverse)


@pytest.mark.skipif(not native.available(), reason="numba is not installed")
def test_few_frames_of_a_small_network_are_not_worth_a_trial_of_kernels():
    """A batch made ready for all the frames that a cache holds takes seconds to choose kernels for it."""
    network = Network((Input("x", (4, 1, 1)),), (Layer("n", ("x",), Dense(np.eye(4)), LIF(1)),), ("n",))
    first, second = engine.run_batch(network, {"x": np.ones((2, 3, 4, 1, 1), int)})
    same(first, second)
    (choice,) = engine.choices(network)
    assert (choice.type, choice.reason.startswith("too little to compute")) == ("events", True)


@pytest.mark.parametrize("run", [engine.run, engine.run_batch])
def test_frames_that_are_no_array_are_an_error_that_names_the_input(run):
    with pytest.raises(NetworkError, match="input 'x': frames are lists of several lengths"):
        run(alone(Delta(1)), {"x": [[1, 2], [3]]})


def test_a_recording_with_messages_survives_its_file(tmp_path):
    recording = engine.run(alone(Delta(1)), {"x": np.arange(4).reshape(4, 1, 1, 1)})
    recording.save(tmp_path / "r.npz")
    same(Recording.load(tmp_path / "r.npz"), recording)
    assert recording.messages["n"].any()


def test_flatten_and_concat_keep_the_batch_and_the_order():
    rng = np.random.default_rng(1)
    network = Network(
        (Input("x", (2, 3, 4)),),
        (
            Layer("a", ("x",), Pool((1, 1), (1, 1)), LIF(0)),
            Layer("c", ("x", "a"), Concat()),
            Layer("f", ("c",), Flatten()),
            Layer("o", ("f",), Dense(rng.integers(-9, 9, (3, 48))), Accumulator()),
        ),
        ("o",),
    )
    frames = rng.integers(0, 2, (5, 2, 3, 4))
    doubled = np.concatenate([frames, frames], axis=1).reshape(5, -1)
    expected = doubled @ network.layer("o").synapse.weight.T
    np.testing.assert_array_equal(engine.run(network, {"x": frames}).membranes["o"][..., 0, 0], expected)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((0, 1, 1, 1)), "frames have shape"),
        (np.zeros((2, 1, 1)), "frames have shape"),
        (np.zeros((2, 1, 1, 2)), "frames have shape"),
        (np.full((1, 1, 1, 1), np.nan), "frames hold nan"),
        (np.full((1, 1, 1, 1), np.inf), "frames hold inf"),
        (np.full((1, 1, 1, 1), 0.5), "frames hold 0.5"),
        (np.full((1, 1, 1, 1), -1), "expected 0..1"),
        (np.array([[[["a"]]]]), "expected integers"),
        (np.array([[[[1j]]]]), "expected integers"),
    ],
)
def test_frames_that_are_none_are_refused_by_name(frames, message):
    with pytest.raises(NetworkError, match=f"input 'x': .*{message}"):
        engine.run(alone(LIF(1), Range(0, 1)), {"x": frames})


def test_inputs_that_are_missing_or_unequal_are_refused():
    with pytest.raises(NetworkError, match="no frames were given for input 'x'"):
        engine.run(alone(LIF(1)), {})
    with pytest.raises(NetworkError, match="shape is"):
        engine.run_batch(alone(LIF(1)), {"x": np.zeros((1, 1, 1, 1))})


@pytest.mark.parametrize(
    "synapse",
    [Conv2d(np.full((1, 1, 1, 1), 255)), Conv2d(np.full((1, 1, 1, 1), 16), weight_exponent=4), Dense([[255]])],
)
def test_a_sum_past_32_bits_is_refused_with_the_layers_name(synapse):
    network = Network((Input("x", (1, 1, 1), ANY),), (Layer("big", ("x",), synapse, LIF(1)),), ("big",))
    with pytest.raises(NetworkError, match=r"layer 'big': a sum of \d+ leaves 32 bits"):
        engine.run(network, {"x": np.full((1, 1, 1, 1), 1 << 24)})


def test_truncation_that_makes_weights_larger_counts_for_32_bits():
    dense = Dense([[-129] * 40 + [1]], weight_bits=1)
    network = Network((Input("x", (41, 1, 1), ANY),), (Layer("big", ("x",), dense, LIF(1)),), ("big",))
    with pytest.raises(NetworkError, match=f"layer 'big': a sum of {40 * 256 << 18} leaves 32 bits"):
        engine.run(network, {"x": np.full((1, 41, 1, 1), 1 << 18)})


STRICT = {
    "voltage decay 4096": LIF(1, voltage_decay=4096, current_decay=4096),
    "current decay 0": LIF(1, voltage_decay=10, current_decay=0),
    "threshold 131072": LIF(131072, voltage_decay=10),
    "threshold -1": LIF(-1, voltage_decay=10),
    "bias 4096": LIF(1, [4096], voltage_decay=10),
    "bias -4097": LIF(1, [-4097], voltage_decay=10),
    "a read-out": Accumulator(),
    "threshold 5000": SigmaDelta(5000),
}


@pytest.mark.parametrize("what", STRICT)
def test_strictly_a_register_that_only_a_simulator_has_is_refused(what):
    network = alone(STRICT[what], Range(0, 1))
    frames = {"x": np.zeros((1, 1, 1, 1))}
    engine.run(network, frames)
    with pytest.raises(NetworkError, match=f"layer 'n': .*{what}"):
        engine.run(network, frames, strict=True)


@pytest.mark.parametrize(
    ("weight", "message"),
    [([[3, -2]], r"weight \[0, 0\] is 3, odd"), ([[-256, 0]], r"weight \[0, 0\] is -256, beyond 255")],
)
def test_strictly_weights_have_eight_bits(weight, message):
    neuron = LIF(1, voltage_decay=10)
    network = Network((Input("x", (2, 1, 1)),), (Layer("w", ("x",), Dense(weight), neuron),), ("w",))
    with pytest.raises(NetworkError, match=f"layer 'w': {message}"):
        engine.run(network, {"x": np.zeros((1, 2, 1, 1))}, strict=True)
    for good in ([[3, 2]], [[-254, 2]], [[-255, 0]]):
        network = Network((Input("x", (2, 1, 1)),), (Layer("w", ("x",), Dense(good), neuron),), ("w",))
        engine.run(network, {"x": np.ones((1, 2, 1, 1))}, strict=True)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [([0, 131072], "current of neuron .0, 0, 0. at frame 1 is 8388608"), ([131071, 131071], "voltage .* at frame 1")],
)
def test_strictly_an_accumulator_stays_within_24_bits(inputs, message):
    network = alone(LIF(131071, voltage_decay=1))
    frames = {"x": np.reshape(inputs, (-1, 1, 1, 1))}
    engine.run(network, frames)
    with pytest.raises(NetworkError, match=f"layer 'n': {message}"):
        engine.run(network, frames, strict=True)


@pytest.mark.parametrize("synapse", [Conv2d(np.full((1, 1, 1, 1), 1)), Dense([[1]]), Direct()])
def test_strictly_a_sum_that_would_wrap_to_a_small_current_is_refused(synapse):
    network = Network(
        (Input("x", (1, 1, 1), Range(0, 1 << 26)),), (Layer("w", ("x",), synapse, LIF(1, voltage_decay=1)),), ("w",)
    )
    frames = {"x": np.full((1, 1, 1, 1), 1 << 26)}
    assert not engine.run(network, frames).membranes["w"].any()
    with pytest.raises(NetworkError, match="layer 'w': a sum of 67108864 leaves the chip's 24 bits"):
        engine.run(network, frames, strict=True)


def test_an_input_has_32_bits():
    with pytest.raises(NetworkError, match=r"input 'x': the range 0\.\.4294967296 is beyond 32 bits"):
        Input("x", (1, 1, 1), Range(0, 1 << 32))


def test_strictly_a_message_has_its_bits():
    network = alone(Delta(0, 0, 0, message_bits=8), Range(-999, 999))
    engine.run(network, {"x": np.full((1, 1, 1, 1), 127)}, strict=True)
    with pytest.raises(NetworkError, match=r"layer 'n': message .* is 128"):
        engine.run(network, {"x": np.full((1, 1, 1, 1), 128)}, strict=True)


def test_recordings_that_differ_in_a_message_only_are_not_identical():
    network = alone(Delta(1))
    frames = {"x": np.arange(4).reshape(4, 1, 1, 1)}
    one = engine.run(network, frames)
    changed = one.messages["n"].copy()
    changed[2] += 1
    other = Recording("other", {}, one.membranes, {"n": changed})
    assert compare(network, frames, one, [Recording("same", {}, one.membranes, one.messages)]).identical
    first = compare(network, frames, one, [other]).first_divergence
    assert first is not None
    assert (first.layer, first.frame) == ("n", 2)
    with pytest.raises(NetworkError, match="do not both hold messages of layer 'n'"):
        compare(network, frames, one, [Recording("none", {}, one.membranes)])


@pytest.mark.parametrize(
    ("stride", "padding", "expected"), [(1, (1, 0), [0, 6, 0]), (3, (1, 0), [0]), (2, (0, 0), [6])]
)
def test_padding_around_a_single_value_is_summed_as_zeros(stride, padding, expected):
    network = Network(
        (Input("x", (2, 1, 1)),),
        (Layer("y", ("x",), Conv2d([[[[4]], [[2]]]], stride=stride, padding=padding), Accumulator()),),
        ("y",),
    )
    assert engine.run(network, {"x": np.ones((1, 2, 1, 1))}).membranes["y"].ravel().tolist() == expected


def test_the_lowest_integer_of_an_input_counts_for_32_bits():
    network = Network(
        (Input("x", (1, 1, 1), Range(-(1 << 31), 0)),), (Layer("big", ("x",), Dense([[3]]), LIF(1)),), ("big",)
    )
    with pytest.raises(NetworkError, match=f"layer 'big': a sum of {3 << 31} leaves 32 bits"):
        engine.run(network, {"x": np.full((1, 1, 1, 1), -(1 << 31))})


def test_a_pool_may_be_padded_by_more_than_half_its_window():
    pool = Pool((2, 2), (2, 2), padding=(2, 1), weight=3)
    network = Network((Input("x", (1, 2, 2)),), (Layer("y", ("x",), pool, LIF(1, current_decay=0)),), ("y",))
    seen = engine.trace(network, {"x": np.ones((1, 1, 2, 2))})["y"].activation
    assert seen[0, 0].tolist() == [[0, 0], [6, 6], [0, 0]]


def test_sums_stay_exact_within_a_callers_autocast():
    network = Network(
        (Input("x", (1, 1, 1), ANY),), (Layer("y", ("x",), Conv2d([[[[3]]]]), LIF(1, current_decay=0)),), ("y",)
    )
    with torch.autocast("cpu", torch.bfloat16):
        seen = engine.trace(network, {"x": np.full((1, 1, 1, 1), 1001)})["y"].activation
    assert seen.item() == 3003
