"""A network in fewer bits: the nearest weights that there are, and thresholds that no membrane ties with."""

import itertools

import numpy as np
import pytest

from netx import LIF, Conv2d, Dense, Input, Layer, MonospikeError, Network, Pool, Recurrent, Shape
from quantize.coarser import with_thresholds, with_weight_bits
from sim.mapping.packing import weight_bits


def _network(weight, threshold=33):
    conv = Layer("conv", ("image",), Conv2d(np.asarray(weight, np.int32)), LIF(threshold, bias=[4, -6]))
    pool = Layer("pool", ("conv",), Pool((2, 2), (2, 2), weight=2), LIF(1))
    return Network((Input("image", Shape(3, 6, 6)),), (conv, pool), ("pool",))


def _drawn(seed, scale=40.0):
    drawn = np.random.default_rng(seed).normal(0, scale, (2, 3, 3, 3))
    return np.clip(2 * np.rint(drawn / 2), -256, 254).astype(np.int32)


def _brute_force(weight, bits):
    """Of every step that is a power of two, the sum of squared errors of the nearest representable weights."""
    errors = []
    for shift in range(1, 10 - bits):
        levels = np.arange(-(1 << (bits - 1)), 1 << (bits - 1)) * (1 << shift)
        errors.append(int((np.abs(weight.reshape(-1, 1) - levels).min(axis=1) ** 2).sum()))
    return min(errors)


def test_eight_bits_are_those_it_was_trained_with():
    network = _network(_drawn(1, scale=90))
    assert with_weight_bits(network, 8) == network


@pytest.mark.parametrize(("bits", "seed"), itertools.product(range(1, 9), (1, 2)))
def test_no_step_of_a_power_of_two_comes_closer(bits, seed):
    network = _network(_drawn(seed))
    before, after = (one.layer("conv").synapse.weight for one in (network, with_weight_bits(network, bits)))
    assert int(((after - before) ** 2).sum()) == _brute_force(before, bits)
    assert np.all(after % 2 == 0)
    assert weight_bits(after, 8) <= bits, "what a chip stores"


def test_odd_weights_may_stay_odd():
    weight = np.arange(-3, 3, dtype=np.int32).reshape(2, 3, 1, 1)
    assert np.array_equal(with_weight_bits(_network(weight), 3).layer("conv").synapse.weight, weight)


def test_full_connections_and_feedback_are_rounded_too():
    part = Dense(np.array([[100, 2], [-6, 254]], np.int32))
    layer = Layer("dense", ("image",), Recurrent(part, part), LIF(33))
    network = Network((Input("image", Shape(2, 1, 1)),), (layer,), ("dense",))
    rounded = with_weight_bits(network, 2).layer("dense").synapse
    assert rounded.forward == rounded.feedback
    assert rounded.forward.weight.tolist() == [[128, 0], [0, 128]]


@pytest.mark.parametrize("bits", [0, 9])
def test_bits_that_there_are_not_are_refused(bits):
    with pytest.raises(MonospikeError, match=f"expected 1 to 8, got {bits}"):
        with_weight_bits(_network(_drawn(1)), bits)


@pytest.mark.parametrize(
    ("threshold", "factor", "expected"), [(33, 1.0, 33), (33, 1.1, 37), (33, 0.5, 17), (401, 0.9, 361), (40, 1.1, 44)]
)
def test_thresholds_are_scaled_and_odd_ones_stay_odd(threshold, factor, expected):
    network = with_thresholds(_network(_drawn(1), threshold), factor)
    assert network.layer("conv").neuron == LIF(expected, bias=[4, -6])
    assert network.layer("pool").neuron == LIF(1), "an OR stays one"


@pytest.mark.parametrize(("threshold", "factor"), [(40, 0.01), (131071, 1.1)])
def test_thresholds_beyond_their_range_are_refused_with_the_layer(threshold, factor):
    with pytest.raises(MonospikeError, match=r"layer 'conv': its threshold of \d+ times"):
        with_thresholds(_network(_drawn(1), threshold), factor)
