"""Lava's stock processes give the same bits as the engine."""

import numpy as np
import pytest
from scipy import ndimage
from scipy import signal as scipy_signal

from netx import LIF, Accumulator, Concat, Conv2d, Dense, Flatten, Input, Layer, Network, Pool, Range
from netx.chain import chain_network, chains
from netx.net_file import write_net
from sim import engine, lava
from sim.lava.plan import message_bits

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("traces")]


def random_conv(rng, out, into, kernel, saturated=False, **options):
    """Even weights, as SLAYER trains them; saturated ones are -256 or 254."""
    shape = (out, into, *kernel)
    weight = rng.choice([-256, 254], shape) if saturated else rng.integers(-128, 128, shape) * 2
    return Conv2d(weight, **options)


def random_frames(rng, source, count):
    """Random frames within the input's range, after one of its lowest and one of its highest value."""
    frames = rng.integers(source.range.low, source.range.high + 1, (count, *source.shape))
    frames[0], frames[1] = source.range.low, source.range.high
    return frames


def assert_same(actual, expected):
    assert list(actual.spikes) == list(expected.spikes)
    assert list(actual.membranes) == list(expected.membranes)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(actual.spikes[name], spikes, err_msg=f"spikes of {name}")
    for name, membranes in expected.membranes.items():
        np.testing.assert_array_equal(actual.membranes[name], membranes, err_msg=f"membranes of {name}")


