"""The convolution that stands in for Lava's own gives the same bits, in plain calls and in Lava itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netx import LIF, Accumulator, Conv2d, Input, Layer, Network, NetworkError, Pool, Range
from sim import engine, lava
from sim.exact_convolution import ExactConvolution
from sim.lava.job import LavaJob, in_lava_order, read_outcome, write_job
from sim.lava.plan import plan
from sim.recording import Recording


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_matrix_products_give_the_sums_of_plain_integers(direct_sums, data):
    draw = data.draw
    groups, (outs, ins) = draw(st.integers(1, 4)), draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    height, width = (d * (k - 1) + 1 + draw(st.integers(0, 6)) for k, d in zip(kernel, dilation, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    weight = rng.integers(-256, 256, (groups * outs, ins, *kernel))
    largest = draw(st.sampled_from([1, 255, 1 << 20, 1 << 30]))
    values = rng.integers(-largest, largest + 1, (1, groups * ins, height, width))
    flipped = weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
    convolution = ExactConvolution(flipped, stride[::-1], padding[::-1], dilation[::-1], groups)
    sums = convolution(values[0].transpose(2, 1, 0))
    expected = direct_sums(values, weight, stride, padding, dilation, groups)[0]
    np.testing.assert_array_equal(sums.transpose(2, 1, 0), expected)


def test_sums_past_53_bits_are_refused():
    convolution = ExactConvolution(np.full((1, 1, 1, 9), -256), (1, 1), (0, 0), (1, 1), 1)
    with pytest.raises(ValueError, match="past the 53 bits"):
        convolution(np.full((1, 1, 9), 1 << 42))


def side_by_side(rng):
    """Convolutions of every kind that never meet, so that one Lava run compares them all."""
    inputs, layers = [], []

    def add(shape, values, synapse, neuron):
        name = f"x{len(inputs)}"
        inputs.append(Input(name, shape, values))
        layers.append(Layer(f"layer{name}", (name,), synapse, neuron))

    def weight(*shape):
        return rng.integers(-256, 256, shape)

    spikes, pixels = Range(0, 1), Range(-128, 127)
    add((3, 13, 17), spikes, Conv2d(weight(5, 3, 3, 5), (2, 1), (1, 2)), LIF(101, rng.integers(-99, 99, 5)))
    add((8, 9, 12), spikes, Conv2d(weight(6, 4, 2, 3), dilation=(3, 2), groups=2), LIF(-51))
    add((6, 8, 8), spikes, Conv2d(weight(12, 1, 3, 3), 1, 1, groups=6), LIF(7))
    add((4, 10, 11), spikes, Pool((3, 2), (2, 1), 1, weight=2), LIF(3))
    add((5, 6, 7), pixels, Conv2d(weight(4, 5, 1, 1)), LIF(4001))
    add((2, 7, 7), pixels, Conv2d(weight(3, 2, 7, 7)), Accumulator(np.array([9, -9, 0])))
    # Sums beyond 24 bits, which both have to wrap.
    add((4, 5, 5), Range(0, 60000), Conv2d(np.full((2, 4, 3, 3), 255)), LIF(77))
    return Network(tuple(inputs), tuple(layers), tuple(layer.name for layer in layers))


@pytest.mark.lava
@pytest.mark.usefixtures("traces")
def test_in_lava_it_gives_the_bits_of_the_stock_model():
    rng = np.random.default_rng(7)
    network = side_by_side(rng)
    frames = {s.name: rng.integers(s.range.low, s.range.high + 1, (4, *s.shape)) for s in network.inputs}
    for values in frames.values():
        values[0] = 0
    stock, fast = (lava.run(network, frames, conv=conv) for conv in ("stock", "fast"))
    assert (stock.engine, fast.engine) == ("lava", "lava-fast")
    for name, spikes in stock.spikes.items():
        np.testing.assert_array_equal(fast.spikes[name], spikes, err_msg=name)
        assert 0 < spikes.mean() < 1
    for name, membranes in stock.membranes.items():
        np.testing.assert_array_equal(fast.membranes[name], membranes, err_msg=name)


def narrow_and_wide(rng):
    """Two convolutions of spikes in a row; Lava's own takes its time for the first alone."""
    layers = (
        Layer("wide", ("x",), Conv2d(rng.integers(-128, 128, (24, 8, 3, 3)) * 2, padding=1), LIF(901)),
        Layer("narrow", ("wide",), Conv2d(rng.integers(-128, 128, (1, 24, 2, 2)) * 2, stride=2), LIF(301)),
    )
    return Network((Input("x", (8, 31, 33)),), layers, ("narrow",)), {"x": rng.integers(0, 2, (3, 8, 31, 33))}


@pytest.mark.lava
@pytest.mark.usefixtures("traces")
def test_proven_takes_the_drop_in_for_wide_layers_alone_says_so_and_keeps_that_in_a_file(tmp_path):
    network, frames = narrow_and_wide(np.random.default_rng(3))
    found, expected = lava.run(network, frames, conv="proven"), engine.run(network, frames)
    assert (found.engine, found.stand_ins) == ("lava-proven", ("wide",))
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], spikes, err_msg=name)
        np.testing.assert_array_equal(found.membranes[name], expected.membranes[name], err_msg=name)
    found.save(tmp_path / "lava.npz")
    assert Recording.load(tmp_path / "lava.npz").stand_ins == ("wide",)


SPOILT = """
import sys
from pathlib import Path
import sim.lava.conv
from sim.lava.worker import main

class Spoilt(sim.lava.conv.ExactConvolution):
    def __call__(self, values):
        sums = super().__call__(values)
        sums[3, 2, 1] += 1
        return sums

sim.lava.conv.ExactConvolution = Spoilt
main(Path(sys.argv[1]))
"""


@pytest.mark.lava
@pytest.mark.usefixtures("traces")
def test_a_drop_in_that_is_off_by_one_somewhere_ends_the_run_with_the_place(tmp_path, monkeypatch):
    (tmp_path / "spoilt.py").write_text(SPOILT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    network, frames = narrow_and_wide(np.random.default_rng(3))
    job = LavaJob({name: in_lava_order(values) for name, values in frames.items()}, plan(network), conv="proven")
    with pytest.raises(
        lava.LavaError, match=r"sends -?\d+ to channel 1, row 2, column 3, where Lava's own sends -?\d+"
    ):
        lava.run_worker("spoilt", lambda folder: write_job(folder, job), read_outcome, lava.Work(3, 60, None))


@pytest.mark.lava
@pytest.mark.usefixtures("traces")
def test_it_takes_more_groups_and_larger_kernels_than_8_bits_count():
    rng = np.random.default_rng(9)
    deep = Conv2d(rng.integers(-128, 128, (200, 1, 3, 2)) * 2, groups=200)
    long = Conv2d(rng.integers(-128, 128, (3, 200, 1, 130)) * 2)
    layers = (Layer("deep", ("x",), deep, LIF(101)), Layer("long", ("deep",), long, Accumulator()))
    network = Network((Input("x", (200, 3, 132)),), layers, ("long",))
    frames = {"x": rng.integers(0, 2, (2, 200, 3, 132))}
    with pytest.raises(NetworkError, match=r"layer 'long': .* too large for Lava"):
        lava.run(network, frames)
    expected, found = engine.run(network, frames), lava.run(network, frames, conv="fast")
    np.testing.assert_array_equal(found.spikes["deep"], expected.spikes["deep"])
    np.testing.assert_array_equal(found.membranes["long"], expected.membranes["long"])
