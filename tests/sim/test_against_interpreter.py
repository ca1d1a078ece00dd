"""Whatever network is drawn: compiled, with numba and without it, it gives the bits of the interpreter."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interpreter import run, run_batch, trace

from netx import NetworkError
from sim import engine, random_networks
from sim.kernels import native
from sim.random_networks import seeded
from sim.recording import Recording

KINDS = ("spikes", "membranes", "messages")


@pytest.fixture(params=["numba", "torch"])
def way(request, monkeypatch):
    """Both ways to compute neurons and events; compiled networks of the other are forgotten."""
    if request.param == "numba" and not native.available():
        pytest.skip("numba is not installed")
    monkeypatch.setattr(native, "available", lambda: request.param == "numba")
    engine._kept.clear()
    yield request.param
    engine._kept.clear()


@st.composite
def drawn_networks(draw):
    return random_networks.draw(lambda low, high: draw(st.integers(low, high)), refractory=True)


def outcome(run, *arguments, **options):
    """What a run gives, or what it says against it."""
    try:
        return run(*arguments, **options)
    except NetworkError as error:
        return str(error)


def assert_same(ours, reference):
    if isinstance(reference, str):
        assert ours == reference
        return
    assert not isinstance(ours, str), ours
    for kind in KINDS:
        expected, got = getattr(reference, kind), getattr(ours, kind)
        assert got.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(got[name], expected[name], err_msg=f"{kind} of {name}")
            assert got[name].dtype == expected[name].dtype


@pytest.mark.usefixtures("way")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(drawn_networks())
def test_every_recorded_value_is_that_of_the_interpreter(drawn):
    assert_same(outcome(engine.run, drawn.network, drawn.frames), outcome(run, drawn.network, drawn.frames))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("seed", range(150))
def test_every_variable_of_every_layer_is_that_of_the_interpreter(seed):
    drawn = seeded(seed, refractory=True)
    for pipelined in (False, True):
        reference = outcome(trace, drawn.network, drawn.frames, pipelined=pipelined)
        ours = outcome(engine.trace, drawn.network, drawn.frames, pipelined=pipelined)
        if isinstance(reference, str):
            assert ours == reference
            continue
        assert ours.keys() == reference.keys()
        for name, expected in reference.items():
            np.testing.assert_array_equal(ours[name].activation, expected.activation, err_msg=name)
            np.testing.assert_array_equal(ours[name].output, expected.output, err_msg=name)
            assert ours[name].states.keys() == expected.states.keys()
            for state, values in expected.states.items():
                np.testing.assert_array_equal(ours[name].states[state], values, err_msg=f"{state} of {name}")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("seed", range(0, 120, 2))
def test_outputs_alone_batches_and_parts_are_those_of_whole_recorded_runs(seed):
    drawn = seeded(seed, refractory=True)
    network, frames = drawn.network, drawn.frames
    backwards = {name: values[::-1] for name, values in frames.items()}
    try:
        whole, reverse = run(network, frames), run(network, backwards)
    except NetworkError:
        return  # past 32 bits
    for batch in (1, 3, 64):
        outputs = engine.compile(network, batch=batch).run(frames)
        for kind in KINDS:
            for name, values in getattr(outputs, kind).items():
                np.testing.assert_array_equal(values, getattr(whole, kind)[name], err_msg=f"{kind} of {name}")
        sent = {*outputs.spikes, *outputs.messages, *outputs.membranes}
        assert sent == set(network.outputs)
        recorder = engine.compile(network, record=True, batch=batch)
        for size in (1, 4):
            assert_same(Recording.joined(list(recorder.run_in_parts(frames, size))), whole)
    both = {name: np.stack([values, backwards[name]]) for name, values in frames.items()}
    for one, expected in zip(engine.run_batch(network, both), (whole, reverse), strict=True):
        assert_same(one, expected)
    for one, expected in zip(run_batch(network, both), (whole, reverse), strict=True):
        assert_same(one, expected)