def branching_network(rng):
    """Strides, padding, dilation, groups, biases, saturated weights, a branch and two read-outs."""
    return Network(
        (Input("image", (3, 17, 20)),),
        (
            Layer("a", ("image",), random_conv(rng, 8, 3, (3, 5), stride=(2, 1), padding=(1, 2)), LIF(101)),
            Layer(
                "b",
                ("a",),
                random_conv(rng, 6, 4, (3, 2), groups=2, dilation=(1, 2)),
                LIF(51, rng.integers(-99, 99, 6)),
            ),
            Layer(
                "c",
                ("b",),
                random_conv(rng, 4, 6, (1, 1), saturated=True),
                LIF(301, bias_exponent=5, bias=[6, -6, 0, 98]),
            ),
            Layer("near", ("b",), random_conv(rng, 2, 6, (2, 2)), Accumulator(np.array([300, -300]))),
            Layer("far", ("c",), random_conv(rng, 3, 4, (2, 3)), Accumulator()),
        ),
        ("near", "far", "c"),
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_a_branching_network_gives_the_same_bits_as_the_engine(seed):
    rng = np.random.default_rng(seed)
    network = branching_network(rng)
    frames = {"image": random_frames(rng, network.inputs[0], 6)}
    recording = lava.run(network, frames)
    assert_same(recording, engine.run(network, frames))
    assert recording.engine == "lava"
    assert all(0 < spikes.mean() < 1 for spikes in recording.spikes.values())


def test_graded_inputs_give_what_scipy_computes():
    rng = np.random.default_rng(5)
    source = Input("image", (2, 12, 10), (-3, 12))
    weight, bias, threshold = rng.integers(-60, 60, (3, 2, 4, 3)), np.array([-200, 0, 77]), 41
    network = Network((source,), (Layer("a", ("image",), Conv2d(weight), LIF(threshold, bias)),), ("a",))
    frames = random_frames(rng, source, 4)
    membranes = np.array(
        [
            [
                sum(scipy_signal.correlate2d(frame[c], kernel[c], mode="valid") for c in range(2)) + offset
                for kernel, offset in zip(weight, bias, strict=True)
            ]
            for frame in frames
        ]
    )
    recording = lava.run(network, {"image": frames})
    np.testing.assert_array_equal(recording.membranes["a"], membranes)
    np.testing.assert_array_equal(recording.spikes["a"], membranes > threshold)


def test_pooling_and_more_groups_than_lava_can_count_are_exact():
    rng = np.random.default_rng(6)
    source = Input("image", (130, 7, 7))
    layers = (
        Layer("pool", ("image",), Pool((3, 3), (2, 2), weight=2), LIF(1)),
        Layer("depthwise", ("pool",), random_conv(rng, 130, 1, (2, 2), groups=130), Accumulator()),
    )
    network = Network((source,), layers, ("depthwise",))
    frames = {"image": random_frames(rng, source, 3) & rng.integers(0, 2, (3, *source.shape))}
    recording = lava.run(network, frames)
    assert_same(recording, engine.run(network, frames))
    largest = ndimage.maximum_filter(frames["image"], size=(1, 1, 3, 3))[:, :, 1:-1:2, 1:-1:2]
    np.testing.assert_array_equal(recording.spikes["pool"], largest)


def test_dense_layers_after_flattening_are_exact():
    rng = np.random.default_rng(7)
    layers = (
        Layer("a", ("image",), random_conv(rng, 3, 1, (2, 2)), LIF(21)),
        Layer("flat", ("a",), Flatten()),
        Layer("b", ("flat",), Dense(rng.integers(-63, 64, (10, 60)), weight_exponent=2), LIF(101)),
        Layer("c", ("b",), Dense(rng.integers(-256, 256, (4, 10))), Accumulator(np.arange(4))),
    )
    network = Network((Input("image", (1, 6, 5)),), layers, ("c",))
    frames = {"image": random_frames(rng, network.inputs[0], 5)}
    assert_same(lava.run(network, frames), engine.run(network, frames))


def test_neurons_that_remember_carry_it_from_frame_to_frame():
    rng = np.random.default_rng(8)
    layers = (
        Layer("a", ("image",), random_conv(rng, 4, 2, (3, 3)), LIF(901, current_decay=2048, voltage_decay=300)),
        Layer("b", ("a",), random_conv(rng, 4, 4, (3, 3)), LIF(1301, current_decay=4096, voltage_decay=0)),
    )
    network = Network((Input("image", (2, 9, 9)),), layers, ("b",))
    frames = {"image": random_frames(rng, network.inputs[0], 12)}
    assert_same(lava.run(network, frames), engine.run(network, frames))


def test_inputs_that_meet_run_together():
    """Pixels and spikes, side by side with what has been made of the pixels: one runtime for both inputs."""
    rng = np.random.default_rng(8)
    network = Network(
        (Input("pixels", (2, 4, 5), Range(-8, 7)), Input("spikes", (3, 4, 5))),
        (
            Layer("a", ("pixels",), random_conv(rng, 4, 2, (1, 1)), LIF(101)),
            Layer("join", ("a", "spikes"), Concat()),
            Layer("b", ("join",), random_conv(rng, 2, 7, (3, 3), padding=(1, 1)), LIF(201)),
            Layer("out", ("b",), random_conv(rng, 1, 2, (1, 1)), Accumulator()),
        ),
        ("out",),
    )
    frames = {source.name: random_frames(rng, source, 4) for source in network.inputs}
    assert_same(lava.run(network, frames, timeout=240), engine.run(network, frames))


def test_inputs_that_never_meet_run_side_by_side():
    rng = np.random.default_rng(9)
    inputs = (Input("left", (1, 6, 6)), Input("right", (2, 5, 5), (0, 7)))
    layers = (
        Layer("a", ("left",), random_conv(rng, 2, 1, (3, 3)), LIF(31)),
        Layer("b", ("right",), random_conv(rng, 2, 2, (3, 3)), LIF(31)),
        Layer("c", ("b",), random_conv(rng, 2, 2, (1, 1)), Accumulator()),
    )
    network = Network(inputs, layers, ("a", "c"))
    frames = {source.name: random_frames(rng, source, 4) for source in inputs}
    assert_same(lava.run(network, frames), engine.run(network, frames))


@pytest.mark.parametrize("dense", [False, True])
def test_net_files_loaded_by_stock_netx_give_the_same_bits_as_the_engine(tmp_path, dense):
    rng = np.random.default_rng(10)
    network = branching_network(rng)
    if dense:
        size = network.shape("c").size
        head = Layer("head", ("flat",), Dense(rng.integers(-64, 64, (5, size)) * 2), Accumulator(np.arange(5) * 2))
        network = Network(
            network.inputs, (*network.layers, Layer("flat", ("c",), Flatten()), head), ("near", "c", "head")
        )
        network = network.subnetwork(("near", "c", "head"))
    parts = []
    for index, chain in enumerate(chains(network)):
        path = tmp_path / f"{index}.net"
        write_net(chain_network(network, chain), path)
        names = tuple(name for name in chain.layers if network.layer(name).neuron is not None)
        parts.append(lava.NetPart(path, names, network_source(network, chain.source), 0))
    frames = {"image": random_frames(rng, network.inputs[0], 5)}
    recording = lava.run_net_files(parts, frames)
    expected = engine.run(network, frames)
    for name, membranes in expected.membranes.items():
        np.testing.assert_array_equal(recording.membranes[name], membranes, err_msg=name)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(recording.spikes[name], spikes, err_msg=name)


def network_source(network, name):
    """The input or layer with neurons that feeds the wires at ``name``."""
    names = {layer.name for layer in network.layers}
    return (
        network_source(network, network.layer(name).inputs[0])
        if name in names and network.layer(name).neuron is None
        else name
    )


RANGES, BITS = [Range(0, 1), Range(0, 2), Range(0, 255), Range(-1, 1), Range(-128, 127)], [0, 2, 8, 2, 9]


def test_the_width_of_a_message_covers_its_range():
    assert [message_bits(values) for values in RANGES] == BITS
