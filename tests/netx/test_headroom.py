"""The head-room bound against every input, and every short sequence of inputs, of tiny networks."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netx import (
    LIF,
    Accumulator,
    Conv2d,
    Correlation,
    Dense,
    HeadroomError,
    Input,
    Layer,
    Network,
    Neuron,
    Pool,
    Shape,
    Sigma,
    SigmaDelta,
    headroom,
    limits,
    prove_headroom,
)
from netx.synapses import Synapse
from sim.engine import run

SMALL = st.integers(-9, 9)


def one_layer(synapse: Synapse, neuron: Neuron, shape: Shape, values: tuple[int, int]) -> Network:
    return Network((Input("x", shape, values),), (Layer("y", ("x",), synapse, neuron),), ("y",))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(SMALL, min_size=3, max_size=3), min_size=2, max_size=2),
    st.lists(st.integers(-50, 50), min_size=2, max_size=2),
    st.sampled_from([(0, 1), (-1, 1), (-2, 1), (0, 3)]),
)
def test_the_bound_of_a_memoryless_layer_is_safe_and_tight(
    weight: list[list[int]], bias: list[int], values: tuple[int, int]
) -> None:
    [bound] = headroom(one_layer(Dense(weight), LIF(5, bias), Shape(3, 1, 1), values))
    inputs = np.array(list(product(range(values[0], values[1] + 1), repeat=3)))
    activations = inputs @ np.array(weight).T
    both = np.stack([activations, activations + bias])
    assert bound.low.tolist() == both.min(axis=(0, 1)).tolist()
    assert bound.high.tolist() == both.max(axis=(0, 1)).tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(SMALL, min_size=4, max_size=4), st.integers(0, 1))
def test_a_border_of_zeros_cannot_exceed_the_bound(kernel: list[int], padding: int) -> None:
    weight = np.reshape(kernel, (1, 1, 2, 2))
    network = one_layer(Conv2d(weight, padding=padding), Accumulator(), Shape(1, 2, 2), (0, 1))
    [bound] = headroom(network)
    sums = []
    for bits in product((0, 1), repeat=4):
        padded = np.pad(np.reshape(bits, (2, 2)), padding)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (2, 2))
        sums.append((windows * weight[0, 0]).sum(axis=(2, 3)))
    assert (bound.low.item(), bound.high.item()) == (np.min(sums), np.max(sums))


NEVER = limits.READOUT_THRESHOLD


@pytest.mark.parametrize(
    ("neuron", "bias"), [(LIF(NEVER, [7], current_decay=1024), 7), (LIF(NEVER, [-7], 6, 2048, 1024), -7)]
)
def test_the_bound_of_a_layer_that_remembers_holds_for_long_sequences(neuron: LIF, bias: int) -> None:
    [bound] = headroom(one_layer(Dense([[100]]), neuron, Shape(1, 1, 1), (-1, 1)))
    peaks = []
    for sign in (1, -1):
        current = voltage = 0.0
        for _ in range(200):
            current = current * (1 - neuron.current_decay / 4096) + sign * 100
            voltage = voltage * (1 - neuron.voltage_decay / 4096) + current + bias
            peaks += [current, voltage]
    assert bound.low.item() <= min(peaks) < bound.low.item() + 2
    assert bound.high.item() - 2 < max(peaks) <= bound.high.item()


@pytest.mark.parametrize("threshold", [-50, 0, 130, 500])
def test_beyond_its_threshold_a_voltage_is_reset_and_grows_no_further(threshold: int) -> None:
    """From just at the threshold the strongest input takes it as far as the bound says, and no sequence further."""
    neuron = LIF(threshold, [7], 6, 4096, 256)
    network = one_layer(Dense([[100]]), neuron, Shape(1, 1, 1), (-1, 1))
    [bound] = headroom(network)
    kept = max(threshold, 0) * (4096 - 256) / 4096
    assert bound.high.item() == np.ceil(kept + 107)
    frames = np.random.default_rng(1).integers(-1, 2, (2000, 1, 1, 1))
    membranes = run(network, {"x": frames}).membranes["y"]
    assert membranes.max() <= bound.high.item()
    assert membranes.min() >= bound.low.item()


def test_an_integrator_is_proven_upwards_by_its_threshold() -> None:
    network = one_layer(Dense([[100]]), LIF(300, voltage_decay=0), Shape(1, 1, 1), (0, 1))
    assert headroom(network)[0].high.tolist() == [400]
    assert prove_headroom(network)


def test_a_state_that_is_never_forgotten_is_not_proven_unless_it_is_reset() -> None:
    endless = one_layer(Dense([[2]]), LIF(9, current_decay=0), Shape(1, 1, 1), (0, 1))
    assert not headroom(endless)[0].proven
    often = one_layer(Dense([[2]]), LIF(9, current_decay=0, reset_interval=10), Shape(1, 1, 1), (0, 1))
    assert headroom(often)[0].high.tolist() == [20]


def test_an_exponent_scales_the_bound_and_rounds_down_as_the_shift_does() -> None:
    for exponent, expected in ((2, (-20, 28)), (-1, (-3, 3))):
        network = one_layer(Dense([[7, -5]], exponent), Accumulator(), Shape(2, 1, 1), (0, 1))
        [bound] = headroom(network)
        assert (bound.low.item(), bound.high.item()) == expected


def test_a_pool_and_a_correlation_count_their_window() -> None:
    pool = one_layer(Pool(2, 1, weight=3), LIF(1), Shape(2, 4, 4), (0, 5))
    assert headroom(pool)[0].high.tolist() == [2 * 2 * 3 * 5] * 2
    network = Network(
        (Input("x", Shape(2, 4, 4)), Input("z", Shape(2, 3, 2))),
        (Layer("y", ("x", "z"), Correlation(4, copies=2), LIF(1, [0, 10, 0, -10])),),
        ("y",),
    )
    [bound] = headroom(network)
    assert bound.high.tolist() == [24, 34, 24, 24]
    assert bound.low.tolist() == [0, 0, 0, -10]


def test_an_accumulators_range_is_what_the_next_layer_has_to_bear() -> None:
    network = Network(
        (Input("x", Shape(1, 1, 1), (-2, 3)),),
        (Layer("sum", ("x",), Dense([[5]]), Accumulator([1])), Layer("next", ("sum",), Dense([[-2]]), LIF(1))),
        ("next",),
    )
    assert network.range("sum") == (-9, 16)
    assert (headroom(network)[1].low.item(), headroom(network)[1].high.item()) == (-32, 18)


@pytest.mark.parametrize(("taps", "proven"), [(514, True), (515, False)])
def test_the_proof_ends_at_131071(taps: int, proven: bool) -> None:
    # 514 * 255 = 131070, one weight more passes the limit.
    network = one_layer(Dense(np.full((1, taps), 255)), LIF(1), Shape(taps, 1, 1), (0, 1))
    if proven:
        [bound] = prove_headroom(network)
        assert (bound.worst_case, bound.accumulator_bits) == (131070, 24)
    else:
        with pytest.raises(HeadroomError, match=r"layer 'y', channel 0: .* 131325, 254 past the limit of 131071"):
            prove_headroom(network)


def test_every_layer_that_may_overflow_is_named_with_its_worst_channel() -> None:
    wide = np.stack([np.full(600, 1), np.full(600, -255)])
    layers = (
        Layer("first", ("x",), Dense(wide), LIF(1)),
        Layer("fine", ("first",), Dense([[2, 2]]), LIF(1)),
        Layer("last", ("x",), Dense(wide[::-1]), LIF(1)),
    )
    network = Network((Input("x", Shape(600, 1, 1)),), layers, ("fine", "last"))
    with pytest.raises(HeadroomError) as error:
        prove_headroom(network)
    first, last = str(error.value).splitlines()
    assert first.startswith("layer 'first', channel 1: the accumulator can reach 153000")
    assert last.startswith("layer 'last', channel 0:")
    assert "1.167" in first  # 153000 / 131071


def test_sums_that_leave_64_bits_prove_nothing() -> None:
    """4096 weights of -256, an exponent of 7 and inputs of -2^31 make 2^58, and 2^64 in 1/64 units."""
    synapse = Dense(np.full((1, 4096), -256), 7)
    [bound] = headroom(one_layer(synapse, LIF(3), Shape(4096, 1, 1), (limits.GRADED_MIN, limits.GRADED_MAX)))
    assert not bound.proven


def test_read_outs_of_read_outs_are_never_proven_again_once_they_were_not() -> None:
    layers, before = [], "x"
    for index in range(8):
        layers.append(Layer(f"n{index}", (before,), Dense(np.full((256, 256), -256)), Accumulator()))
        before = f"n{index}"
    network = Network((Input("x", Shape(256, 1, 1)),), tuple(layers), (before,))
    assert [bound.proven for bound in headroom(network)] == [True] + [False] * 7


def test_a_pool_and_a_correlation_of_immense_windows_have_a_bound() -> None:
    immense = 1 << 31
    network = one_layer(Pool(immense, 1, immense // 2, 255), LIF(1), Shape(1, 1, 1), (0, 1 << 20))
    assert not headroom(network)[0].proven


@pytest.mark.parametrize("neuron", [Sigma(), SigmaDelta(3)])
def test_the_sum_of_a_sigma_decoder_is_not_proven_as_it_never_ends(neuron: Neuron) -> None:
    assert not headroom(one_layer(Dense([[1]]), neuron, Shape(1, 1, 1), (0, 1)))[0].proven
    assert headroom(one_layer(Dense([[0]]), neuron, Shape(1, 1, 1), (0, 1)))[0].proven
